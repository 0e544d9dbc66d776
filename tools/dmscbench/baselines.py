"""The minimal programs of tests/bench/baselines, run in the very namespaces our daemons run in."""
from __future__ import annotations

import re
import subprocess
import time
from contextlib import contextmanager
from typing import Iterator

from dmsclab.errors import LabError
from dmsclab.lab import Lab
from dmsclab.programs import build_dir

IN_PORT, OUT_PORT = 7601, 7602


def program(name: str) -> str:
    path = build_dir() / "tests" / "bench" / "baselines" / f"baseline_{name}"
    if not path.exists():
        raise LabError(f"{path} is not built: run tools/build release baseline_{name}")
    return str(path)


def field(text: str, key: str) -> float:
    """The number after key= in what a baseline program prints."""
    match = re.search(rf"\b{key}=([\d.]+)", text)
    if match is None:
        raise LabError(f"no {key}= in: {text.strip() or '(no output)'}")
    return float(match.group(1))


@contextmanager
def running(lab: Lab, node: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A program in the background of a node, ended with SIGTERM."""
    process = lab.popen(node, *argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(lab: Lab, link: str, node: str) -> str:
    wire = lab.plan.wire(link)
    return wire.addresses[wire.link.ends.index(node)]


def forward_per_core(lab: Lab, mode: str, size: int, seconds: float) -> float:
    """Packets from sg-1 over sr-1 to sg-2 that one minimal forwarder carries in a second of its processor time."""
    inward = f"{address(lab, 'sg-1--sr-1', 'sr-1')}:{IN_PORT}"
    outward = f"{address(lab, 'sr-1--sg-2', 'sg-2')}:{OUT_PORT}"
    with running(lab, "sr-1", program("udpfwd"), mode, inward, outward, "1") as forwarder, \
            running(lab, "sg-2", program("udpgen"), "sink", outward, str(seconds), "0"):
        time.sleep(0.3)
        lab.exec("sg-1", program("udpgen"), "gen", inward, str(size), str(seconds), "0", "mmsg", timeout=seconds + 20)
        forwarder.terminate()
        text, _ = forwarder.communicate(timeout=10)
    return 1e9 / field(text, "ns_per_packet")
