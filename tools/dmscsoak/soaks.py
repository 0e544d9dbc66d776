"""The table of soaks: a new one is one row.

A soak runs one program of the build, or several copies of it side by side. What it prints is shown as it
comes; a line that is a JSON object with "case" and "value" is a figure:

    {"case": "no loop in steady state", "value": 0, "unit": "loops", "at_most": 0, "merge": "sum"}

"at_most" or "at_least" is the goal, and may be missing. "merge" says how the figures of several copies
become one: "sum", "max" or "min". The exit status counts too: any other than 0 fails the soak.
"""
from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

# The command lines to run side by side, for this many processors and a number of items (None: all).
Commands = Callable[[int, int | None], list[list[str]]]


@dataclass(frozen=True)
class Soak:
    name: str
    what: str
    target: str                     # what to build, several apart by spaces
    commands: Commands              # a program without a full path is build/release/PROGRAM
    items: int                      # how many there are, of what `--count` changes
    environment: tuple[tuple[str, str], ...] = ()   # `{n}` in a value is the number of items


def one(*argv: str) -> Commands:
    """One program; `{n}` in its arguments is the number of items."""
    def commands(_: int, count: int | None) -> list[list[str]]:
        return [[word.replace("{n}", str(count)) for word in argv]]
    return commands


def seeds(*argv: str) -> Commands:
    """A program with --seed FIRST --seeds COUNT, its seeds split over the processors."""
    def commands(jobs: int, count: int | None) -> list[list[str]]:
        total = count or 1
        jobs = max(1, min(jobs, total))
        starts = [1 + total * job // jobs for job in range(jobs + 1)]
        return [[*argv, "--seed", str(first), "--seeds", str(last - first)]
                for first, last in zip(starts, starts[1:])]
    return commands


SIM = "tests/sim"
BUSY = Path(__file__).resolve().parents[2] / "tests" / "bench" / "controlplane" / "busy.py"
FLOWS = BUSY.parents[2] / "soak" / "flows_live.py"
SOAKS = [
    Soak("sim-seeds", "the oracle over random networks and faults, one virtual minute each",
         "sim", seeds(SIM, "--json"), 10_000),
    Soak("sim-1200", "1,200 nodes started within 1 s all converge",
         "sim", seeds(SIM, "case", "start-1200", "--json"), 100),
    Soak("sim-hour", "one virtual hour of 100 nodes, with link tags stubbed and real, and what it costs",
         "sim", seeds(SIM, "case", "hour", "hour-real", "--json"), 2),
    Soak("sim-day", "one virtual day of 100 nodes",
         "sim", one(SIM, "case", "day", "--json"), 1),
    Soak("spf-edits", "repaired shortest paths and alternates beside full runs, over random edits of topologies",
         "unit_routing", one("tests/unit_routing", "[soak-spf-edits]"), 1_000_000, (("DMSC_SPF_EDITS", "{n}"),)),
    Soak("liveness", "links of real engines under random loss for a virtual day: none may go down falsely",
         "soak_liveness", seeds("tests/soak_liveness"), 180),
    Soak("forgery", "replayed, cut, flipped and forged packets against a live engine",
         "soak_forgery", seeds("tests/soak_forgery"), 10_000_000),
    Soak("attack", "bogus names and invented origins from one node: what its peers feel",
         "soak_attack", one("tests/soak_attack", "--names", "{n}"), 10_000_000),
    Soak("flows", "50,000 flows of unmodified programs at a time through two gateways, virtual hours",
         "soak_flows", one("tests/soak_flows", "{n}"), 3),
    Soak("flows-live", "seconds of 50,000 flows at a time through real gateways: memory, tables, answers (root)",
         "sgd srd spad ctl dmsc-pod linkem", one(sys.executable, str(FLOWS), "{n}"), 3600),
    Soak("fib", "longest match, single and batched, beside a naive reference: 100,000 random cases a seed",
         "soak_fib", seeds("tests/soak_fib"), 100),
    Soak("fib-updates", "two readers of a FIB during 1,000,000 updates", "unit_dataplane",
         one("tests/unit_dataplane", "[million]"), 1),
    Soak("busy", "seconds of a grid of real routers while every core is busy: no adjacency may be lost (root)",
         "srd spad ctl linkem controlplane_look", one(sys.executable, str(BUSY), "{n}"), 600),
]


def find(name: str) -> Soak | None:
    return next((soak for soak in SOAKS if soak.name == name), None)


def processors() -> int:
    return os.cpu_count() or 1
