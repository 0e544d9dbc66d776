"""Runs the network simulator on every processor and writes its outcome as JUnit, one entry per seed."""
from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .results import Outcome

FAILED = re.compile(r"^seed (\d+): FAILED: (.*)$", re.M)
CLOSING = re.compile(r"^(\d+) seeds, (\d+) failed", re.M)


def read(output: str, first: int, seeds: int) -> tuple[dict[int, str], str]:
    """(failed seeds with the reason, error) of what one simulator printed."""
    failed = {int(seed): why for seed, why in FAILED.findall(output)}
    closing = CLOSING.search(output)
    if closing is None or int(closing.group(1)) != seeds or int(closing.group(2)) != len(failed):
        return failed, f"the simulator did not finish the seeds {first} to {first + seeds - 1}"
    return failed, ""


def run(program: Path, seeds: int, results: Path) -> Outcome:
    """Seeds 1 to `seeds`, split over the processors; every tenth is a large network."""
    jobs = min(os.cpu_count() or 1, seeds)
    starts = [1 + seeds * job // jobs for job in range(jobs + 1)]
    out, failed = Outcome(), {}
    try:
        running = [(first, last - first, subprocess.Popen([program, "--seed", str(first), "--seeds", str(last - first)],
                                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
                   for first, last in zip(starts, starts[1:])]
    except OSError as error:
        return Outcome(error=f"{program}: {error.strerror}")
    for first, count, process in running:
        text, _ = process.communicate()
        sys.stdout.write(text)
        bad, error = read(text, first, count)
        failed.update(bad)
        out.error = out.error or error
    suite = ElementTree.Element("testsuite", name="sim")
    for seed in range(1, seeds + 1):
        case = ElementTree.SubElement(suite, "testcase", classname="sim", name=f"sim seed {seed}")
        if seed in failed:
            ElementTree.SubElement(case, "failure", message=failed[seed])
    if not out.error:
        ElementTree.SubElement(suite, "testcase", classname="sim", name="sim")
    ElementTree.ElementTree(suite).write(results)
    out.passed, out.failed = seeds - len(failed), len(failed)
    out.names = [f"sim seed {seed}: {why}" for seed, why in sorted(failed.items())]
    return out
