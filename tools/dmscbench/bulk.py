"""iperf3 over TCP by name through two gateways, sealed and in clear, directly and with a router between,
beside minimal tunnels on the same links. One core per host: what is called from has core 0, what is called
and the router core 1, theirs and ours alike."""
from __future__ import annotations

import json
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Iterator

import yaml

from dmsclab.errors import LabError
from dmsclab.lab import Lab
from dmsclab.programs import ROOT

from . import baselines, nebula
from .figures import Figure

TOPOLOGY = ROOT / "tests" / "bench" / "topologies" / "bulk.yaml"
PORT, SECONDS, REPEATS = 5201, 3, 3
NEAR, FAR = 0, 1
CLEAR = {"dataplane": {"security": "none", "unsealed": "accept"}}
# Called from pod-1 and sg-1: the pod, its gateway, whether the router is between.
CASES = {"two gateways": ("pod-2", "sg-2", "B/2", False), "with a router": ("pod-4", "sg-3", "B/4", True)}


@contextmanager
def bulk_lab(sealed: bool) -> Iterator[Lab]:
    plan = yaml.safe_load(TOPOLOGY.read_text())
    if not sealed:
        for name, node in plan["nodes"].items():
            if node["role"] == "sg":
                plan["nodes"][name] = {**node, "config": CLEAR}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bulk.yaml"
        path.write_text(yaml.safe_dump(plan, sort_keys=False))
        with Lab.up(path, name="bench-bulk") as lab:
            for name, core in (("sg-1", NEAR), ("sg-2", FAR), ("sg-3", FAR), ("sr-1", FAR)):
                subprocess.run(["taskset", "-a", "-cp", str(core), str(lab.processes()[name]["pid"])], check=True,
                               stdout=subprocess.DEVNULL)
            for _, _, name, _ in CASES.values():
                lab.wait(lambda name=name: any(row["prefix"] == name for row in lab.show("sg-1", "fib")), 20,
                         f"{name} at sg-1")
            yield lab


def _gbits(lab: Lab, host: str, server: str, client: str, streams: int) -> float:
    """The median of some runs."""
    def one() -> float:
        with baselines.running(lab, server, "taskset", "-c", str(FAR), "iperf3", "-s", "-1", "-p", str(PORT)):
            time.sleep(0.3)
            report = json.loads(lab.exec(client, "taskset", "-c", str(NEAR), "iperf3", "-c", host, "-p", str(PORT),
                                         "-t", str(SECONDS), "-P", str(streams), "-J", check=False,
                                         timeout=SECONDS + 30).stdout)
        if "error" in report:
            raise LabError(f"iperf3 from {client} to {host}: {report['error']}")
        return report["end"]["sum_received"]["bits_per_second"] / 1e9
    return median(one() for _ in range(REPEATS))


def _host(name: str) -> str:
    return ".".join(reversed(name.split("/"))) + ".svc.dmsc"


@contextmanager
def _tunnel(lab: Lab, far_node: str, router: bool) -> Iterator[str]:
    """A minimal tunnel (TSO) from sg-1's namespace to the other's; with a minimal forwarder in the router's
    place. Yields the far address."""
    port = 7641
    near_link, far_link = ("sg-1--sr-1", f"sr-1--{far_node}") if router else (f"sg-1--{far_node}",) * 2
    near, far = baselines.address(lab, near_link, "sg-1"), baselines.address(lab, far_link, far_node)
    to_near, to_far = near, far
    with ExitStack() as stack:
        if router:
            to_far, to_near = baselines.address(lab, near_link, "sr-1"), baselines.address(lab, far_link, "sr-1")
            for inward, outward in ((to_far, far), (to_near, near)):
                stack.enter_context(baselines.running(lab, "sr-1", baselines.program("udpfwd"), "gsomm",
                                                      f"{inward}:{port}", f"{outward}:{port}", str(FAR)))
        tunnel, unconnected = baselines.program("tuntun"), ["any"] if router else []
        stack.enter_context(baselines.running(lab, "sg-1", tunnel, "tso", "base0", f"{near}:{port}", f"{to_far}:{port}",
                                              str(NEAR), *unconnected))
        stack.enter_context(baselines.running(lab, far_node, tunnel, "tso", "base0", f"{far}:{port}",
                                              f"{to_near}:{port}", str(FAR), *unconnected))
        time.sleep(0.2)
        for number, node in enumerate(("sg-1", far_node), 1):
            lab.exec(node, "ip", "address", "add", f"10.250.0.{number}/24", "dev", "base0")
            lab.exec(node, "ip", "link", "set", "base0", "mtu", "1400", "up")
        yield "10.250.0.2"


def bulk() -> list[Figure]:
    """Goals: in clear 85 % of the minimal tunnel, 80 % with a router; sealed 4 x nebula, which carries 1.08
    where the tunnel carries 7.49: 58 % of it; four streams as much as one."""
    figures = []
    for sealed in (True, False):
        word = "sealed" if sealed else "clear"
        with bulk_lab(sealed) as lab:
            for case, (pod, gateway, name, router) in CASES.items():
                with _tunnel(lab, gateway, router) as address:
                    beside = _gbits(lab, address, gateway, "sg-1", 1)
                one = _gbits(lab, _host(name), pod, "pod-1", 1)
                goal = 4 * 1.08 / 7.49 if sealed else 0.8 if router else 0.85
                figures.append(Figure("bulk", f"{word}, {case}, beside tuntun tso", one, "Gbit/s", beside, goal))
                if not router and nebula.installed():
                    with nebula.overlay(lab, f"sg-1--{gateway}", "sg-1", gateway, (NEAR, FAR)) as address:
                        overlay = _gbits(lab, address, gateway, "sg-1", 1)
                    figures.append(Figure("bulk", f"{word}, {case}, beside nebula", one, "Gbit/s", overlay,
                                          4.0 if sealed else 5.0))
                four = _gbits(lab, _host(name), pod, "pod-1", 4)
                figures.append(Figure("bulk", f"{word}, {case}, four streams beside one", four, "Gbit/s", one, 1.0))
    return figures
