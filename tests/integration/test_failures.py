"""What may fail, and what must not: the domain of Figure 2 under 200 calls a second with a 2 s deadline.

The times are those of the issue; DMSC_TEST_SLACK (default 2) stretches them for a busy machine.
"""
from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from dmsclab.calls import Announcer, Summary, call, load
from dmsclab.demo import wait_for_names
from dmsclab.lab import Lab

from conftest import ROOT, lab_name

SLACK = float(os.environ.get("DMSC_TEST_SLACK", "2"))
RATE, DEADLINE = 200, "2s"
GATEWAYS = ["sg-1", "sg-2", "sg-3", "sg-4"]
SPAS = ["spa-1", "spa-2", "spa-3", "spa-4"]


@pytest.fixture(scope="module")
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Figure 2 with a pool C that has two equally near instances seen from sg-1, and a name that pod-1 may
    announce but does not yet."""
    topology = yaml.safe_load((ROOT / "config" / "fig2" / "lab.yaml").read_text())
    topology["pods"]["pod-3"]["announce"].append("C/3")
    topology["pods"]["pod-4"]["announce"].append("C/4")
    topology["registry"]["pools"].append("C")
    topology["registry"]["prefixes"] = [{"subtree": "late/1", "owner": "pod:pod-1@sg-1"}]
    file = Path(tmp_path_factory.mktemp("topology")) / "lab.yaml"
    file.write_text(yaml.safe_dump(topology))
    with Lab.up(file, name=lab_name(request)) as lab:
        wait_for_names(lab)
        yield lab


def under_load(lab: Lab, pod: str, name: str, seconds: float, *steps) -> Summary:
    """Calls at RATE for `seconds` while the steps (delay in s, action) happen one after the other."""
    running = load(lab, pod, name, count=int(RATE * seconds), rate=RATE, deadline=DEADLINE)
    for delay, action in steps:
        time.sleep(delay)
        action()
    return running.wait(seconds + 30)


def none_failed(summary: Summary) -> None:
    assert summary.failed == 0, f"{summary.failed} of {summary.sent} calls failed: {summary.failures[:5]}"
    assert summary.ok == summary.sent
    assert summary.twice == 0, f"{summary.twice} of {summary.sent} calls ran twice"


@pytest.mark.limit(180)
@pytest.mark.parametrize("router, source, target", [("sr-1", 1, 3), ("sr-2", 1, 4), ("sr-3", 3, 4)])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_r36_any_router_killed_or_restarted_no_call_fails_none_runs_twice(domain, router, source, target, how):
    name = f"B/{target}"
    assert router in call(domain, f"pod-{source}", name, "which way").path
    summary = under_load(domain, f"pod-{source}", name, 8, (2, lambda: domain.kill(router, how)),
                         (2, lambda: domain.start(router)))
    none_failed(summary)


@pytest.mark.limit(180)
def test_r36_a_gateway_killed_only_its_names_fail_quickly_and_come_back(domain):
    other = load(domain, "pod-1", "B/3", count=RATE * 8, rate=RATE, deadline=DEADLINE)
    running = load(domain, "pod-1", "B/4", count=RATE * 8, rate=RATE, deadline=DEADLINE)
    time.sleep(2)
    domain.kill("sg-4")
    time.sleep(2)
    started = time.monotonic()
    domain.start("sg-4")
    domain.wait(lambda: not call(domain, "pod-1", "B/4", "back?").error, 2 * SLACK + 8, "B/4 to be back", every=0.02)
    back = time.monotonic() - started
    none_failed(other.wait(60))
    summary = running.wait(60)
    assert summary.failed, "calls to B/4 must have failed while sg-4 was dead"
    slow = [each for each in summary.failures if each["took_ms"] > 500 * SLACK]
    assert not slow, f"{len(slow)} of {summary.failed} failures took longer than 500 ms: {slow[:3]}"
    assert back <= 2 * SLACK, f"B/4 was back {back:.2f} s after the start of sg-4"


@pytest.mark.limit(180)
def test_all_spa_down_calls_go_on_and_a_new_announcement_waits_with_its_reason(domain):
    running = load(domain, "pod-1", "B/4", count=RATE * 8, rate=RATE, deadline=DEADLINE)
    time.sleep(1)
    for spa in SPAS:
        domain.kill(spa)
    with Announcer(domain, "pod-1", "late/1") as late:
        late.wait_state("pending", 5 * SLACK)
        domain.wait(lambda: late.reason, 5 * SLACK, "the reason it waits")
        none_failed(running.wait(60))
        assert late.state == "pending"
        domain.start("spa-3")
        late.wait_state("granted", 5 * SLACK)
    for spa in SPAS:
        domain.start(spa)


def test_scsc_down_no_call_fails(domain):
    none_failed(under_load(domain, "pod-1", "B/4", 6, (1.5, lambda: domain.kill("scsc-1")),
                           (2, lambda: domain.start("scsc-1"))))


def in_fibs(lab: Lab, prefix: str) -> list[str]:
    return [sg for sg in GATEWAYS if prefix in {row["prefix"] for row in lab.show(sg, "fib")}]


def test_a_killed_pod_is_gone_everywhere_after_the_grace_and_not_before(domain):
    domain.kill("pod-2/serve")
    killed = time.monotonic()
    time.sleep(1.5)
    assert in_fibs(domain, "B/2") == GATEWAYS, "withdrawn before the grace of 3 s"
    domain.wait(lambda: not in_fibs(domain, "B/2"), 3 + 1 * SLACK, "B/2 to leave every FIB")
    assert time.monotonic() - killed >= 2.5
    for pod in ("pod-1", "pod-3", "pod-4"):
        assert call(domain, pod, "B/2", "hello").error
    domain.start("pod-2/serve")
    domain.wait(lambda: not call(domain, "pod-1", "B/2", "again").error, 5 * SLACK, "B/2 to be back")


def shares(lab: Lab, seconds: float = 1.5) -> dict[str, float]:
    """Which part of new calls to the pool C each gateway serves."""
    summary = load(lab, "pod-1", "C", count=int(RATE * seconds), rate=RATE, deadline=DEADLINE).wait(60)
    none_failed(summary)
    return {sg: summary.by_egress.get(sg, 0) / summary.ok for sg in GATEWAYS}


@pytest.mark.limit(240)
def test_r31_r33_r34_delay_moves_new_calls_to_the_better_instance_and_back(domain):
    before = shares(domain)
    assert before["sg-3"] > 0.2 and before["sg-4"] > 0.2, before
    for link in ("sg-3--sr-1", "sg-3--sr-3"):
        domain.set(link, delay="80ms")
    try:
        domain.wait(lambda: shares(domain)["sg-4"] >= 0.95, 10 * SLACK, ">= 95 % of new calls on sg-4", every=0.2)
    finally:
        for link in ("sg-3--sr-1", "sg-3--sr-3"):
            domain.set(link, delay="0ms")
    domain.wait(lambda: shares(domain)["sg-3"] > 0.2, 10 * SLACK, "calls to return to sg-3", every=0.5)


def wait_way(lab: Lab, path: list[str], timeout: float) -> None:
    """Until a call from pod-1 to B/4 takes this way; else says what was seen instead."""
    last = call(lab, "pod-1", "B/4", "which way")
    deadline = time.monotonic() + timeout
    while last.path != path and time.monotonic() < deadline:
        time.sleep(0.1)
        last = call(lab, "pod-1", "B/4", "which way")
    assert last.path == path, (f"{last}\n{lab.ctl('sg-1', 'show', 'neighbors').stdout}"
                               f"{lab.ctl('sr-2', 'show', 'neighbors').stdout}{lab.ctl('sg-1', 'show', 'paths').stdout}")


@pytest.mark.limit(120)
@pytest.mark.parametrize("way", [None, "sg-1", "sr-2"])
def test_a_link_that_goes_silent_both_or_one_way_costs_no_call(domain, way):
    assert "sr-2" in call(domain, "pod-1", "B/4", "which way").path
    try:
        none_failed(under_load(domain, "pod-1", "B/4", 5, (1.5, lambda: domain.cut("sg-1--sr-2", way))))
        assert call(domain, "pod-1", "B/4", "round it").path[1] == "sr-1"
    finally:
        domain.heal("sg-1--sr-2")
    wait_way(domain, ["sg-1", "sr-2", "sg-4"], 10 * SLACK)


def flaps(lab: Lab) -> int:
    return sum(row["flaps"] for node in ("sr-1", "sr-2", "sr-3") for row in lab.show(node, "neighbors"))


@pytest.mark.limit(120)
def test_five_percent_loss_tears_no_link_down(domain):
    before = flaps(domain)
    links = [link.name for link in domain.plan.topology.links]
    try:
        for link in links:
            domain.set(link, loss="5%")
        summary = under_load(domain, "pod-1", "B/4", 8)
    finally:
        for link in links:
            domain.set(link, loss="0%")
    none_failed(summary)
    assert flaps(domain) == before
