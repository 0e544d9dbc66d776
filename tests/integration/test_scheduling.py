"""Signalling 4 with the real daemons: measure, decide, apply, withdraw (draft 5-3, 5-4)."""
from __future__ import annotations

import subprocess
import time
from collections import Counter
from typing import Any, Iterator

import pytest
from dmsclab.lab import Lab

from conftest import TOPOLOGIES, lab_name


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(TOPOLOGIES / "scheduling.yaml", name=lab_name(request)) as up:
        up.wait(lambda: len([n for n in up.show("scsc-1", "nodes") if n["session"] == "up"]) == 7, 20,
                "sessions of all seven nodes")
        for name in ("B/4", "C"):
            up.wait(lambda: up.exec("pod-1", "dmsc-pod", "call", name, "hello", check=False).returncode == 0, 10,
                    f"{name} to be reachable from sg-1")
        yield up


def call(lab: Lab, name: str) -> str:
    """One call from pod 1; which prefix answered."""
    return lab.exec("pod-1", "dmsc-pod", "call", name, "hello").stdout


def answered_by(lab: Lab, name: str, calls: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(calls):
        text = call(lab, name)
        seen[next((p for p in ("C/2", "C/3") if p in text), text)] += 1
    return seen


def policies(lab: Lab, node: str, kind: str) -> list[dict[str, Any]]:
    return [p for p in lab.show(node, "policies") if p["kind"] == kind]


def slow_down(lab: Lab, gateway: str, routers: list[str], delay: str) -> None:
    for router in routers:
        lab.set(f"{gateway}--{router}", delay=delay)


def test_R26_R30_every_node_reports_and_the_center_knows_the_domain(lab):
    nodes = {n["node"]: n for n in lab.show("scsc-1", "nodes")}
    assert sorted(nodes) == ["sg-1", "sg-2", "sg-3", "sg-4", "sr-1", "sr-2", "sr-3"]
    assert sum(n["feed"] for n in nodes.values()) == 2
    assert all(n["lsdb_gaps"] == 0 for n in nodes.values())

    def measured() -> list[dict[str, Any]]:
        return [link for link in lab.show("scsc-1", "links") if link["delay_ms"] is not None]
    lab.wait(lambda: len(measured()) == 11, 10, "the delay of all eleven links")
    services = {s["prefix"]: s["instances"] for s in lab.show("scsc-1", "services")}
    assert len(services["C"]) == 2 and len(services["B/4"]) == 1


def test_R29_instances_in_use_are_probed_through_the_data_plane(lab):
    call(lab, "C")

    def measured() -> list[dict[str, Any]]:
        return [q for q in lab.show("scsc-1", "quality")
                if q["ingress"] == "sg-1" and q["prefix"] == "C" and q["delay_ms"] is not None]
    assert len(lab.wait(lambda: rows if len(rows := measured()) == 2 else None, 10, "both instances of C")) == 2


def test_R27_probing_is_also_on_demand(lab):
    """A/1 is in nobody's use, so nobody measures it until the center asks."""
    def rows() -> list[dict[str, Any]]:
        return [q for q in lab.show("scsc-1", "quality") if q["prefix"] == "A/1" and q["delay_ms"] is not None]
    assert not rows()
    asked = lab.show("scsc-1", "probe", "A/1")
    assert sorted(a["gateway"] for a in asked) == ["sg-1", "sg-2", "sg-3", "sg-4"]
    lab.wait(lambda: {q["ingress"] for q in rows()} >= {"sg-2", "sg-3", "sg-4"}, 10, "the gateways' answers")


@pytest.mark.limit(180)
def test_R31_R33_R36_delay_moves_new_calls_to_the_better_instance_and_back(lab):
    share = answered_by(lab, "C", 40)
    assert share["C/2"] > 5 and share["C/3"] > 5, f"equal instances should share: {share}"
    slow_down(lab, "sg-3", ["sr-1", "sr-3"], "70ms")
    try:
        injected = time.monotonic()
        lab.wait(lambda: policies(lab, "sg-1", "weights"), 10, "weights at sg-1")
        assert time.monotonic() - injected <= 10
        after = answered_by(lab, "C", 40)
        assert after["C/2"] >= 38, f"at least 95 % on the better instance: {after}"
        at_center = [p for p in lab.show("scsc-1", "policies") if p["kind"] == "weights" and p["node"] == "sg-1"]
        assert at_center and at_center[0]["state"] == "accepted" and "delay" in at_center[0]["reason"]
    finally:
        slow_down(lab, "sg-3", ["sr-1", "sr-3"], "0ms")
    cleared = time.monotonic()
    lab.wait(lambda: not policies(lab, "sg-1", "weights"), 20, "the weights' withdrawal")
    lab.wait(lambda: answered_by(lab, "C", 10)["C/3"] > 1, 10, "both instances to serve again")
    print(f"both serve again {time.monotonic() - cleared:.1f} s after the delay was taken away")
    events = [h["event"] for h in lab.show("scsc-1", "history")]
    assert {"tripped", "weights", "cleared", "withdrawn"} <= set(events)


@pytest.mark.limit(180)
def test_R32_R34_R35_a_slow_link_gets_an_explicit_path_in_two_phases(lab):
    call(lab, "B/4")
    lab.wait(lambda: [q for q in lab.show("scsc-1", "quality") if q["prefix"] == "B/4" and q["delay_ms"] is not None],
             10, "B/4 to be measured")
    lab.set("sg-4--sr-2", delay="70ms")
    try:
        in_use = lambda: [p for p in policies(lab, "sg-1", "path") if p["content"]["phase"] == "use"]  # noqa: E731
        path = lab.wait(in_use, 20, "the path in use at sg-1")[0]["content"]
        assert path["nodes"][0] == "sg-1" and path["nodes"][-2:] == ["sr-3", "sg-4"]
        for node in path["nodes"][1:]:
            assert policies(lab, node, "path"), f"{node} is on the path and has no policy"
        traced = lab.exec("pod-1", "dmsc-pod", "call", "B/4", "hello", "--trace")
        assert "sr-3" in traced.stdout + traced.stderr
    finally:
        lab.set("sg-4--sr-2", delay="0ms")
    lab.wait(lambda: not policies(lab, "sg-1", "path"), 60, "the path's end at its ingress")
    assert policies(lab, "sr-3", "path"), "transit must remember the label for 30 s"
    lab.wait(lambda: not policies(lab, "sr-3", "path"), 60, "transit to forget the label")


@pytest.mark.limit(180)
def test_R31_R37_bandwidth_threshold_trips_under_real_load(lab):
    """The link's capacity is 20 Mbit/s; real traffic fills it, so less than 1 Mbit/s is left."""
    call(lab, "B/4")
    wire = lab.plan.wire("sg-4--sr-2")
    end = wire.link.ends.index("sr-2")
    lab.set("sg-4--sr-2", rate="20Mbit/s", queue="60kB")
    load = lab.popen("pod-1", "dmsc-pod", "call", "B/4", "x" * 20000, "-n", "8000", "--rate", "400",
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def starved() -> list[dict[str, Any]]:
            return [h for h in lab.show("scsc-1", "history", "200")
                    if h["event"] == "tripped" and "bandwidth" in h["reason"]]
        assert lab.wait(starved, 40, "the bandwidth threshold to trip")
        assert wire.link.ends[end] == "sr-2"
    finally:
        load.terminate()
        load.wait()
        lab.set("sg-4--sr-2", rate="unlimited")


def test_no_call_fails_without_the_center(lab):
    lab.kill("scsc-1")
    for _ in range(10):
        call(lab, "C")
    lab.start("scsc-1")
    lab.wait(lambda: len([n for n in lab.show("scsc-1", "nodes") if n["session"] == "up"]) == 7, 20,
             "all sessions to come back")
