"""Fail-over of real daemons: how long traffic of unmodified programs stands still when the router it passes, or a
link of it, fails. Two gateways, the shortest way between them by sr-2; pods exchange UDP probes, one a
millisecond, and a TCP stream beside them."""
from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Callable

import dmsclab
from dmsclab.errors import LabError
from dmsclab.lab import Lab
from dmsclab.programs import ROOT

from .figures import Figure

TOPOLOGY = ROOT / "tests" / "bench" / "topologies" / "failover.yaml"
HOST, PORT = "2.b.svc.dmsc", "5201"
PROGRAMS = Path(dmsclab.__file__).resolve().parent
LINKS = ["sg-1--sr-2", "sg-2--sr-2"]


def open_lab(name: str) -> Lab:
    lab = Lab.up(TOPOLOGY, name=name)
    try:
        for program in ("outage", "stream"):
            lab.launch("pod-2", program, [sys.executable, str(PROGRAMS / f"{program}.py"), "serve", PORT])
        lab.wait(lambda: lab.exec("pod-1", "getent", "ahostsv4", HOST, check=False).returncode == 0, 30,
                 f"{HOST} in pod-1")
        settled(lab)
    except LabError:
        lab.down(lab.plan.name)
        raise
    return lab


def settled(lab: Lab) -> None:
    """All adjacencies are up, the shortest way is in use, and every alternate is there."""
    def shortest(source: str, target: str) -> bool:
        row = next((row for row in lab.show(source, "paths") if row["node"] == target), None)
        return row is not None and row["path"] == [source, "sr-2", target] and row["protection"] != "none"
    lab.wait(lambda: shortest("sg-1", "sg-2") and shortest("sg-2", "sg-1"), 20, "the way by sr-2 with an alternate")
    time.sleep(0.7)                    # what came back is damped (LS-O3), and ICMP errors are rationed by the kernel


def _client(lab: Lab, program: str, *arguments: str) -> subprocess.Popen[str]:
    client = lab.popen("pod-1", sys.executable, str(PROGRAMS / f"{program}.py"), "call", HOST, PORT, *arguments,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert client.stdout is not None
    if client.stdout.readline() != "open\n":
        raise LabError(f"{program} in pod-1: {client.communicate()[1]}")
    return client


def _result(client: subprocess.Popen[str]) -> dict:
    out, err = client.communicate(timeout=60)
    if client.returncode != 0:
        raise LabError(f"a client in pod-1 failed: {err}")
    return json.loads(out)


def measure(lab: Lab, fail: Callable[[Lab], None], repair: Callable[[Lab], None]) -> dict[str, float]:
    """`outage_ms` of UDP and `tcp_ms`, the longest time without a byte at the client. Ends repaired."""
    probes, stream = _client(lab, "outage", "4"), _client(lab, "stream", "4", "1", "1000")
    try:
        time.sleep(1.5)
        fail(lab)
        udp, tcp = _result(probes), _result(stream)
    finally:
        repair(lab)
        settled(lab)
    if tcp["wrong"]:
        raise LabError(f"the stream broke: {tcp}")
    return {"outage_ms": udp["outage_ms"], "tcp_ms": tcp["gap"] * 1000, "runs": udp["runs"],
            "lost": udp["sent"] - udp["answered"]}


def carrier(up: bool) -> Callable[[Lab], None]:
    return lambda lab: lab.carrier(LINKS[0], up)


# What fails, how it is repaired, the most milliseconds that may cost.
CASES: dict[str, tuple[Callable[[Lab], None], Callable[[Lab], None], float]] = {
    "router killed (the kernel tells)": (lambda lab: lab.send("sr-2", signal.SIGKILL),
                                         lambda lab: (lab.wait_exit("sr-2"), lab.start("sr-2"))[0], 50),
    "router silent (default liveness)": (lambda lab: lab.send("sr-2", signal.SIGSTOP),
                                         lambda lab: lab.send("sr-2", signal.SIGCONT), 350),
    "link down (netlink)": (carrier(False), carrier(True), 50),
}


def failover() -> list[Figure]:
    figures = []
    with open_lab("bench-failover") as lab:
        for case, (fail, repair, limit) in CASES.items():
            runs = [measure(lab, fail, repair) for _ in range(3)]
            figures.append(Figure("failover", case + ": UDP", median(r["outage_ms"] for r in runs), "ms",
                                  smaller_is_better=True, limit=limit))
            figures.append(Figure("failover", case + ": TCP", median(r["tcp_ms"] for r in runs), "ms",
                                  smaller_is_better=True, limit=limit))
    return figures
