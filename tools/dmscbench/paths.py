"""Benchmarks through the real daemons: two gateways, one router, a pod on each side. Every figure's
baseline runs right after it, in the same namespaces."""
from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Callable

from dmsclab.errors import LabError
from dmsclab.lab import Lab
from dmsclab.programs import ROOT

from . import baselines, bulk, calls, controlplane, datagrams, failover, forwarding, idle, simulator, web
from .figures import Figure

TOPOLOGY = ROOT / "tests" / "bench" / "topologies" / "line.yaml"
NAME, HOST, PORT = "B/2", "2.b.svc.dmsc", 5201
SECONDS, REPEATS = 3.0, 3


@dataclass
class PathBench:
    what: str
    run: Callable[[], list[Figure]]


def _lab() -> Lab:
    lab = Lab.up(TOPOLOGY, name="bench")
    try:
        lab.wait(lambda: any(row["prefix"] == NAME for row in lab.show("sg-1", "fib")), 20, f"{NAME} at sg-1")
    except LabError:
        lab.down(lab.plan.name)
        raise
    return lab


def _iperf(lab: Lab, host: str, server: str, client: str, *options: str) -> dict:
    """One iperf3 run; the report's end."""
    with baselines.running(lab, server, "iperf3", "-s", "-1", "-p", str(PORT)):
        time.sleep(0.3)
        report = json.loads(lab.exec(client, "iperf3", "-c", host, "-p", str(PORT), "-t", str(int(SECONDS)), "-J",
                                     *options, check=False, timeout=SECONDS + 30).stdout)
    if "error" in report:
        raise LabError(f"iperf3 from {client} to {host}: {report['error']}")
    return report["end"]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forward() -> list[Figure]:
    """Packets that one srd carries in a second of its processor time, and as offered."""
    figures = []
    with _lab() as lab:
        pid = lab.processes()["sr-1"]["pid"]
        for size in (64, 1200):
            rates, per_core = [], []
            for _ in range(REPEATS):
                packets, cpu = _forwarded(lab), _cpu_seconds(pid)
                started = time.monotonic()
                _iperf(lab, HOST, "pod-2", "pod-1", "-u", "-b", "0", "-l", str(size))
                carried, used = _forwarded(lab) - packets, _cpu_seconds(pid) - cpu
                rates.append(carried / min(time.monotonic() - started, SECONDS))
                per_core.append(carried / max(used, 0.01))
            beside = [baselines.forward_per_core(lab, "mmsg", size, SECONDS) for _ in range(REPEATS)]
            figures += [Figure("forward", f"srd, {size} B, a core", median(per_core), "packets/s", median(beside)),
                        Figure("forward", f"srd, {size} B, as offered", median(rates), "packets/s")]
    return figures


def _forwarded(lab: Lab) -> int:
    return lab.show("sr-1", "counters")["data"]["forwarded"]


PATHS = {
    "forward": PathBench("packets per second through one srd", forward),
    "forwarding": PathBench("one worker, packets one by one: label, egress, name; 1 and 16 next hops", forwarding.single),
    "forwarding-names": PathBench("one worker, a million prefixes", forwarding.names),
    "forwarding-trains": PathBench("one worker, whole trains of 1200 B", forwarding.trains),
    "calls": PathBench("request and response through one gateway, two, and a router between", calls.calls),
    "bulk": PathBench("iperf3 through two gateways, sealed and in clear, with a router and without", bulk.bulk),
    "datagrams": PathBench("UDP in trains through two gateways, whole on the TUN devices (USO) and not", datagrams.datagrams),
    "idle": PathBench("processor time of a gateway with four neighbours and nothing to do", idle.idle),
    "web": PathBench("HTTP and connections through two gateways beside nginx as a proxy", web.web),
    "controlplane": PathBench("25 routers beside FRR and BIRD: start, failures, idling", controlplane.grid),
    "controlplane-100": PathBench("100 routers: start, one and two links lost", controlplane.hundred),
    "controlplane-prefixes": PathBench("prefixes across three nodes beside FRR and BIRD", controlplane.many_prefixes),
    "controlplane-memory": PathBench("one srd with the database of 10,000 routers", controlplane.memory),
    "failover": PathBench("a router killed, silent, a link lost: how long traffic stands still", failover.failover),
    "simulator": PathBench("a virtual hour of 100 simulated nodes", simulator.hours),
}
