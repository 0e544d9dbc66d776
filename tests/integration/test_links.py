"""What a link takes from the machine it is on: its neighbour's name, its interface (docs/protocol.md, "The
control socket")."""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
from dmsclab.lab import Lab
from dmsclab.run import run

from conftest import TOPOLOGIES, lab_name

SLACK = float(os.environ.get("DMSC_TEST_SLACK", "2"))
DNS = Path(__file__).resolve().parent / "dns_server.py"
RESOLVE_INTERVAL = 30                  # seconds between two questions while the neighbour is not up
HOLD = 0.3                             # of the default liveness: what a silent loss takes at least


@pytest.fixture(scope="module")
def named(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(TOPOLOGIES / "named.yaml", name=lab_name(request)) as lab:
        yield lab


def link(lab: Lab, node: str, name: str) -> dict[str, Any]:
    return next(row for row in lab.show(node, "neighbors") if row["link"] == name)


def state(lab: Lab, node: str, name: str) -> str:
    return link(lab, node, name)["state"]


def test_n2_a_neighbour_given_by_name_is_asked_for_until_it_is_up_and_no_longer(named, tmp_path):
    assert state(named, "sr-1", "to-sr-2") == "down"
    assert "neighbour-unresolved" in named.log_tail("sr-1", 200)
    answer = tmp_path / "address"
    answer.write_text("10.0.1.77")     # nobody there
    server = named.launch("sr-1", "dns", [sys.executable, str(DNS), str(answer)])

    def asked() -> list[str]:
        return named.log_tail(server, 1000).splitlines() if named.plan.log_file(server).exists() else []

    named.wait(lambda: "sr-2.example 10.0.1.77" in asked(), 5 * SLACK + 1, "the name to be asked for again")
    named.wait(lambda: "10.0.1.77:7401" in named.log_tail("sr-1", 200), 1 * SLACK, "the answer to be taken")
    answer.write_text("10.0.1.2")      # the name moves: nothing tells sr-1, it asks again
    named.wait(lambda: state(named, "sr-1", "to-sr-2") == "up", RESOLVE_INTERVAL + 5 * SLACK,
               "the neighbour at its new address")
    questions = len(asked())
    assert asked()[-1] == "sr-2.example 10.0.1.2"
    answer.write_text("10.0.1.77")     # an adjacency that is up does not follow its name
    named.ctl("sr-1", "show", "stream", "node:sr-2", "100", "3")
    assert len(asked()) == questions
    assert state(named, "sr-1", "to-sr-2") == "up" and link(named, "sr-1", "to-sr-2")["flaps"] == 0


def test_n3_a_link_is_down_while_its_interface_is(named):
    named.wait(lambda: state(named, "sr-2", "to-sr-3") == "up", 5 * SLACK, "the adjacency")
    namespace = named.plan.namespace("sr-2")
    before = link(named, "sr-2", "to-sr-3")["flaps"]
    run(["ip", "-n", namespace, "link", "set", "to-sr-3", "down"])
    try:
        named.wait(lambda: state(named, "sr-2", "to-sr-3") == "down", HOLD * SLACK, "the link to go", every=0.01)
        row = link(named, "sr-2", "to-sr-3")
        assert (row["last_down"], row["flaps"]) == ("interface down", before + 1)
    finally:
        run(["ip", "-n", namespace, "link", "set", "to-sr-3", "up"])
    named.wait(lambda: state(named, "sr-2", "to-sr-3") == "up", 5 * SLACK, "the link to come back")


def test_n3_an_interface_that_vanishes_takes_its_link_along_and_a_new_one_brings_it_back(named):
    ends = {"sr-2": "to-sr-3", "sr-3": "to-sr-2"}

    def both(wanted: str) -> bool:
        return all(state(named, node, name) == wanted for node, name in ends.items())
    named.wait(lambda: both("up"), 5 * SLACK, "the adjacency")
    namespaces = [named.plan.namespace(node) for node in ends]
    run(["ip", "-n", namespaces[0], "link", "delete", "to-sr-3"])
    named.wait(lambda: both("down"), HOLD * SLACK, "both ends to go", every=0.01)
    assert link(named, "sr-2", "to-sr-3")["last_down"] == "interface down"
    run(["ip", "-n", namespaces[0], "link", "add", "to-sr-3", "type", "veth", "peer", "name", "to-sr-2",
         "netns", namespaces[1]])
    wire = named.plan.wire("sr-2--sr-3")
    for namespace, interface, address in zip(namespaces, wire.interfaces, wire.addresses):
        run(["ip", "-n", namespace, "address", "add", f"{address}/30", "dev", interface])
        run(["ip", "-n", namespace, "link", "set", interface, "up"])
    named.wait(lambda: both("up"), 8 * SLACK, "the link to come back on the new interface")
