"""Gateways of several workers, sealed: TCP and messages, and either side restarted. Two and two workers; and two and
three, where the flows of one worker meet several at the other end."""
from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from dmsclab.calls import call, load
from dmsclab.lab import Lab

from conftest import TOPOLOGIES, lab_name

WORKERS = {"sg-1": 2, "sg-4": 2}
BAD = ("bad-seal", "seal-replay", "unknown-seal", "replay", "bad-tag", "bad-key", "not-neighbour", "unsealed")


@pytest.fixture(scope="module", params=[(2, 2), (2, 3)], ids=["two-two", "two-three"])
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    plan = yaml.safe_load((TOPOLOGIES / "s1.yaml").read_text())
    plan["defaults"] = {**plan.get("defaults", {}), "link": {"emulate": False}}
    plan["pods"]["pod-4"]["web"] = 8080
    for node, workers in zip(("sg-1", "sg-4"), request.param):
        plan["nodes"][node]["config"] = {"dataplane": {"workers": workers}}
    file = Path(tmp_path_factory.mktemp("workers")) / "lab.yaml"
    file.write_text(yaml.safe_dump(plan))
    with Lab.up(file, name=lab_name(request)) as lab:
        lab.wait(lambda: call(lab, "pod-1", "B/4", "there?").error == "", 20, "B/4 from pod-1")
        yield lab


def workers(lab: Lab, node: str) -> int:
    return yaml.safe_load(lab.plan.config_file(node).read_text())["dataplane"]["workers"]


def arrived(lab: Lab, node: str) -> list[int]:
    """Datagrams that have come to each worker's port since count()."""
    rules = lab.exec(node, "nft", "list", "table", "ip", "workers").stdout
    found = dict(re.findall(r"dport (\d+) counter packets (\d+)", rules))
    return [int(found[str(7402 + worker)]) for worker in range(workers(lab, node))]


def count(lab: Lab, node: str) -> None:
    lab.exec(node, "nft", "add table ip workers; flush table ip workers; "
             "add chain ip workers in { type filter hook input priority 0; }; "
             + "; ".join(f"add rule ip workers in udp dport {7402 + worker} counter"
                         for worker in range(workers(lab, node))))


def use(lab: Lab, calls: int = 100, connections: int = 20) -> None:
    """Messages and TCP, each with a flow of its own, and a long transfer; all answered, once, nothing refused."""
    before = {node: lab.show(node, "counters")["data"]["drops"] for node in WORKERS}
    summary = load(lab, "pod-1", "B/4", count=calls, rate=200, deadline="2s").wait(30)
    assert summary.ok == calls and summary.twice == 0, summary.failures
    for _ in range(connections):
        assert "pod-4 answers" in lab.exec("pod-1", "curl", "-sS", "-m", "5", "http://4.b.svc.dmsc:8080/").stdout
    lab.exec("pod-1", "curl", "-sS", "-m", "10", "-X", "POST", "--data-binary", "x" * 100_000,
             "http://4.b.svc.dmsc:8080/")
    assert len(call(lab, "pod-1", "B/4", "y" * 100_000).text) >= 100_000
    for node, then in before.items():
        now = lab.show(node, "counters")["data"]["drops"]
        assert {reason: now[reason] - then[reason] for reason in BAD} == {reason: 0 for reason in BAD}, node


def sealed_by(lab: Lab, node: str, peer: str) -> dict:
    return {row["peer"]: row for row in lab.show(node, "seals")}[peer]


def test_messages_and_tcp_go_sealed_between_gateways_of_several_workers(domain):
    for node in WORKERS:
        count(domain, node)
    before = sealed_by(domain, "sg-1", "sg-4")
    use(domain)
    after = sealed_by(domain, "sg-1", "sg-4")
    assert after["association"] == before["association"], "one association serves all workers"
    assert after["opened"] - before["opened"] >= 100 and after["refused"] == before["refused"]
    # The flows of unmodified programs and of messages are those of a gateway's first worker: as many workers at the
    # other end means that one alone hears of them, another number that they spread.
    mostly = [packets > 30 for packets in arrived(domain, "sg-4")]
    if workers(domain, "sg-4") == 2:
        assert mostly[0]
    else:
        assert mostly == [True, True, True], arrived(domain, "sg-4")


@pytest.mark.limit(120)
@pytest.mark.parametrize("node", ["sg-4", "sg-1"])
def test_a_gateway_of_several_workers_that_was_killed_has_new_keys_for_all_of_them(domain, node):
    use(domain, 20, 5)
    before = sealed_by(domain, "sg-1", "sg-4")["association"]
    domain.kill(node, signal.SIGKILL)
    domain.start(node)
    domain.wait(lambda: call(domain, "pod-1", "B/4", "after").error == "", 20, "B/4 to be back")
    assert sealed_by(domain, "sg-1", "sg-4")["association"] != before
    use(domain)


@pytest.mark.limit(120)
def test_a_gateway_comes_back_with_another_number_of_workers(domain):
    file = domain.plan.config_file("sg-4")
    config = yaml.safe_load(file.read_text())
    was = config["dataplane"]["workers"]
    for number in (1, was + 1, was):
        config["dataplane"]["workers"] = number
        file.write_text(yaml.safe_dump(config))
        domain.restart("sg-4")
        domain.wait(lambda: call(domain, "pod-1", "B/4", "after").error == "", 20, "B/4 to be back")
        use(domain, 50, 5)
