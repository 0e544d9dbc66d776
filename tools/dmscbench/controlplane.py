"""The control plane beside FRR and BIRD: runs tests/bench/controlplane and makes figures of its repetitions.
The value is our median, the baseline the best median among the others that ran."""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from dmsclab.errors import LabError
from dmsclab.programs import ROOT

from .figures import Figure

PROGRAM = ROOT / "tests" / "bench" / "controlplane"
OURS = "dmsc"
UNITS = {"_ms": "ms", "_s": "s", "_mb": "MB", "_percent": "%", "_neighbour": "%"}
# (topology, profile, what, key): the most that is good enough.
LIMITS = {
    ("grid:5x5", "default", "cold", "cold_s"): 1.0,
    ("grid:5x5", "default", "down", "outage_ms"): 5.0,
    ("grid:5x5", "default", "down", "last_ms"): 10.0,
    ("grid:5x5", "default", "down", "restore_ms"): 1000.0,
    ("grid:5x5", "default", "silent", "outage_ms"): 350.0,
    ("grid:5x5", "default", "drain", "moved_ms"): 150.0,
    ("grid:5x5", "default", "drain", "outage_ms"): 0.0,
    ("grid:5x5", "default", "idle", "cpu_percent_per_neighbour"): 0.1,
    ("grid:5x5", "default", "idle", "rss_mb"): 24.0,
    ("grid:5x5", "liveness50", "silent", "outage_ms"): 155.0,
    ("grid:10x10", "default", "cold", "cold_s"): 10.0,
    ("grid:10x10", "default", "down", "last_ms"): 150.0,
    ("grid:10x10", "default", "two", "last_ms"): 300.0,
    ("line:3", "default", "prefixes-10000", "far_s"): 0.1,
    ("line:3", "default", "prefixes-100000", "far_s"): 1.0,
    ("line:2", "default", "memory", "idle_rss_mb"): 24.0,
    ("line:2", "default", "memory", "added_mb"): 12.0,
}


def _rows(*arguments: str) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as file:
        command = [sys.executable, str(PROGRAM), "--json", file.name, *arguments]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        rows = [json.loads(line) for line in Path(file.name).read_text().splitlines()]
    if not any(row["stack"] == OURS for row in rows):
        raise LabError(f"{PROGRAM.name} {' '.join(arguments)}: exit {done.returncode} without a figure of ours")
    return rows


def figures(bench: str, rows: list[dict[str, Any]]) -> list[Figure]:
    """One figure for each number, smaller is better in all of them."""
    values: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    for row in rows:
        for key, value in row.items():
            if value is not None and key.endswith(tuple(UNITS)):
                where = (row["topology"], row["profile"], row["what"], key)
                values.setdefault(where, {}).setdefault(row["stack"], []).append(value)
    out = []
    for where, found in values.items():
        if OURS not in found:
            continue
        others = [median(v) for stack, v in found.items() if stack != OURS]
        unit = next(unit for end, unit in UNITS.items() if where[3].endswith(end))
        out.append(Figure(bench, " ".join(where), median(found[OURS]), unit, min(others, default=None),
                          smaller_is_better=True, limit=LIMITS.get(where)))
    return out


def grid() -> list[Figure]:
    """25 nodes: start, announced and silent loss of a link, idling; all stacks."""
    return figures("controlplane", _rows("--topology", "grid:5x5") +
                   _rows("--topology", "grid:5x5", "--profiles", "liveness50", "--kinds", "silent,idle") +
                   _rows("--stacks", OURS, "--topology", "grid:5x5", "--profiles", "recorded", "--kinds", "idle"))


def hundred() -> list[Figure]:
    """100 nodes: start, one and two links lost; beside FRR's ospfd, the fastest of the others here."""
    return figures("controlplane-100", _rows("--topology", "grid:10x10", "--stacks", "dmsc,frr-ospf", "--kinds",
                                             "cold,down,two"))


def many_prefixes() -> list[Figure]:
    """10,000 and 100,000 prefixes across three nodes; all stacks."""
    return figures("controlplane-prefixes", _rows("--prefixes", "10000", "100000"))


def memory() -> list[Figure]:
    """One srd, idle and with the database of 10,000 routers."""
    return figures("controlplane-memory", _rows("--memory", "100x100", "--stacks", OURS))
