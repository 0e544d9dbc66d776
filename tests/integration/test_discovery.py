"""Routers on one segment that find each other (docs/protocol.md, "Discovery")."""
from __future__ import annotations

import os
from typing import Iterator

import pytest
from dmsclab.lab import Lab
from dmsclab.run import run

from conftest import TOPOLOGIES, lab_name

SLACK = float(os.environ.get("DMSC_TEST_SLACK", "2"))
ROUTERS = ["sr-1", "sr-2", "sr-3"]


@pytest.fixture(scope="module", params=["segment", "segment6"], ids=["ipv4", "ipv6"])
def segment(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Over IPv4, then over IPv6: every rule holds for both."""
    with Lab.up(TOPOLOGIES / f"{request.param}.yaml", name=lab_name(request)) as lab:
        yield lab


def neighbours(lab: Lab, node: str) -> set[str]:
    return {row["neighbour"] for row in lab.show(node, "neighbors") if row["state"] == "up"}


def all_found(lab: Lab) -> bool:
    return all(neighbours(lab, node) == set(ROUTERS) - {node} for node in ROUTERS)


def test_ls_m1_three_routers_find_each_other_without_a_configured_neighbour(segment):
    segment.wait(lambda: all_found(segment), 5 * SLACK, "all to be neighbours")
    rows = segment.show("sr-1", "discovery")
    assert {row["neighbour"] for row in rows} == {"sr-2", "sr-3"}
    assert all(row["adjacent"] for row in rows)
    assert {row["link"] for row in segment.show("sr-1", "neighbors")} == {"mgmt.sr-2", "mgmt.sr-3"}
    segment.wait(lambda: {row["node"]: row["distance"] for row in segment.show("sr-1", "paths")}
                 == {"sr-1": 0, "sr-2": 10, "sr-3": 10}, 5 * SLACK, "routes over the links found")


def test_ls_m10_the_endpoint_is_the_address_of_the_family_on_that_interface(segment):
    segment.wait(lambda: all_found(segment), 5 * SLACK, "all to be neighbours")
    six = segment.plan.topology.name == "segment6"
    for node in ROUTERS:
        for row in segment.show(node, "discovery"):
            for end in (row["local"], row["address"]):
                assert (end.startswith("[fe80::") and end.endswith("%mgmt]:7401")) == six, row
                assert end.startswith("172.31.") != six, row
    # And the data plane goes the same way.
    assert "1 sent, 1 answered" in segment.ctl("sr-1", "ping", "node:sr-2", "-c", "1").stdout


def test_ls_m2_a_dead_router_is_forgotten_and_found_again(segment):
    segment.wait(lambda: all_found(segment), 5 * SLACK, "all to be neighbours")
    segment.kill("sr-3")
    segment.wait(lambda: [row["link"] for row in segment.show("sr-1", "neighbors")] == ["mgmt.sr-2"], 6 * SLACK,
                 "the link to sr-3 to go")
    segment.start("sr-3")
    segment.wait(lambda: all_found(segment), 5 * SLACK, "sr-3 to be found again")


def test_ls_m4_with_the_interface_go_its_neighbours_and_with_it_they_come_back(segment):
    segment.wait(lambda: all_found(segment), 5 * SLACK, "all to be neighbours")
    namespace = segment.plan.namespace("sr-2")
    run(["ip", "-n", namespace, "link", "set", "mgmt", "down"])
    try:
        segment.wait(lambda: not segment.show("sr-2", "neighbors"), 1 * SLACK, "sr-2 to have no links", every=0.02)
        segment.wait(lambda: "sr-2" not in neighbours(segment, "sr-1"), 1 * SLACK, "sr-1 to lose sr-2", every=0.02)
    finally:
        run(["ip", "-n", namespace, "link", "set", "mgmt", "up"])
    segment.wait(lambda: all_found(segment), 5 * SLACK, "all to be neighbours again")


def test_a_found_link_can_be_drained_and_a_reload_keeps_it(segment):
    segment.wait(lambda: all_found(segment), 5 * SLACK, "all to be neighbours")
    flaps = {row["link"]: row["flaps"] for row in segment.show("sr-1", "neighbors")}
    segment.ctl("sr-1", "drain", "--link", "mgmt.sr-2", "test")
    segment.wait(lambda: {row["node"]: row["distance"] for row in segment.show("sr-1", "paths")}["sr-2"] == 20,
                 2 * SLACK, "sr-2 to be reached round by sr-3")
    segment.ctl("sr-1", "reload")
    segment.ctl("sr-1", "undrain", "--link", "mgmt.sr-2")
    segment.wait(lambda: {row["node"]: row["distance"] for row in segment.show("sr-1", "paths")}["sr-2"] == 10,
                 3 * SLACK, "the link to be used again")
    assert {row["link"]: row["flaps"] for row in segment.show("sr-1", "neighbors")} == flaps
