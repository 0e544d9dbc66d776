"""Gateways whose underlay is IPv6 alone carry what programs of IPv4 say, sealed, at the same path MTU."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Iterator

import pytest
from dmsclab.calls import call
from dmsclab.lab import Lab

from conftest import ROOT, TOPOLOGIES, lab_name

SLACK = float(os.environ.get("DMSC_TEST_SLACK", "2"))
STREAM = ROOT / "tools" / "dmsclab" / "stream.py"


@pytest.fixture(scope="module")
def six(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(TOPOLOGIES / "underlay6.yaml", name=lab_name(request)) as lab:
        lab.launch("pod-2", "stream", [sys.executable, str(STREAM), "serve", "5201"])
        lab.wait(lambda: lab.exec("pod-1", "getent", "ahostsv4", "2.b.svc.dmsc", check=False).returncode == 0, 30,
                 "the name in pod-1")
        yield lab


def test_calls_and_connections_go_over_an_ipv6_underlay(six):
    rows = [row for row in six.show("sg-1", "neighbors") if row["state"] == "up"]
    assert {row["neighbour"] for row in rows} >= {"sg-2", "sr-1"}
    assert all(row["address"].startswith("[fe80::") and row["mtu"] == 1400 for row in rows), rows
    reply = call(six, "pod-1", "B/2", "m" * 50_000)
    assert reply.error == "" and reply.egress == "sg-2"
    client = six.popen("pod-1", sys.executable, str(STREAM), "call", "2.b.svc.dmsc", "5201", "2",
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    end = json.loads(out.splitlines()[-1])
    assert end["wrong"] == "" and end["received"] > 1_000_000
    assert any(row["opened"] > 0 for row in six.show("sg-1", "seals"))


def test_ls_v4_a_neighbour_killed_on_ipv6_is_missed_by_its_icmp(six):
    six.kill("sr-1")
    six.wait(lambda: "adjacency-down" in six.log_tail("sg-1", 30), 2 * SLACK, "the loss")
    line = next(line for line in six.log_tail("sg-1", 30).splitlines() if "adjacency-down" in line)
    assert "rapid polls unanswered" in line
    six.start("sr-1")
