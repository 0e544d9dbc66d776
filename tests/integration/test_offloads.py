"""The data plane's offloads, switched while packets pass: a router between two gateways, no emulator."""
from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from dmsclab.calls import call
from dmsclab.lab import Lab

from conftest import TOPOLOGIES, lab_name

LONG = "x" * 60_000  # some fifty datagrams each way
BOTH = {"udp_segment": True, "udp_gro": True}


@pytest.fixture(scope="module")
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    topology = yaml.safe_load((TOPOLOGIES / "s1.yaml").read_text())
    topology["defaults"] = {**topology.get("defaults", {}), "link": {"emulate": False}}
    file = Path(tmp_path_factory.mktemp("offloads")) / "lab.yaml"
    file.write_text(yaml.safe_dump(topology))
    with Lab.up(file, name=lab_name(request)) as lab:
        lab.wait(lambda: call(lab, "pod-1", "B/4", "there?").error == "", 20, "B/4 from pod-1")
        yield lab


def switch(lab: Lab, node: str, **offloads: bool) -> None:
    """By SIGHUP, as an operator does it; returns when the daemon says it has it."""
    file = lab.plan.config_file(node)
    config = yaml.safe_load(file.read_text())
    config.setdefault("dataplane", {})["offloads"] = offloads
    file.write_text(yaml.safe_dump(config))

    def reloads() -> int:
        return lab.log_tail(node, 100_000).count(" reloaded ")
    before = reloads()
    lab.send(node, signal.SIGHUP)
    lab.wait(lambda: reloads() > before, 5, f"the reload of {node}")


def trains(lab: Lab) -> tuple[int, int]:
    """Trains that came to and left sr-2 for one long call, which is answered."""
    before = lab.show("sr-2", "counters")["data"]
    reply = call(lab, "pod-1", "B/4", LONG)
    assert reply.error == "" and reply.path == ["sg-1", "sr-2", "sg-4"]
    after = lab.show("sr-2", "counters")["data"]
    return after["trains_in"] - before["trains_in"], after["trains_out"] - before["trains_out"]


@pytest.mark.parametrize("segment, gro", [(True, True), (False, True), (True, False), (False, False)])
def test_d14_each_offload_is_switched_off_by_a_reload_and_packets_pass_without(domain, segment, gro):
    pid = domain.processes()["sr-2"]["pid"]
    switch(domain, "sr-2", udp_segment=segment, udp_gro=gro)
    came, left = trains(domain)
    assert (came > 0) == gro
    assert segment or left == 0
    assert left > 0 or not (segment and gro)  # datagrams that arrive one by one need not meet
    switch(domain, "sr-2", **BOTH)
    came, left = trains(domain)
    assert came > 0 and left > 0
    assert domain.processes()["sr-2"]["pid"] == pid


def test_d14_gateways_without_offloads_talk_to_a_router_with_them(domain):
    for node in ("sg-1", "sg-4"):
        switch(domain, node, udp_segment=False, udp_gro=False)
    before = domain.show("sg-1", "counters")["data"]["trains_out"]
    assert trains(domain)[0] == 0
    assert domain.show("sg-1", "counters")["data"]["trains_out"] == before
    for node in ("sg-1", "sg-4"):
        switch(domain, node, **BOTH)
    assert trains(domain)[0] > 0
