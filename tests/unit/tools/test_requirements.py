"""The requirements page and its checker, each rule shown to fail."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))
import requirements  # noqa: E402

PAGE = "".join(f"| R{i} | text | where | open |\n" for i in range(1, 47))


def test_the_page_has_every_row():
    _, errors = requirements.check(requirements.PAGE.read_text(), None)
    assert errors == []


def test_open_rows_are_counted():
    assert requirements.check(PAGE, set()) == (46, [])
    named = PAGE.replace("| R3 | text | where | open |", "| R3 | text | where | `R3 one` |")
    assert requirements.check(named, {"R3 one"}) == (45, [])


def test_a_named_test_that_did_not_run_is_an_error():
    named = PAGE.replace("| R3 | text | where | open |", "| R3 | text | where | `R3 one` `x.py::test_y` |")
    _, errors = requirements.check(named, {"R3 one"})
    assert errors == ["R3: its test did not run: x.py::test_y"]


def test_a_missing_or_doubled_row_is_an_error():
    assert "R7" in requirements.check(PAGE.replace("| R7 |", "| X7 |"), None)[1][0]
    assert requirements.check(PAGE + "| R7 | text | where | open |\n", None)[1]


def test_an_empty_cell_is_an_error():
    _, errors = requirements.check(PAGE.replace("open |\n", "|\n", 1), None)
    assert "R1" in errors[0]


def test_names_are_read_from_junit(tmp_path):
    path = tmp_path / "r.xml"
    path.write_text('<testsuites><testsuite><testcase classname="tests.integration.test_fig2" '
                    'name="test_call[sg-1]"/><testcase classname="unit.global" name="R8 pools/share"/>'
                    '<testcase classname="a" name="R9 skipped"><skipped/></testcase>'
                    '</testsuite></testsuites>')
    names = requirements.junit_names(path)
    assert {"test_fig2.py::test_call", "R8 pools"} <= names
    assert "R9 skipped" not in names
