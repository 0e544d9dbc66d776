"""What a gateway costs that has nothing to do: four adjacencies, a pod, an SPA it talks to, no traffic."""
from __future__ import annotations

import time
from pathlib import Path

from dmsclab.lab import Lab
from dmsclab.programs import ROOT

from .figures import Figure

TOPOLOGY = ROOT / "tests" / "bench" / "topologies" / "idle.yaml"
GATEWAY, NAME, NEIGHBOURS = "sg-1", "A/1", 4
SETTLE, SECONDS = 12.0, 20.0


def _busy_ns(pid: int) -> dict[str, int]:
    """Nanoseconds on a core by thread."""
    out: dict[str, int] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        out[name] = out.get(name, 0) + int((task / "schedstat").read_text().split()[0])
    return out


def idle() -> list[Figure]:
    with Lab.up(TOPOLOGY, name="bench-idle") as lab:
        def settled() -> bool:
            up = [row for row in lab.show(GATEWAY, "neighbors") if row["state"] == "up"]
            return len(up) == NEIGHBOURS and any(row["prefix"] == NAME for row in lab.show(GATEWAY, "fib"))
        lab.wait(settled, 20, "four adjacencies and a name")
        time.sleep(SETTLE)
        pid = lab.processes()[GATEWAY]["pid"]
        before, began = _busy_ns(pid), time.monotonic()
        time.sleep(SECONDS)
        after, took = _busy_ns(pid), time.monotonic() - began

    def share(threads: dict[str, int], first: dict[str, int]) -> float:
        return sum(ns - first.get(name, 0) for name, ns in threads.items()) / 1e7 / took
    workers = {name: ns for name, ns in after.items() if name.startswith("worker-")}
    return [Figure("idle", "a gateway with four neighbours, all threads", share(after, before), "% of a core",
                   limit=0.5, smaller_is_better=True),
            Figure("idle", "its worker alone", share(workers, before), "% of a core", limit=0.5,
                   smaller_is_better=True)]
