"""The measurements on a grid: cold start, announced and silent failure of a link, idling. A function of each
returns what one repetition gave; times in milliseconds where the key says so."""
from __future__ import annotations

import time
from typing import Any

from dmsclab import pattern
from dmsclab.errors import LabError
from dmsclab.plan import Wire

from net import Net
from stack import Stack, usage

QUIET_S = {"default": 3.0, "tuned": 2.0, "liveness50": 2.0}   # no route change for so long: it is over
FORGET_S = 5.0                      # between repetitions: what damps repeated changes forgets in that time
# How long a loss that nobody announces may take to be seen, beyond which a repetition has failed.
SLOWEST_S = {"default": 75, "tuned": 12, "liveness50": 12}


def cold(stack: Stack, timeout: float = 150) -> dict[str, Any]:
    """From the first process to the last node's last route."""
    stack.prepare()
    began = time.monotonic()
    stack.start()
    spawned = time.monotonic()
    return {"cold_s": stack.wait_complete(timeout) - began, "spawn_s": spawned - began}


def settle(stack: Stack, quiet: float = 2.0, timeout: float = 90) -> None:
    """Until no FIB has changed for a while."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        began = time.monotonic()
        time.sleep(quiet)
        if stack.changes(began).last is None:
            return
    raise LabError(f"{stack.name}: routes still change after {timeout:.0f} s")


def announced(net: Net, stack: Stack) -> dict[str, Any]:
    """The failing link goes down at both ends."""
    return _failure(net, stack, [(0.0, net.failing)], silent=False)


def two(net: Net, stack: Stack) -> dict[str, Any]:
    """A second link goes down 100 ms after the first; times count from the second."""
    return _failure(net, stack, [(0.0, net.failing), (0.1, net.second)], silent=False)


def silent(net: Net, stack: Stack) -> dict[str, Any]:
    """Nothing passes the failing link any more, and nobody is told."""
    return _failure(net, stack, [(0.0, net.failing)], silent=True)


def drain(net: Net, stack: Stack) -> dict[str, Any]:
    """A router that traffic passes is drained: from the order to the last route that changed anywhere, by the
    daemons' own clocks; and what the traffic lost. Softly, as every drain begins: what a hard one changes once
    traffic has moved, alternates, would count too."""
    router = pattern.router(net.rows // 2, net.columns - 1)  # on the only shortest way of the probes
    probe = stack.probe(5)
    time.sleep(0.7)
    stack.drain(router, True)
    time.sleep(1.5)
    moved = stack.drained(router)
    lost = probe.finish(15)
    stack.drain(router, False)
    time.sleep(1.0)
    return {"moved_ms": _ms(moved.last), "first_ms": _ms(moved.first), "nodes": moved.nodes,
            "outage_ms": lost["outage_ms"]}


def _failure(net: Net, stack: Stack, links: list[tuple[float, Wire]], silent: bool) -> dict[str, Any]:
    slow = SLOWEST_S[stack.profile.name] if silent and stack.name != "dmsc" else 6
    quiet = QUIET_S[stack.profile.name] if stack.name != "dmsc" else 1.0
    seconds = 5
    probe = stack.probe(seconds)
    time.sleep(0.7)
    began = time.monotonic()
    for delay, wire in links:
        time.sleep(max(0.0, began + delay - time.monotonic()))
        failed = time.monotonic()
        (net.silence if silent else lambda w, s: net.link(w, not s))(wire, True)
    done = _until_quiet(stack, failed, slow, quiet)
    lost = probe.finish(seconds + 10)
    for _, wire in links:
        (net.silence if silent else lambda w, s: net.link(w, not s))(wire, False)
    restored = time.monotonic()
    settle(stack, quiet)
    healed = stack.changes(restored)
    if not lost["last_answered"]:
        raise LabError(f"{stack.name}: traffic did not come back")
    return {"outage_ms": lost["outage_ms"], "longest_ms": lost["longest_ms"], "late": lost["late"],
            "first_ms": _ms(done.first), "last_ms": _ms(done.last), "nodes": done.nodes,
            "restore_ms": _ms(healed.last)}


def _until_quiet(stack: Stack, failed: float, slow: float, quiet: float):
    """The changes since `failed`, once there were some and no more come; our own nodes are asked only once, so
    that asking costs them nothing meanwhile."""
    if stack.name == "dmsc":
        time.sleep(quiet + 1.0)
        return stack.changes(failed)
    while True:
        time.sleep(0.05)
        passed, done = time.monotonic() - failed, stack.changes(failed)
        if (done.last is not None and passed > done.last + quiet) or passed > slow:
            return done


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 2)


def idle(net: Net, stack: Stack, seconds: float = 20) -> dict[str, Any]:
    """Processor time and memory of all processes of a node; the mean and the median node. How often threads gave
    up the processor by themselves, a second and neighbour, does not depend on what else the machine does."""
    before = usage(net.children)
    time.sleep(seconds)
    after = usage(net.children)
    adjacencies = 2 * sum(1 for wire in net.lab.plan.wires)
    cpu = sum(after[node].cpu_s - before[node].cpu_s for node in after)
    rss = sorted(use.rss_kb for use in after.values())
    pss = sorted(use.pss_kb for use in after.values())
    return {"cpu_percent": 100 * cpu / seconds / len(after),
            "cpu_percent_per_neighbour": 100 * cpu / seconds / adjacencies,
            "wakeups": sum(after[node].switches - before[node].switches for node in after) / seconds / adjacencies,
            "rss_mb": rss[len(rss) // 2] / 1024, "pss_mb": pss[len(pss) // 2] / 1024}
