"""UDP bulk by unmodified programs through two gateways, sealed: datagrams of 1,200 bytes in trains of 50, as a QUIC
sender hands them out, with trains on the TUN devices left whole (USO) and without, in the same domain. One core per
host, as in bulk.py. More is offered than passes, so what counts is what arrives, and the gateways' processor time for it."""
from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from statistics import median

import yaml
from dmsclab.lab import Lab

from . import baselines
from .bulk import FAR, NEAR, bulk_lab
from .figures import Figure

HOST, PORT, SIZE, SECONDS, REPEATS = "2.b.svc.dmsc", 5201, 1200, 3.0, 3
GATEWAYS = ("sg-1", "sg-2")


def _switch(lab: Lab, on: bool) -> None:
    for node in GATEWAYS:
        file = lab.plan.config_file(node)
        config = yaml.safe_load(file.read_text())
        config.setdefault("dataplane", {})["offloads"] = {"tun_uso": on}
        file.write_text(yaml.safe_dump(config))
        lab.send(node, signal.SIGHUP)
    time.sleep(1)


def _cpu_seconds(lab: Lab) -> float:
    total = 0
    for node in GATEWAYS:
        stat = Path(f"/proc/{lab.processes()[node]['pid']}/stat").read_text()
        total += sum(int(field) for field in stat.rsplit(")", 1)[1].split()[11:13])
    return total / os.sysconf("SC_CLK_TCK")


def _transfer(lab: Lab, address: str) -> tuple[float, float]:
    """Gbit/s that arrive; microseconds of the gateways' processor time for each datagram of these."""
    generator, seconds = baselines.program("udpgen"), str(SECONDS)
    sink = lab.popen("pod-2", generator, "sink", f"127.0.0.1:{PORT}", str(SECONDS + 3), str(FAR), stdout=-1)
    time.sleep(0.3)
    before = _cpu_seconds(lab)
    lab.exec("pod-1", generator, "gen", f"{address}:{PORT}", str(SIZE), seconds, str(NEAR), "gso",
             timeout=SECONDS + 30)
    used = _cpu_seconds(lab) - before
    text, _ = sink.communicate(timeout=SECONDS + 10)
    packets = baselines.field(text, "packets")
    share = SECONDS / baselines.field(text, "wall")  # its first 0.3 s are not counted
    return baselines.field(text, "gbps"), used * 1e6 / max(packets * share, 1)


def datagrams() -> list[Figure]:
    runs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with bulk_lab(True) as lab:
        address = lab.exec("pod-1", "getent", "ahostsv4", HOST).stdout.split()[0]
        for _ in range(REPEATS):
            for on in (True, False):
                _switch(lab, on)
                runs[on].append(_transfer(lab, address))
    rate, cost = ({on: median(run[i] for run in runs[on]) for on in runs} for i in (0, 1))
    return [Figure("datagrams", "1200 B by trains, sealed, beside without USO", rate[True], "Gbit/s", rate[False], 1.0),
            Figure("datagrams", "processor time of both gateways, beside without USO", cost[True], "us/datagram",
                   cost[False], 1.0, smaller_is_better=True)]
