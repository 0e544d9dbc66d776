"""Packets in = packets out + delivered + ended + dropped, at every live router and gateway (docs/protocol.md, D15)."""
from __future__ import annotations

import json

from .errors import LabError
from .lab import Lab


def unaccounted(lab: Lab) -> dict[str, int]:
    """The nodes whose sum is not zero; a node whose daemon is down or frozen has none to look at."""
    out = {}
    processes = lab.processes()
    for name, node in lab.plan.topology.nodes.items():
        if node.role not in ("sr", "sg") or not processes.get(name, {}).get("pid"):
            continue
        done = lab.ctl(name, "show", "counters", "-o", "json", check=False)
        if done.returncode == 0:
            out[name] = json.loads(done.stdout)["value"]["data"]["unaccounted"]
    return {name: number for name, number in out.items() if number != 0}


def check(lab: Lab, patience: float = 5.0) -> None:
    """LabError with the nodes and their counters if a sum stays wrong. A busy worker's counters are read one after
    the other, so a sum may be wrong for a moment."""
    try:
        lab.wait(lambda: not unaccounted(lab), patience, "packets to add up", every=0.2)
    except LabError:
        wrong = unaccounted(lab)
        if wrong:
            told = {name: lab.show(name, "counters")["data"] for name in wrong}
            raise LabError(f"packets in are not out, delivered, ended or dropped: {wrong}: {told}") from None
