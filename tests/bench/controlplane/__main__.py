"""The control plane beside FRR and BIRD: tests/bench/controlplane [--stacks ...] [--topologies ...].

All stacks run in turn in the same network namespaces. One table at the end; one JSON object a repetition with
--json. Needs root; FRR and BIRD are installed from the distribution when asked for, and none of their
services is started."""
from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tools")]

from dmsclab import pattern  # noqa: E402
from dmsclab.errors import LabError  # noqa: E402
from dmsclab.lab import Lab  # noqa: E402

import measure  # noqa: E402
import memory  # noqa: E402
import prefixes  # noqa: E402
from net import Net  # noqa: E402
from ours import Ours  # noqa: E402
from peers import BirdOspf, FrrIsis, FrrOspf  # noqa: E402
from stack import PROFILES, Stack  # noqa: E402

STACKS: dict[str, type[Stack]] = {stack.name: stack for stack in (Ours, FrrOspf, FrrIsis, BirdOspf)}
KINDS = ("cold", "down", "two", "silent", "idle", "drain")


class Report:
    """Every repetition as a line of JSON, the medians as a table."""

    def __init__(self, file: Path | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._file = open(file, "w") if file else None

    def add(self, **row: Any) -> None:
        row = {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}
        self.rows.append(row)
        line = json.dumps({**row, "load1": round(os.getloadavg()[0], 2)})
        print(line, file=sys.stderr, flush=True)
        if self._file:
            print(line, file=self._file, flush=True)

    def table(self) -> str:
        stacks = list(dict.fromkeys(row["stack"] for row in self.rows))
        cells: dict[tuple[str, ...], dict[str, list[float]]] = {}
        for row in self.rows:
            for key, value in row.items():
                if key.endswith(("_ms", "_s", "_mb", "_percent", "_neighbour")) and value is not None:
                    where = (row["topology"], row["profile"], row["what"], key)
                    cells.setdefault(where, {}).setdefault(row["stack"], []).append(value)
        head = ["TOPOLOGY", "PROFILE", "WHAT", "FIGURE", *stacks]
        body = [[*where, *(f"{median(found[s]):.4g}" if s in found else "-" for s in stacks)]
                for where, found in cells.items()]
        widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
        return "\n".join("  ".join(cell.ljust(width) if i < 4 else cell.rjust(width)
                                   for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
                         for row in [head, *body])


def run_grid(net: Net, stack: Stack, kinds: list[str], repeats: int, report: Report) -> None:
    where = {"topology": net.shape, "stack": stack.name, "profile": stack.profile.name}
    try:
        for number in range(repeats if "cold" in kinds else 1):
            stack.stop()
            figures = measure.cold(stack)
            if "cold" in kinds:
                report.add(**where, what="cold", repetition=number, **figures)
        measure.settle(stack)
        if "idle" in kinds:
            report.add(**where, what="idle", repetition=0, **measure.idle(net, stack))
        for number in range(repeats if "drain" in kinds and stack.name == Ours.name else 0):
            report.add(**where, what="drain", repetition=number, **measure.drain(net, stack))
            time.sleep(measure.FORGET_S)
        failures = {"down": measure.announced, "two": measure.two, "silent": measure.silent}
        for kind, fail in failures.items():
            for number in range(repeats if kind in kinds else 0):
                report.add(**where, what=kind, repetition=number, **fail(net, stack))
                time.sleep(measure.FORGET_S)
    finally:
        stack.stop()


def run_line(net: Net, stack: Stack, options: argparse.Namespace, report: Report) -> None:
    where = {"topology": net.shape, "stack": stack.name, "profile": stack.profile.name}
    for count in options.prefixes or []:
        for number in range(options.repeats):
            report.add(**where, what=f"prefixes-{count}", repetition=number, **prefixes.measure(net, stack, count))
    if options.memory and stack.name == Ours.name:
        rows, columns = pattern.shape(f"grid:{options.memory}")
        report.add(**where, what="memory", repetition=0, **memory.measure(net, rows, columns))


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/bench/controlplane", description=__doc__)
    parser.add_argument("--stacks", default=",".join(STACKS), help="which, separated by commas (default: all)")
    parser.add_argument("--topology", default="grid:5x5", help="grid:ROWSxCOLUMNS")
    parser.add_argument("--profiles", default="default", help=f"of {', '.join(PROFILES)}")
    parser.add_argument("--kinds", default="cold,down,silent,idle,drain", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--prefixes", type=int, nargs="+", metavar="N", help="instead: N prefixes across line:3")
    parser.add_argument("--memory", metavar="ROWSxCOLUMNS", help="instead: one router with the database of such a grid")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="one line a repetition")
    parser.add_argument("--keep", action="store_true", help="leave the namespaces for a look")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("tests/bench/controlplane needs root: it makes network namespaces", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # the namespaces go then too
    report, failed = Report(options.json), False
    line = "line:3" if options.prefixes else "line:2" if options.memory else None
    shape = line or options.topology
    name = os.environ.get("DMSC_BENCH_LAB", "cpbench")
    lab = Lab.up(shape, name=name, only=[] if line else ["spa-1"])
    net = Net(lab, shape)
    try:
        for stack_name in options.stacks.split(","):
            for profile in options.profiles.split(","):
                folder = lab.plan.state / "bench" / stack_name
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    stack = STACKS[stack_name](net, PROFILES[profile], folder)
                    if line:
                        run_line(net, stack, options, report)
                    else:
                        run_grid(net, stack, options.kinds.split(","), options.repeats, report)
                except LabError as error:
                    failed = True
                    print(f"{stack_name} ({profile}): {error}", file=sys.stderr)
    finally:
        net.close()
        if not options.keep:
            Lab.down(name)
    print(report.table())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
