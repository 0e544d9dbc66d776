"""The arithmetic of the control-plane benchmark and the lab's generated topologies."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))
from dmscbench import controlplane  # noqa: E402
from dmscbench.figures import Figure  # noqa: E402
from dmsclab import pattern, topology  # noqa: E402
from dmsclab.errors import LabError  # noqa: E402


def test_a_limit_is_a_goal_of_its_own():
    def good(value, **more):
        return Figure("b", "c", value, "ms", smaller_is_better=True, limit=10, **more).ok
    assert good(10) and not good(10.1)
    assert good(5, baseline=50, goal=2) and not good(5, baseline=6, goal=2) and not good(5, goal=2)
    assert not good(11, baseline=50, goal=2)
    assert Figure("b", "c", 10, "1/s", limit=10).ok and not Figure("b", "c", 9, "1/s", limit=10).ok


def test_controlplane_figures_compare_medians_with_the_best_of_the_others():
    where = {"topology": "grid:5x5", "profile": "default", "what": "down"}
    rows = [{**where, "stack": "dmsc", "last_ms": v, "nodes": 3} for v in (4, 9, 5)]
    rows += [{**where, "stack": "slow", "last_ms": 100}, {**where, "stack": "quick", "last_ms": 20},
             {**where, "stack": "slow", "outage_ms": 3}]
    figure, = controlplane.figures("x", rows)
    assert (figure.case, figure.value, figure.baseline, figure.limit) == ("grid:5x5 default down last_ms", 5, 20, 10)
    assert figure.ok and figure.ratio == 4
    assert controlplane.figures("x", rows[:3])[0].ratio is None


def test_a_grid_has_its_links_and_one_spa():
    grid = topology.load("grid:3x4")
    assert len(grid.of_role("sr")) == 12 and [n.name for n in grid.of_role("spa")] == ["spa-1"]
    assert len(grid.links) == 3 * 3 + 2 * 4 and not any(link.emulate for link in grid.links)
    assert grid.link("r1c2--r2c2") and [n.name for n in topology.load("line:3").of_role("sr")] == ["r0c0", "r0c1", "r0c2"]
    assert pattern.shape("grid:100x100") == (100, 100)  # what the bench of memory asks for
    for wrong in ("grid:0x3", "grid:3", "line:x"):
        with pytest.raises(LabError):
            pattern.document(wrong)
