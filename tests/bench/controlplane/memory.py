"""Resident memory of one srd, idle with one neighbour and then with a large database: Identity and Node LSAs of
a grid of routers that do not exist, all reachable and all verified."""
from __future__ import annotations

import time
from typing import Any

from made_up import made_up
from net import Net
from stack import usage


STARTUP_OVER_S = 14                 # then a daemon has given back what only its start needed


def measure(net: Net, rows: int, columns: int) -> dict[str, Any]:
    domain = made_up(net)
    try:
        router = domain.routers[-1]
        time.sleep(STARTUP_OVER_S)
        idle = usage(net.children)[router]
        began = time.monotonic()
        domain.tell(f"grid {rows} {columns}")
        nodes = rows * columns + len(net.routers)
        domain.wait(lambda values: values[-1]["nodes"] >= nodes, 300, f"{nodes} nodes", every=0.5)
        took = time.monotonic() - began
        time.sleep(5)
        full = usage(net.children)[router]
        return {"idle_rss_mb": idle.rss_kb / 1024, "full_rss_mb": full.rss_kb / 1024,
                "added_mb": (full.rss_kb - idle.rss_kb) / 1024, "load_s": took, "load_cpu_s": full.cpu_s - idle.cpu_s}
    finally:
        domain.close()
