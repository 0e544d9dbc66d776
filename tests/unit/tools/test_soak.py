"""The dispatcher of the long runs."""
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))
from dmscsoak import cli, soaks  # noqa: E402
from dmscsoak.figures import Figure, merged, parse  # noqa: E402


def test_every_soak_is_listed():
    done = subprocess.run([ROOT / "tools" / "soak", "--list"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [soak.name for soak in soaks.SOAKS]


def test_an_unknown_soak_is_refused_by_name():
    done = subprocess.run([ROOT / "tools" / "soak", "sim-sedes"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "sim-sedes" in done.stderr


@pytest.mark.parametrize("jobs, count", [(1, 7), (2, 7), (3, 10_000), (8, 3)])
def test_seeds_are_split_without_gap_or_overlap(jobs, count):
    seen = []
    for argv in soaks.seeds("sim")(jobs, count):
        first, number = int(argv[argv.index("--seed") + 1]), int(argv[argv.index("--seeds") + 1])
        assert number > 0
        seen += range(first, first + number)
    assert seen == list(range(1, count + 1))


def test_figures_of_copies_become_one():
    def line(**fields):
        return parse("s", json.dumps(fields))
    out = merged([line(case="loops", value=1, at_most=2, merge="sum"), line(case="slowest", value=3),
                  line(case="loops", value=2, at_most=2, merge="sum"), line(case="slowest", value=2),
                  line(case="least", value=5, at_least=4, merge="min"), line(case="least", value=9, merge="min")])
    assert [(f.case, f.value, f.ok) for f in out] == [("loops", 3, False), ("slowest", 3, True), ("least", 5, True)]


def test_a_percentile_of_copies_is_that_of_all_they_counted():
    def line(*histogram):
        return parse("s", json.dumps({"case": "p99", "value": 110, "merge": "quantile", "q": 0.99, "at_most": 20,
                                      "histogram": histogram}))
    few, many = [[10, 5], [110, 1]], [[10, 90], [20, 200]]
    assert [f.value for f in merged([line(*few)])] == [110]
    assert [(f.value, f.ok) for f in merged([line(*few), line(), line(*many)])] == [(20, True)]
    assert [(f.value, f.ok) for f in merged([line(*many), line([110, 9])])] == [(110, False)]


@pytest.mark.parametrize("line", ["seed 7: ok", "{", '{"case": "x"}', '{"case": "x", "value": "many"}', "[1]"])
def test_what_is_no_figure_is_output(line):
    assert parse("s", line) is None


def soak_of(script, copies=1):
    return soaks.Soak("s", "", "none", lambda *_: [["/bin/sh", "-c", script]] * copies, 1)


def test_a_soak_passes_only_with_its_goals_and_its_exit_status(capsys, monkeypatch):
    monkeypatch.setenv("DMSC_BUILD", "/")
    figure = 'echo \'{"case": "c", "value": 2, "at_most": %d, "merge": "sum"}\'; '
    for script, copies, good in [(figure % 4, 2, True), (figure % 3, 2, False), (figure % 9 + "exit 3", 1, False),
                                 ("kill -SEGV $$", 1, False)]:
        found, error = cli.run(soak_of(script, copies), 1, None, [])
        assert cli.report(soak_of(script), found, error, 1) is good
    assert "signal 11" in capsys.readouterr().out


def test_the_busy_soak_runs_the_program_it_names_for_so_many_seconds(tmp_path, monkeypatch, capsys):
    busy = soaks.find("busy")
    assert busy.items == 600
    python, script, seconds = busy.commands(2, 5)[0]
    assert Path(python).exists() and seconds == "5"
    assert subprocess.run([python, script, "--help"], capture_output=True, text=True, check=True).stdout.startswith("usage")
    for target in busy.target.split():
        assert re.fullmatch(r"[a-z_]+", target)


def test_a_soak_that_is_interrupted_lets_its_program_clean_up(tmp_path, monkeypatch):
    monkeypatch.setenv("DMSC_BUILD", "/")
    script = f"trap 'echo gone > {tmp_path}/clean; exit 143' TERM; echo up > {tmp_path}/up; while :; do sleep 0.05; done"

    def interrupt(copy):
        while not (tmp_path / "up").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt
    monkeypatch.setattr(cli.Copy, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cli.run(soak_of(script), 1, None, [])
    assert (tmp_path / "clean").exists()


def test_figures_are_lines_of_json():
    line = json.loads(Figure("s", "c", 1.5, "ms", at_most=2).line())
    assert line == {"soak": "s", "case": "c", "value": 1.5, "unit": "ms", "goal": 2, "ok": True}
