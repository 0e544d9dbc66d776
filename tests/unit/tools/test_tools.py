"""The arithmetic of the test and benchmark commands."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))
from dmscbench import google  # noqa: E402
from dmscbench.figures import Figure, table  # noqa: E402
from dmsctest import results, simulator  # noqa: E402


def junit(tmp_path, body):
    path = tmp_path / "r.xml"
    path.write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")
    return results.read(path)


def test_results_count_a_catch_case_with_sections_once(tmp_path):
    out = junit(tmp_path, '<testcase classname="u.global" name="case/one"/>'
                          '<testcase classname="u.global" name="case/two"><failure/></testcase>'
                          '<testcase classname="u.global" name="case/three"/>'
                          '<testcase classname="u.global" name="other"/>')
    assert (out.passed, out.failed, out.names) == (1, 1, ["case"])


def test_results_of_pytest(tmp_path):
    out = junit(tmp_path, '<testcase classname="t" name="a"/><testcase classname="t" name="b"><skipped/></testcase>'
                          '<testcase classname="t" name="c"><error/></testcase>')
    assert (out.passed, out.failed, out.skipped) == (1, 1, 1)


def test_missing_or_broken_results_are_a_failure(tmp_path):
    assert results.read(tmp_path / "none.xml").bad == 1
    (tmp_path / "r.xml").write_text("<testsuites>")
    assert results.read(tmp_path / "r.xml").bad == 1


def test_a_catch_program_that_dies_fails(tmp_path):
    program = tmp_path / "dies"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    done = subprocess.run([ROOT / "tests" / "run_catch.py", program, tmp_path / "r.xml"], capture_output=True, check=False)
    assert done.returncode != 0
    out = results.read(tmp_path / "r.xml")
    assert (out.passed, out.failed) == (0, 1)


def test_a_figure_without_baseline_has_no_ratio_and_is_not_ok():
    figure = Figure("b", "c", 10, "ns")
    assert figure.ratio is None and not figure.ok
    line = json.loads(figure.line())
    assert list(line) == ["bench", "case", "value", "unit", "baseline", "ratio", "goal", "limit", "ok"]
    assert line["ratio"] is None and line["ok"] is False


@pytest.mark.parametrize("value, baseline, smaller, goal, ok", [
    (200, 100, False, 1.5, True), (100, 200, False, 1.5, False), (100, 200, True, 1.5, True),
    (200, 100, True, 1.5, False), (1, 100, False, None, True)])
def test_the_goal_is_a_ratio(value, baseline, smaller, goal, ok):
    assert Figure("b", "c", value, "u", baseline, goal, smaller).ok is ok


def test_the_table_has_a_row_per_figure():
    text = table([Figure("b", "c", 5.7e6, "items/s", 1e6), Figure("b", "d", 3, "ns")])
    assert len(text.splitlines()) == 3 and "5.7 M" in text


def test_google_benchmark_reports_become_figures():
    report = {"benchmarks": [
        {"name": "fib_match", "items_per_second": 5e6, "real_time": 1, "time_unit": "ns"},
        {"name": "unordered_map_match", "items_per_second": 1e6, "real_time": 1, "time_unit": "ns"},
        {"name": "fib_update", "items_per_second": 2e6, "real_time": 1, "time_unit": "ns"},
        {"name": "fib_update_mean", "run_type": "aggregate", "real_time": 2.5, "time_unit": "ms"}]}
    figures = google.parse("fib_lookup", report)
    assert [(f.case, f.value, f.unit, f.ratio) for f in figures] == [
        ("fib_match", 5e6, "items/s", 5.0), ("fib_update", 2e6, "items/s", None)]
    report = {"benchmarks": [{"name": "fib_bytes_per_prefix/iterations:1", "bytes": 160, "real_time": 1,
                              "time_unit": "ns"}]}
    figure = google.parse("fib_lookup", report)[0]
    assert (figure.case, figure.value, figure.unit, figure.limit, figure.ok) == (
        "fib_bytes_per_prefix", 160, "bytes", 150, False)
    report = {"benchmarks": [{"name": "spf/100", "real_time": 2.5, "time_unit": "us"},
                             {"name": "textbook_dijkstra/100", "real_time": 5, "time_unit": "us"},
                             {"name": "textbook_dijkstra/1", "real_time": 90, "time_unit": "us"}]}
    figures = google.parse("spf", report)
    assert [(f.case, f.value, f.unit, f.ratio) for f in figures] == [("spf/100", 2500, "ns", 2.0)]


def fake_simulator(tmp_path, script, faults=()):
    program = tmp_path / "sim"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    return simulator.run(program, 6, tmp_path / "sim.xml", cases={"calm": 1}, faults=faults)


CALM = '[ $1 = case ] && echo \'{"case": "calm: slowest", "value": 3, "unit": "ms", "at_most": 5}\' && exit 0\n'
LOGS = 'for last in "$@"; do [ "$log" = --log ] && echo same > "$last"; log=$last; done\n'


def test_the_simulators_failed_seeds_are_counted_and_named(tmp_path):
    out = fake_simulator(tmp_path, CALM + LOGS + '[ $4 = 6 ] && echo "seed 2: FAILED: a loop" && echo "$4 seeds, 1 failed, x" '
                                   '&& exit 1\necho "$4 seeds, 0 failed, x"\n')
    assert (out.passed, out.failed, out.error) == (7, 1, "")
    assert out.names == ["sim seed 2: a loop"]
    assert results.read(tmp_path / "sim.xml").failed == 1


def test_a_case_of_the_simulator_fails_by_its_goal_or_its_oracle(tmp_path):
    for case, why in [(CALM.replace('"value": 3', '"value": 9'), "calm: slowest: 9 ms, at most 5"),
                      ("[ $1 = case ] && echo 'case calm, seed 1: FAILED: a loop' && exit 1\n", "a loop"),
                      ("[ $1 = case ] && exit 3\n", "exit 3: no figure: ")]:
        out = fake_simulator(tmp_path, case + LOGS + 'echo "$4 seeds, 0 failed, x"\n')
        assert out.names == [f"sim case calm: {why}"]


def test_micro_loops_are_a_gate_of_enough_seeds(tmp_path, monkeypatch):
    figure = ('echo \'{"case": "loops: p99", "value": 30, "unit": "ms", "merge": "quantile", "q": 0.99, "at_most": 20, '
              '"histogram": [[10, 98], [30, 2]]}\'\n')
    script = CALM + LOGS + figure + 'echo "$4 seeds, 0 failed, x"\n'
    assert fake_simulator(tmp_path, script).failed == 0
    monkeypatch.setattr(simulator, "SEEDS_OF_A_GOAL", 6)
    out = fake_simulator(tmp_path, script)
    assert out.names == ["sim figure loops: p99: 30 ms, at most 20"]
    assert fake_simulator(tmp_path, script.replace("30", "20")).failed == 0


def test_an_oracle_that_misses_a_fault_in_the_code_fails(tmp_path):
    out = fake_simulator(tmp_path, CALM + LOGS + '[ "$6" = blind ] && echo "seed 1: FAILED: a loop" && exit 1\n'
                                   'echo "$4 seeds, 0 failed, x"\n', faults=("blind", "missed"))
    assert out.names == ["sim notices missed: exit 0: ten seeds with missed passed"]


def test_a_simulator_whose_log_is_another_the_second_time_fails(tmp_path):
    out = fake_simulator(tmp_path, CALM + LOGS.replace("echo same", "echo $$") + 'echo "$4 seeds, 0 failed, x"\n')
    assert out.names == ["sim log: two runs of one seed differ"]


def test_a_simulator_that_dies_is_an_error(tmp_path):
    out = fake_simulator(tmp_path, "kill -SEGV $$\n")
    assert out.error and out.bad >= 1


@pytest.mark.parametrize("complete, code, word", [("0", 0, "skipped"), ("1", 1, "failed")])
def test_a_daemon_that_is_not_built_fails_the_test_command_and_is_skipped_by_hand(tmp_path, complete, code, word):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "linkem").touch()
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           ROOT / "tests" / "integration" / "test_config.py"], capture_output=True, text=True,
                          env={**os.environ, "DMSC_BUILD": str(tmp_path), "DMSC_TEST_COMPLETE": complete}, check=False)
    assert done.returncode == code
    assert word in done.stdout.splitlines()[-1] and "passed" not in done.stdout.splitlines()[-1]
