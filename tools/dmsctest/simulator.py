"""Runs the network simulator on every processor and writes its outcome as JUnit: one entry per seed, one
per case with a name."""
from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from dmscsoak.figures import Figure, merged, parse

from .results import Outcome

FAILED = re.compile(r"^seed (\d+): FAILED: (.*)$", re.M)
CASE_FAILED = re.compile(r"^case .*: FAILED: (.*)$", re.M)
CLOSING = re.compile(r"^(\d+) seeds, (\d+) failed", re.M)
CHUNK = 10                          # seeds per process: every tenth is a large network
SEEDS_OF_A_GOAL = 200               # fewer do not fail by a percentile: one bad seed would decide it

# The cases of the test command and how many seeds of each; the long ones first.
CASES = {"start-1200": 1, "hour": 1, "grid-link-failure": 1, "grid-silent-failure": 1, "link-up": 1,
         "starting-node": 1, "path-mtu": 5, "repeat": 2}
# Faults in the code (`sim --break`), each of which the oracle must notice.
FAULTS = ("no-digest", "stuck-fib", "deaf-to-withdrawals", "any-origin")
FAST_CASES = {name: 1 for name in ("grid-link-failure", "grid-silent-failure", "link-up", "path-mtu", "repeat")}


@dataclass
class Run:
    """What one process of the simulator said."""
    text: str = ""
    figures: list[Figure] = field(default_factory=list)
    code: int = 0


@dataclass
class Verdict:
    """Of all seeds or one case."""
    failed: dict[str, str] = field(default_factory=dict)  # test name -> reason
    figures: list[Figure] = field(default_factory=list)


def start(argv: list[str | Path]) -> Run:
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    run = Run(code=done.returncode)
    for line in done.stdout.splitlines(keepends=True):
        figure = parse("sim", line)
        if figure is not None:
            run.figures.append(figure)
        else:
            run.text += line
    return run


def read(output: str, first: int, seeds: int) -> tuple[dict[int, str], str]:
    """(failed seeds with the reason, error) of what one simulator printed."""
    failed = {int(seed): why for seed, why in FAILED.findall(output)}
    closing = CLOSING.search(output)
    if closing is None or int(closing.group(1)) != seeds or int(closing.group(2)) != len(failed):
        return failed, f"the simulator did not finish the seeds {first} to {first + seeds - 1}"
    return failed, ""


def read_case(name: str, run: Run) -> str:
    """Why a case failed; empty if it did not. What a figure costs in processor time is no test's affair."""
    if wrong := CASE_FAILED.search(run.text):
        return wrong.group(1)
    if not run.figures:
        return f"exit {run.code}: no figure: {run.text.strip()[-200:]}"
    bad = [f"{f.case}: {f.value:g} {f.unit}, at most {f.at_most:g}" for f in run.figures
           if not f.ok and "processor time" not in f.case]
    return "; ".join(bad)


def write(results: Path, tests: dict[str, str], error: str) -> None:
    suite = ElementTree.Element("testsuite", name="sim")
    for name, why in tests.items():
        case = ElementTree.SubElement(suite, "testcase", classname="sim", name=name)
        if why:
            ElementTree.SubElement(case, "failure", message=why)
    if not error:
        ElementTree.SubElement(suite, "testcase", classname="sim", name="sim")
    ElementTree.ElementTree(suite).write(results)


def show(figures: list[Figure]) -> None:
    for figure in figures:
        goal = f" (at most {figure.at_most:g})" if figure.at_most is not None else ""
        print(f"  {figure.case}: {figure.value:.6g} {figure.unit}{goal}{'' if figure.ok else ' MISSED'}")


def log_of(program: Path, path: Path) -> bytes:
    start([program, "--seed", "5", "--seeds", "1", "--log", path])
    return path.read_bytes() if path.exists() else b""


def repeats(program: Path) -> str:
    """Whether two processes write the same log of one seed, byte by byte; why not, or empty."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (log_of(program, Path(folder) / name) for name in ("first", "second"))
    if not first:
        return "no log was written"
    return "" if first == second else "two runs of one seed differ"


def unnoticed(program: Path, fault: str) -> str:
    """Whether the oracle finds nothing wrong with a fault in the code: what is wrong with the oracle, or empty."""
    done = start([program, "--seeds", "10", "--nodes", "12", "--break", fault])
    return "" if done.code == 1 and FAILED.search(done.text) else f"exit {done.code}: ten seeds with {fault} passed"


def run(program: Path, seeds: int, results: Path, cases: dict[str, int] | None = None,
        faults: tuple[str, ...] = FAULTS) -> Outcome:
    """Seeds 1 to `seeds` and the cases, spread over the processors."""
    chunks = [(first, min(CHUNK, seeds + 1 - first)) for first in range(1, seeds + 1, CHUNK)]
    cases = CASES if cases is None else cases
    out, tests, seed_figures = Outcome(), {}, []
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            case_runs = [pool.submit(start, [program, "case", name, "--seeds", str(count), "--json"])
                         for name, count in cases.items()]
            log_run = pool.submit(repeats, program)
            fault_runs = [pool.submit(unnoticed, program, fault) for fault in faults]
            seed_runs = [pool.submit(start, [program, "--seed", str(first), "--seeds", str(count), "--json"])
                         for first, count in chunks]
            for name, future in zip(cases, case_runs):
                done = future.result()
                sys.stdout.write(done.text)
                show(merged(done.figures))
                tests[f"sim case {name}"] = read_case(name, done)
            tests["sim log"] = log_run.result()
            tests.update({f"sim notices {fault}": future.result() for fault, future in zip(faults, fault_runs)})
            for (first, count), future in zip(chunks, seed_runs):
                done = future.result()
                bad, error = read(done.text, first, count)
                sys.stdout.write("".join(line for line in done.text.splitlines(True) if not CLOSING.match(line)))
                tests.update({f"sim seed {seed}": bad.get(seed, "") for seed in range(first, first + count)})
                seed_figures += done.figures
                out.error = out.error or error
    except OSError as error:
        return Outcome(error=f"{program}: {error.strerror}")
    seed_figures = merged(seed_figures)
    show(seed_figures)
    if seeds >= SEEDS_OF_A_GOAL:
        tests.update({f"sim figure {f.case}": "" if f.ok else f"{f.value:g} {f.unit}, at most {f.at_most:g}"
                      for f in seed_figures if f.at_most is not None})
    write(results, tests, out.error)
    out.failed = sum(1 for why in tests.values() if why)
    out.passed = len(tests) - out.failed
    out.names = [f"{name}: {why}" for name, why in tests.items() if why]
    return out
