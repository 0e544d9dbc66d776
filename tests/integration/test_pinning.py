"""A flow never moves between instances while its instance lives (DESIGN section 6; docs/protocol.md, U8, U16, U18,
U19): one TCP connection, one UDP flow and calls to a pool, through everything that may happen meanwhile."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import dmsclab
import pytest
import yaml
from dmsclab.calls import Announcer, load
from dmsclab.demo import wait_for_names
from dmsclab.lab import Lab

from conftest import ROOT, lab_name

PROGRAM = str(Path(dmsclab.__file__).resolve().parent / "pinned.py")
ROUTERS = {"sg-2": ["sr-1", "sr-2"], "sg-3": ["sr-1", "sr-3"], "sg-4": ["sr-2", "sr-3"]}
SLACK = float(os.environ.get("DMSC_TEST_SLACK", "2"))
PORT = "5201"
ENDPOINT = ["--pool", "--echo", "--endpoint", f"127.0.0.1:{PORT}", "--port", f"{PORT}/tcp", "--port", f"{PORT}/udp"]


class Domain:
    """Figure 2 with a pool C of servers in pod-3 and pod-4; pod-2 may join."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.servers = {pod: self.announce(pod) for pod in ("pod-3", "pod-4")}
        for pod in ("pod-2", "pod-3", "pod-4"):
            lab.launch(pod, "pinned", [sys.executable, PROGRAM, "serve", pod, PORT])
        lab.wait(lambda: self.instances() == 2, 20, "both instances of C at sg-1")
        lab.wait(lambda: lab.exec("pod-1", "getent", "ahostsv4", "c.svc.dmsc", check=False).returncode == 0, 20, "C in DNS")

    def announce(self, pod: str) -> Announcer:
        return Announcer(self.lab, pod, f"C/{pod[-1]}", *ENDPOINT).wait_state("granted", 10)

    def instances(self) -> int:
        return sum(row["prefix"] == "C" for row in self.lab.show("sg-1", "fib"))

    def close(self) -> None:
        for announcer in self.servers.values():
            announcer.__exit__()


@pytest.fixture(scope="module")
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    topology = yaml.safe_load((ROOT / "config" / "fig2" / "lab.yaml").read_text())
    topology["registry"]["pools"].append("C")
    topology["registry"]["prefixes"] = [{"subtree": f"C/{n}", "owner": f"pod:pod-{n}@sg-{n}"} for n in (2, 3, 4)]
    file = Path(tmp_path_factory.mktemp("topology")) / "lab.yaml"
    file.write_text(yaml.safe_dump(topology))
    with Lab.up(file, name=lab_name(request)) as lab:
        wait_for_names(lab)
        domain = Domain(lab)
        yield domain
        domain.close()


@pytest.fixture
def lab(domain: Domain) -> Lab:
    """For the accounts (D15) after every test."""
    return domain.lab


class Flow:
    """The client in pod-1; `server` is the pod that took its connection."""

    def __init__(self, lab: Lab) -> None:
        self.process = lab.popen("pod-1", sys.executable, PROGRAM, "call", "c.svc.dmsc", PORT, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline().split()
        assert line and line[0] == "open", self.process.communicate()[1]
        self.server = line[1]
        self.gateway = "sg-" + self.server[-1]

    def end(self) -> dict[str, Any]:
        out, error = self.process.communicate("end\n", timeout=60)
        assert self.process.returncode == 0, error
        return json.loads(out)


def through(domain: Domain, event: Callable[[Flow], None], udp: bool = True) -> None:
    """Flows and calls go on while `event` happens; nothing of a flow moves, breaks or changes."""
    flow = Flow(domain.lab)
    calls = load(domain.lab, "pod-1", "C", count=400, rate=50)
    time.sleep(1)
    event(flow)
    time.sleep(2)
    result = flow.end()
    summary = calls.wait(60)
    print(result, summary.failed, "calls failed")
    assert result["wrong"] == "", result
    assert result["received"] == result["sent"] and result["name"] == flow.server
    assert summary.twice == 0, f"{summary.twice} calls ran twice"
    if udp:
        assert len(result["names"]) == 1, f"the UDP flow moved: {result}"
        assert result["last_answered"] >= result["datagrams"] - 50 * SLACK, f"the UDP flow died: {result}"


def restart(lab: Lab, gateway: str, how: int) -> None:
    lab.kill(gateway, how)
    lab.start(gateway)


@pytest.mark.limit(120)
def test_u8_a_flow_stays_while_a_policy_moves_the_weights_away_from_its_instance(domain, lab):
    def policy(flow: Flow) -> None:
        slow = [f"{flow.gateway}--{router}" for router in ROUTERS[flow.gateway]]
        for link in slow:
            lab.set(link, delay="70ms")
        try:
            lab.wait(lambda: [p for p in lab.show("sg-1", "policies") if p["kind"] == "weights"], 20, "weights at sg-1")
            assert Flow(lab).end()["name"] != flow.server, "new flows go to the other instance"
        finally:
            for link in slow:
                lab.set(link, delay="0ms")
    through(domain, policy)
    lab.wait(lambda: not [p for p in lab.show("sg-1", "policies") if p["kind"] == "weights"], 40, "the weights' end")


def test_u8_a_flow_stays_when_its_pool_grows(domain, lab):
    def grow(_: Flow) -> None:
        domain.servers["pod-2"] = domain.announce("pod-2")
        lab.wait(lambda: domain.instances() == 3, 10, "the third instance at sg-1")
    through(domain, grow)


def test_u8_a_flow_stays_when_a_router_on_its_way_is_killed(domain, lab):
    def reroute(flow: Flow) -> None:
        path = next(row["path"] for row in lab.show("sg-1", "paths") if row["node"] == flow.gateway)
        router = path[1]
        lab.kill(router)
        time.sleep(1)
        lab.start(router)
    through(domain, reroute)


@pytest.mark.limit(90)
@pytest.mark.parametrize("how", [signal.SIGUSR2, signal.SIGKILL])
def test_u18_u19_a_flow_stays_over_a_restart_of_its_egress(domain, lab, how):
    through(domain, lambda flow: restart(lab, flow.gateway, how))


@pytest.mark.limit(90)
def test_u19_a_flow_stays_over_a_restart_of_its_ingress(domain, lab):
    through(domain, lambda flow: restart(lab, "sg-1", signal.SIGUSR2))
    edge = lab.show("sg-1", "counters")["edge"]
    assert edge["taken_over"] > 0 and edge["sought"] == 0


@pytest.mark.limit(90)
def test_u19_a_connection_is_found_again_after_a_crash_of_its_ingress(domain, lab):
    """A UDP flow has nothing to be told by: it is chosen anew, by the same hash."""
    through(domain, lambda flow: restart(lab, "sg-1", signal.SIGKILL), udp=False)
    edge = lab.show("sg-1", "counters")["edge"]
    assert edge["found"] + edge["adopted"] > 0


def test_u16_a_connection_is_reset_within_a_second_of_its_instance(domain, lab):
    flow = Flow(lab)
    domain.servers.pop(flow.server).__exit__()
    flow.process.wait(timeout=5 * SLACK)
    out, error = flow.process.communicate(timeout=10)
    assert flow.process.returncode == 0, error
    assert any(word in json.loads(out)["wrong"] for word in ("reset", "Broken pipe")), out
    assert Flow(lab).end()["name"] != flow.server
