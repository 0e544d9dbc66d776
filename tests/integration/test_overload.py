"""More traffic than there is room for: limits of prefixes at the ingress, and a narrow link on the way."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any, Iterator

import pytest
import yaml
from dmsclab.calls import load
from dmsclab.lab import Lab
from dmsclab.programs import program

from conftest import ROOT, TOPOLOGIES, lab_name

SLACK = float(os.environ.get("DMSC_TEST_SLACK", "2"))
LOAD = ROOT / "tools" / "dmsclab" / "load.py"
HOST, PORT, SECONDS = "2.b.svc.dmsc", "5201", 4
RATE = 20.0                            # Mbit/s, of the limit and of the narrow link
PAYLOAD = 1172


@pytest.fixture(scope="module")
def line2(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(TOPOLOGIES / "limits.yaml", name=lab_name(request)) as lab:
        lab.launch("pod-2", "sink", [sys.executable, str(LOAD), "sink", PORT])
        for pod in ("pod-1", "pod-3"):
            lab.wait(lambda: lab.exec(pod, "getent", "ahostsv4", HOST, check=False).returncode == 0, 30, f"{HOST} in {pod}")
        yield lab


def send(lab: Lab, pod: str, name: str, mbits: float) -> subprocess.Popen[str]:
    return lab.popen(pod, sys.executable, str(LOAD), "send", HOST, PORT, name, str(mbits), str(SECONDS), str(PAYLOAD))


def arrived(lab: Lab, name: str) -> dict[str, Any]:
    def end() -> dict[str, Any] | None:
        lines = [json.loads(line) for line in lab.log_tail("pod-2/sink", 50).splitlines() if line.startswith("{")]
        return next((line for line in lines if line["name"] == name), None)
    return lab.wait(end, SECONDS + 15, f"the end of {name}")


@pytest.fixture
def limited(line2: Lab) -> Iterator[Lab]:
    """B may have 20 Mbit/s from sg-1, by a reload."""
    file = line2.plan.config_file("sg-1")
    before = file.read_text()
    file.write_text(yaml.safe_dump({**yaml.safe_load(before), "limits": [{"prefix": "B", "rate": f"{RATE:.0f}Mbit/s"}]}))
    line2.ctl("sg-1", "reload")
    yield line2
    file.write_text(before)
    line2.ctl("sg-1", "reload")


def test_u15_a_limit_is_kept_within_two_percent_at_twice_the_rate(limited):
    send(limited, "pod-1", "twice", 2 * RATE).wait(SECONDS + 20)
    end = arrived(limited, "twice")
    dropped = limited.show("sg-1", "counters")["edge"]["rate_limited"]
    print(f"limit {RATE} Mbit/s, offered {2 * RATE}: {end['mbits']:.2f} Mbit/s, {dropped} dropped, "
          f"delay p50 {end['p50_ms']:.1f} ms, p99 {end['p99_ms']:.1f} ms")
    assert end["mbits"] == pytest.approx(RATE, rel=0.02)
    assert dropped == end["sent"] - end["received"]      # and nothing was lost elsewhere
    assert end["p50_ms"] <= 20 + 5 * SLACK


def test_u15_one_hog_leaves_the_other_pod_its_share(limited):
    hog, other = send(limited, "pod-1", "hog", 3 * RATE), send(limited, "pod-3", "modest", 0.45 * RATE)
    for each in (hog, other):
        each.wait(SECONDS + 20)
    modest, greedy = arrived(limited, "modest"), arrived(limited, "hog")
    print(f"a hog of {3 * RATE} Mbit/s gets {greedy['mbits']:.2f}; who sends {0.45 * RATE:.1f} gets {modest['mbits']:.2f}")
    assert modest["received"] >= 0.95 * modest["sent"]
    assert greedy["mbits"] + modest["mbits"] == pytest.approx(RATE, rel=0.05)


def set_limit(lab: Lab, rate: str) -> None:
    """Of B, in place of the fixture's."""
    file = lab.plan.config_file("sg-1")
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "limits": [{"prefix": "B", "rate": rate}]}))
    lab.ctl("sg-1", "reload")


def send_megabytes(lab: Lab, count: int, deadline: str) -> list[subprocess.Popen[str]]:
    """Calls at the same time, a megabyte each."""
    command = f"head -c 1000000 /dev/zero | tr '\\0' m | {program('dmsc-pod')} call B/2 - --deadline {deadline}"
    return [lab.popen("pod-1", "sh", "-c", command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(count)]


def test_u15_calls_keep_the_limit_and_are_answered(limited):
    calls, started = 3, time.monotonic()
    replies = [call.communicate(timeout=60)[0] for call in send_megabytes(limited, calls, "30s")]
    took, least = time.monotonic() - started, calls * 1e6 * 8 / (RATE * 1e6)
    print(f"{calls} MB in {took:.2f} s, at {RATE} Mbit/s they take {least:.2f} s")
    assert all(reply.count("m") >= 1_000_000 for reply in replies)
    assert 0.98 * least <= took <= (1.5 + SLACK) * least


def test_u15_a_call_that_stays_over_the_limit_is_told(limited):
    set_limit(limited, "10kbit/s")
    call = send_megabytes(limited, 1, "30s")[0]
    error = call.communicate(timeout=60)[1]
    assert call.returncode != 0
    assert "its rate limit is exceeded" in error


@pytest.mark.limit(180)
def test_overload_of_a_link_at_twice_its_rate_loses_no_control_and_wastes_nothing(line2):
    """The link is shaped as operations.md has it: the kernel serves control first and keeps the queue short."""
    interface = line2.plan.wire("sr-1--sr-2").interfaces[0]
    line2.exec("sr-1", "ip", "link", "set", interface, "txqueuelen", "28")
    line2.exec("sr-1", "tc", "qdisc", "add", "dev", interface, "root", "handle", "1:", "tbf", "rate", f"{RATE:.0f}mbit",
               "burst", "6kb", "limit", "100kb")
    line2.exec("sr-1", "tc", "qdisc", "add", "dev", interface, "parent", "1:1", "pfifo_fast")
    try:
        def flaps() -> int:
            return sum(row["flaps"] for node in ("sr-1", "sr-2") for row in line2.show(node, "neighbors"))

        def frame() -> float:
            """Bytes of a datagram on the link, as the shaper has counted them."""
            shaper = json.loads(line2.exec("sr-1", "tc", "-j", "-s", "qdisc", "show", "dev", interface).stdout)[0]
            return shaper["bytes"] / shaper["packets"]
        flapped = flaps()
        running = send(line2, "pod-1", "over", 2 * RATE)
        running.wait(SECONDS + 20)
        loss = [row["loss_percent"] for row in line2.show("sr-2", "neighbors") if row["neighbour"] == "sr-1"]
        end = arrived(line2, "over")
        goodput = end["mbits"] * frame() / (PAYLOAD + 28) / RATE
        print(f"goodput {goodput * 100:.1f} % of the link's {RATE} Mbit/s, delay p50 {end['p50_ms']:.1f} ms, "
              f"p99 {end['p99_ms']:.1f} ms, keepalives lost {loss[0]:.2f} %")
        assert flaps() == flapped and loss == [0]
        rows = [row for node in ("sr-1", "sr-2") for row in line2.show(node, "neighbors")]
        assert all(row["data_path"] == "up" for row in rows)   # D13: probes are lost with the rest, and that is all
        assert 0.9 <= goodput <= 1.05
        assert end["p50_ms"] <= 20 + 5 * SLACK
        drops = line2.show("sr-1", "counters")["data"]["drops"]
        assert drops.get("congestion", 0) > 0            # what the queue had no room for is counted
    finally:
        line2.exec("sr-1", "tc", "qdisc", "del", "dev", interface, "root")



def test_messages_of_all_sizes_run_once_through_loss_duplication_and_reordering(line2):
    """5 % lost each way, 5 % there twice, and datagrams, copies too, that overtake each other."""
    link = "sg-1--sr-1"
    line2.set(link, loss="5%", duplicate="5%", delay="5ms", jitter="4ms", reorder="on")
    try:
        done = load(line2, "pod-1", "B/2", 600, 150, "5s").wait(60)
        print(f"{done.ok} of {done.sent} answered, p99 {done.p99_ms:.0f} ms, run twice: {done.twice}")
        assert (done.failed, done.twice) == (0, 0), done.failures[:3]
        reply = line2.exec("pod-1", "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' m | "
                           f"{program('dmsc-pod')} call B/2 - --deadline 30s", timeout=40).stdout
        assert reply.count("m") >= 1_000_000
        ways = next(row for row in line2.emulator.show() if row["name"] == link)["ways"]
        assert all(way["duplicated"] > 50 and way["lost"] > 50 for way in ways), ways
        drops = line2.show("sr-1", "counters")["data"]["drops"]
        assert drops.get("replay", 0) > 0, drops     # copies end at the next node
    finally:
        line2.set(link, loss="0%", duplicate="0%", delay="0ms", jitter="0ms", reorder="off")
