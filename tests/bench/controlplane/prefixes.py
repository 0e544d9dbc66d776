"""Many prefixes at one end of a line of three nodes: until the far node's FIB has all of them. The clock starts
when the near node is told (FRR, BIRD: begins to be told); grants, which we have and they do not, were flooded a
second before."""
from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

from dmsclab.errors import LabError

from made_up import made_up
from net import Net
from peers import BirdOspf, FrrIsis, FrrOspf
from stack import Stack, usage

STALLED_S = 20.0                    # no route more for so long: it will not come
PER_GRANT = {10_000: 100, 100_000: 1000}


def ours(net: Net, count: int) -> dict[str, Any]:
    domain = made_up(net)
    try:
        told = domain.tell(f"prefixes {count} {PER_GRANT.get(count, 100)} first")
        far = domain.wait(lambda values: values[-1]["prefixes"] >= count, 120, f"{count} prefixes")[-1]
        memory = usage(net.children)[domain.routers[-1]]
        return {"far_s": far["fib"]["last_prefix_route_us"] / 1e6 - told["at_us"] / 1e6,
                "far_rss_mb": memory.rss_kb / 1024}
    finally:
        domain.close()


def _prefix(number: int) -> str:
    return f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}/32"


def _routes(pid: int) -> int:
    """In the main table of a process's namespace."""
    return max(int(n) for n in re.findall(r"Prefixes:\s+(\d+)", Path(f"/proc/{pid}/net/fib_triestat").read_text()))


def _inject_bird(stack: BirdOspf, count: int) -> subprocess.Popen[bytes]:
    folder = stack.folder / stack.net.routers[0]
    routes = " ".join(f"route {_prefix(i)} blackhole;" for i in range(count))
    config = (folder / "bird.conf").read_text()
    (folder / "bird.conf").write_text(config.replace("static injected { ipv4; }", f"static injected {{ ipv4; {routes} }}"))
    return subprocess.Popen(["birdc", "-s", f"{folder}/bird.ctl", "configure"], stdout=subprocess.DEVNULL)


def _inject_frr(stack: Stack, count: int) -> subprocess.Popen[bytes]:
    node = stack.net.routers[0]
    batch = stack.folder / node / "routes"
    batch.write_text("".join(f"route add blackhole {_prefix(i)}\n" for i in range(count)))
    return subprocess.Popen(["ip", "-n", stack.net.lab.plan.namespace(node), "-batch", str(batch)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def theirs(net: Net, stack: FrrOspf | FrrIsis | BirdOspf, count: int) -> dict[str, Any]:
    stack.redistributing = True
    try:
        stack.prepare()
        stack.start()
        stack.wait_complete(120)
        time.sleep(3)
        far = next(child.pid for child in net.children if child.node == net.routers[-1])
        before = _routes(far)
        began = last_news = time.monotonic()
        injector = (_inject_bird if isinstance(stack, BirdOspf) else _inject_frr)(stack, count)
        most, done = 0, None
        while done is None and time.monotonic() - last_news < STALLED_S:
            time.sleep(0.01)
            have = _routes(far) - before
            if have > most:
                most, last_news = have, time.monotonic()
            if have >= count:
                done = last_news - began
        injector.kill()
        injector.wait()
        memory = usage(net.children)[net.routers[-1]]
        return {"far_s": done, "arrived": most, "far_rss_mb": memory.rss_kb / 1024}
    finally:
        stack.stop()
        for node in net.routers:
            subprocess.run(["ip", "-n", net.lab.plan.namespace(node), "route", "flush", "type", "blackhole"], check=False,
                           capture_output=True)


def measure(net: Net, stack: Stack, count: int) -> dict[str, Any]:
    if stack.name == "dmsc":
        return ours(net, count)
    if isinstance(stack, (FrrOspf, FrrIsis, BirdOspf)):
        return theirs(net, stack, count)
    raise LabError(f"{stack.name}: no way to inject prefixes")
