"""Path MTU (docs/protocol.md, "Path MTU"): smaller links on the way, paths that change, and a path below a
link that becomes narrower without a word. Nothing is fragmented, nothing vanishes for good."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Iterator

import pytest
from dmsclab.calls import call
from dmsclab.lab import Lab
from dmsclab.run import run

from conftest import ROOT, TOPOLOGIES, lab_name

SLACK = float(os.environ.get("DMSC_TEST_SLACK", "2"))
STREAM = ROOT / "tools" / "dmsclab" / "stream.py"
NARROW = 1360 - 28                     # UDP payload of the longer way's link
SERVICE = "2.b.svc.dmsc"


@pytest.fixture(scope="module")
def ways(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(TOPOLOGIES / "mtu.yaml", name=lab_name(request)) as lab:
        lab.launch("pod-2", "stream", [sys.executable, str(STREAM), "serve", "5201"])
        lab.wait(lambda: resolves(lab), 30, "the name to be known in pod-1")
        lab.wait(lambda: mtu(lab, "sg-1", "sg-2") == 1400, 10, "the path MTU of the shorter way")
        yield lab


def resolves(lab: Lab) -> bool:
    return lab.exec("pod-1", "getent", "ahostsv4", SERVICE, check=False).returncode == 0


def mtu(lab: Lab, node: str, to: str) -> int:
    return next((row["mtu"] for row in lab.show(node, "paths") if row["node"] == to), 0)


def stream(lab: Lab, seconds: float) -> subprocess.Popen[str]:
    for pod in ("pod-1", "pod-2"):     # a kernel remembers for ten minutes what it was told of a path
        lab.exec(pod, "ip", "route", "flush", "cache")
    client = lab.popen("pod-1", sys.executable, str(STREAM), "call", SERVICE, "5201", str(seconds),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert client.stdout is not None and client.stdout.readline() == "open\n", client.communicate()[1]
    return client


def server_ends(lab: Lab) -> list[dict[str, Any]]:
    """Of the connections that have ended, the latest first."""
    lines = lab.log_tail("pod-2/stream", 100).splitlines()
    return [json.loads(line) for line in reversed(lines) if line.startswith("{")]


def result(client: subprocess.Popen[str], lab: Lab) -> dict[str, Any]:
    """What arrived at the client, once both directions were whole at both ends."""
    out, err = client.communicate(timeout=90)
    assert client.returncode == 0, err
    here = json.loads(out)
    # The server's end comes a moment later; ours is the one that has received what we have sent.
    there = lab.wait(lambda: next((end for end in server_ends(lab) if end["sent"] == here["received"]), None), 10,
                     "the server's end")
    for end in (here, there):
        assert end["wrong"] == "", (here, there)
    assert (here["received"], there["received"]) == (there["sent"], here["sent"])
    return {"gap": max(here["gap"], there["gap"]), "bytes": here["received"] + there["received"]}


def fragments(lab: Lab) -> int:
    """IP fragments made or put together again on any node."""
    total = 0
    for node in ("sg-1", "sg-2", "sr-1", "sr-2", "sr-3"):
        lines = [line.split() for line in lab.exec(node, "cat", "/proc/net/snmp").stdout.splitlines()
                 if line.startswith("Ip:")]
        values = dict(zip(lines[0], lines[1]))
        total += int(values["FragCreates"]) + int(values["ReasmReqds"])
    return total


def narrow_silently(lab: Lab, link: str, size: int) -> None:
    """The emulator's own interfaces drop larger frames: the routers' interfaces and kernels notice nothing."""
    for inside in lab.plan.wire(link).inner:
        run(["ip", "-n", lab.plan.namespace("linkem"), "link", "set", inside, "mtu", str(size)])


@pytest.mark.limit(180)
def test_u13_a_path_that_changes_to_a_smaller_one_under_a_running_transfer(ways):
    client = stream(ways, 8)
    ways.carrier("sr-1--sr-2", False)
    try:
        ways.wait(lambda: mtu(ways, "sg-1", "sg-2") == NARROW and mtu(ways, "sg-2", "sg-1") == NARROW, 5 * SLACK,
                  "the smaller path to be known at both ends")
        done = result(client, ways)
        print(f"longest stand-still at the change: {done['gap'] * 1000:.0f} ms of {done['bytes']} bytes")
        assert done["gap"] < 1 * SLACK
        assert fragments(ways) == 0
    finally:
        ways.carrier("sr-1--sr-2", True)


@pytest.mark.limit(180)
def test_pm1_a_smaller_link_in_mid_path_is_known_before_anything_is_lost(ways):
    ways.carrier("sr-1--sr-2", False)
    try:
        ways.wait(lambda: mtu(ways, "sg-1", "sg-2") == NARROW and mtu(ways, "sg-2", "sg-1") == NARROW, 5 * SLACK,
                  "the smaller path")
        before = {n: ways.show(n, "counters")["data"]["drops"].get("too-big", 0) for n in ("sr-1", "sr-2", "sr-3")}
        done = result(stream(ways, 2), ways)
        assert done["gap"] < 0.5 * SLACK
        reply = call(ways, "pod-1", "B/2", "m" * 100_000)
        assert reply.error == "" and "m" * 1000 in reply.text
        after = {n: ways.show(n, "counters")["data"]["drops"].get("too-big", 0) for n in before}
        assert after == before         # MSS was clamped on both ends: no router had to say anything
        # A datagram that does not fit is refused where it is sent; one that fits passes.
        code = (f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                f"s.connect((socket.gethostbyname('{SERVICE}'), 5201)); s.setsockopt(0, 10, 2)\n"
                f"import time\n"
                f"def refused(n):\n"
                f"  try: s.send(bytes(n)); time.sleep(.2); s.send(bytes(n))\n"
                f"  except OSError as e: return e.errno == 90 or str(e)\n"
                f"  return False\n"
                f"print(refused(1400))")
        assert ways.exec("pod-1", sys.executable, "-c", code).stdout == "True\n"
        assert fragments(ways) == 0
    finally:
        ways.carrier("sr-1--sr-2", True)


@pytest.mark.limit(180)
def test_ls_v9_an_underlay_that_becomes_narrower_without_a_word_is_noticed_and_the_transfer_goes_on(ways):
    ways.wait(lambda: mtu(ways, "sg-1", "sg-2") == 1400 and mtu(ways, "sg-2", "sg-1") == 1400, 10 * SLACK,
              "the wider path")
    client = stream(ways, 12)
    narrow_silently(ways, "sr-1--sr-2", 1350)
    try:
        ways.wait(lambda: mtu(ways, "sg-1", "sg-2") < 1400 and mtu(ways, "sg-2", "sg-1") < 1400, 3 * SLACK,
                  "the change to be noticed")
        done = result(client, ways)
        print(f"longest stand-still when the underlay became narrower: {done['gap'] * 1000:.0f} ms")
        assert done["gap"] < 3.5 * SLACK
        ways.wait(lambda: mtu(ways, "sg-1", "sg-2") == 1350 - 28, 8 * SLACK, "the exact size")
        assert ways.show("sr-1", "neighbors") and all(
            row["flaps"] == 0 for row in ways.show("sr-2", "neighbors") if row["neighbour"] == "sg-2")
        assert fragments(ways) == 0
        again = result(stream(ways, 1), ways)
        assert again["gap"] < 0.5 * SLACK
    finally:
        narrow_silently(ways, "sr-1--sr-2", 1500)
