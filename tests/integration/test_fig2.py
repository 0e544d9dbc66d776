"""The domain of the draft's Figure 2, end to end, with the real daemons."""
from __future__ import annotations

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from dmsclab import lsdb
from dmsclab.calls import Announcer, announce, call
from dmsclab.demo import wait_for_names
from dmsclab.lab import Lab
from dmsclab.programs import build_dir
from dmsclab.run import run

ROUTERS = ["sr-1", "sr-2", "sr-3"]
GATEWAYS = ["sg-1", "sg-2", "sg-3", "sg-4"]


@pytest.fixture(scope="module")
def domain(fig2: Lab) -> Lab:
    wait_for_names(fig2)
    return fig2


def by_name(lab: Lab, node: str) -> int:
    return lab.show(node, "counters")["data"]["by_name"]


def test_r1_r4_every_entity_of_figure_2_runs_and_is_adjacent(domain):
    processes = domain.processes()
    for node in domain.plan.topology.nodes:
        assert processes[node]["state"] == "ready", f"{node}: {processes[node]}"
    for node in ROUTERS + GATEWAYS:
        wanted = {link.ends[1 - link.ends.index(node)] for link in domain.plan.topology.links if node in link.ends}
        domain.wait(lambda: {row["neighbour"] for row in domain.show(node, "neighbors") if row["state"] == "up"}
                    == wanted, 10, f"the adjacencies of {node}")
    links = {frozenset(link.ends) for link in domain.plan.topology.links}
    domain.wait(lambda: lsdb.graph(domain, "sg-1").links() == links, 10, "every link in the LSDB of sg-1", every=0.2)


def test_r19_r21_all_nodes_hold_the_same_lsdb(domain):
    domain.wait(lambda: lsdb.identical(domain, ROUTERS + GATEWAYS), 10, "one consistent LSDB", every=0.2)


def test_the_counters_say_how_long_ago_the_fib_was_written(domain):
    for node in ("sr-1", "sg-1"):
        fib = domain.show(node, "counters")["fib"]
        for what in ("last_node_route", "last_new_node", "last_prefix_route"):
            assert 0 <= fib[f"{what}_ago_ms"] < 3_600_000 and fib[f"{what}_us"] > 0, f"{node}: {what}: {fib}"
        assert fib["last_drain_ago_ms"] is None, f"{node} was never drained: {fib}"


def test_r8_r17_r18_prefixes_are_where_their_pods_are(domain):
    for node in ("sr-1", "sg-3"):
        held = lsdb.prefixes(domain, node)
        for i in range(1, 5):
            assert held[f"A/{i}"] == held[f"B/{i}"] == {f"sg-{i}"}
        assert held["A"] == held["B"] == set(GATEWAYS)


@pytest.mark.parametrize("source, target", [(1, 4), (4, 1), (2, 3), (3, 4), (1, 1)])
def test_r40_r42_r44_a_call_takes_a_shortest_path_of_the_lsdb_both_ways(domain, source, target):
    reply = call(domain, f"pod-{source}", f"B/{target}", "hello")
    assert not reply.error and "hello" in reply.text
    ingress, egress = f"sg-{source}", f"sg-{target}"
    assert reply.egress == egress
    graph = lsdb.graph(domain, ingress)
    assert reply.path in graph.shortest_paths(ingress, egress)
    assert reply.return_path in graph.shortest_paths(egress, ingress)


def test_r33_a_call_to_the_pool_reaches_any_of_its_instances(domain):
    seen = {call(domain, "pod-1", "B", "hello").egress for _ in range(8)}
    assert seen and seen <= set(GATEWAYS)


@pytest.mark.parametrize("source, target", [(1, 4), (1, 3), (3, 4), (2, 4)])
def test_r7_r42_egress_0_is_matched_by_name_at_every_router_on_the_way(domain, source, target):
    before = {node: by_name(domain, node) for node in ROUTERS}
    reply = call(domain, f"pod-{source}", f"B/{target}", "by name", "--by-name")
    assert not reply.error and reply.egress == f"sg-{target}"
    routers = [node for node in reply.path if node in ROUTERS]
    assert routers
    for node in routers:
        assert by_name(domain, node) > before[node]


def test_r12_r14_r15_an_unauthorised_prefix_is_refused_and_in_no_lsdb(domain):
    refused = announce(domain, "pod-1", "A/9")
    assert refused.state == "refused" and "A/9" in refused.reason
    for node in ROUTERS + GATEWAYS:
        assert "A/9" not in lsdb.prefixes(domain, node)
    assert call(domain, "pod-2", "A/9", "x").error


def test_r13_a_pod_cannot_announce_what_belongs_to_another_pod(domain):
    refused = announce(domain, "pod-2", "B/4")
    assert refused.state == "refused" and refused.reason
    assert lsdb.prefixes(domain, "sr-2")["B/4"] == {"sg-4"}


def test_limits_set_in_the_writers_file_reach_every_node_by_a_reload(domain):
    file = domain.plan.config_file("spa-1")
    before = file.read_text()
    serial = domain.show("spa-1", "parameters")["serial"]

    def held(node: str) -> tuple[int, str, int]:
        body = domain.show(node, "lsdb", "root", "domain-parameters")[0]["body"]
        return body["max_prefixes_per_node"], body["actions"]["prefixes"], body["serial"]

    def everywhere(wanted: tuple[int, str, int]) -> None:
        for node in ROUTERS + GATEWAYS:
            domain.wait(lambda: held(node) == wanted, 10, f"the limits {wanted} at {node}")
    limits = {"prefixes": {"per_node": 5000, "action": "isolate"}}
    file.write_text(yaml.safe_dump({**yaml.safe_load(before), "limits": limits}))
    try:
        assert domain.ctl("spa-1", "reload").stdout == "limits\n"
        everywhere((5000, "isolate", serial + 1))
        wanted = {"action": "isolate", "per_node": 5000, "instances": 64}
        domain.wait(lambda: domain.show("spa-3", "parameters")["prefixes"] == wanted, 5, "them at the replica spa-3")
    finally:
        file.write_text(before)
        domain.ctl("spa-1", "reload")
    everywhere((100000, "block", serial + 2))


@pytest.mark.parametrize("node", ["sr-1", "sg-1", "spa-1", "scsc-1"])
def test_the_help_names_the_topics_there_are(domain, node):
    verbs = {"explain", "ping", "trace", "stream", "probe"}
    script = domain.ctl(node, "completion", "bash").stdout
    offered = set(re.search(r'show\|watch\).*-W "([^"]*)"', script).group(1).split())
    refusal = domain.ctl(node, "show", "nonsense", check=False).stderr
    there = set(refusal.partition("it has ")[2].split())
    assert offered == there - verbs


def test_a_typo_is_an_error_that_names_the_name(domain):
    reply = call(domain, "pod-1", "B/44", "hello")
    assert reply.error.startswith("no-route: ")
    assert "B/44" in reply.error


def until_gone(lab: Lab, pod: str, name: str, since: float, timeout: float) -> float:
    """Calls again and again until one ends with the word that there is no instance of `name`; when the first
    such call began, in s since `since`."""
    while True:
        began = time.monotonic() - since
        seen = call(lab, pod, name, "still there?").error
        if seen.startswith("no-instance: "):
            return began
        assert began < timeout, f"{pod}: {name} still answers {began:.2f} s later, or fails otherwise: {seen}"


def test_g2_a_withdrawn_pod_is_no_instance_at_every_gateway_within_a_second(domain):
    """Seen from pods at the other gateways; pod-3 itself has no name left to call under, so sg-3 is asked."""
    def out_of_fib() -> float:
        domain.wait(lambda: "B/3" not in {row["prefix"] for row in domain.show("sg-3", "fib")}, 5,
                    "B/3 to leave the FIB of sg-3", every=0.01)
        return time.monotonic() - withdrawn
    domain.send("pod-3/serve", signal.SIGTERM)
    domain.wait_exit("pod-3/serve")
    withdrawn = time.monotonic()
    try:
        with ThreadPoolExecutor() as pool:
            own = pool.submit(out_of_fib)
            took = [own.result(), *pool.map(lambda pod: until_gone(domain, pod, "B/3", withdrawn, 5),
                                            ("pod-1", "pod-2", "pod-4"))]
    finally:
        domain.start("pod-3/serve")
    domain.wait(lambda: not call(domain, "pod-1", "B/3", "again").error, 5, "B/3 to be back")
    print(f"B/3 is gone at sg-3, 1, 2, 4 after {', '.join(f'{t:.3f}' for t in took)} s")
    assert max(took) <= 1


def test_r16_a_revoked_grant_is_out_of_use_everywhere_within_two_seconds(domain):
    rule = ("prefix", "set", "secret/1", "--owner", "pod:pod-2@sg-2")
    domain.ctl("spa-1", *rule)
    with Announcer(domain, "pod-2", "secret/1") as announcer:
        announcer.wait_state("granted")
        nodes = ROUTERS + GATEWAYS
        def holds(node: str) -> bool:
            return "secret/1" in {row["prefix"] for row in domain.show(node, "fib")}
        domain.wait(lambda: all(map(holds, nodes)), 5, "secret/1 to be in every FIB")
        revoked = time.monotonic()
        domain.ctl("spa-1", "prefix", "remove", "secret/1")

        def until_out(node: str) -> float:
            domain.wait(lambda: not holds(node), 10, f"secret/1 to leave the FIB of {node}", every=0.01)
            return time.monotonic() - revoked
        with ThreadPoolExecutor() as pool:
            took = list(pool.map(until_out, nodes))
        print(f"revoked: out of the FIBs after {', '.join(f'{t:.3f}' for t in took)} s")
        assert max(took) <= 2
        announcer.wait_state("refused")
        for pod in ("pod-1", "pod-2", "pod-3"):
            assert call(domain, pod, "secret/1", "hello").error


def test_r46_status_says_that_payload_is_in_clear(domain):
    status = domain.show("sg-1", "status")
    assert "clear" in str(status).lower()


def test_r3_a_pod_belongs_to_exactly_one_gateway(domain):
    for i, gateway in enumerate(GATEWAYS, 1):
        pods = {row["identity"] for row in domain.show(gateway, "pods")}
        assert pods == {f"pod:pod-{i}"}


def test_an_announcement_lives_as_long_as_its_stream(domain):
    with Announcer(domain, "pod-2", "B/2") as second:
        second.wait_state("granted")
        rows = [row for row in domain.show("sg-1", "fib") if row["prefix"] == "B/2"]
        assert len(rows) == 2
    domain.wait(lambda: len([r for r in domain.show("sg-1", "fib") if r["prefix"] == "B/2"]) == 1, 3, "one instance")


def test_r2_programs_of_one_pod_share_its_identity(domain):
    with Announcer(domain, "pod-2", "A/2") as second:
        second.wait_state("granted")
        rows = [row for row in domain.show("sg-2", "pods") if row["prefix"] == "A/2"]
        assert [row["identity"] for row in rows] == ["pod:pod-2"] * 2
        assert len({row["pid"] for row in rows}) == 2 and len({row["instance"] for row in rows}) == 2
    domain.wait(lambda: len([r for r in domain.show("sg-1", "fib") if r["prefix"] == "A/2"]) == 1, 3, "one instance")


def test_r5_the_domain_has_one_center_and_every_node_reports_to_it(domain):
    for node in ROUTERS + GATEWAYS:
        status = domain.show(node, "status")
        assert status["domain"] == "fig2.dmsc"
        assert status["scheduling"]["center"] == "scsc-1" and status["scheduling"]["connected"]
    sessions = {row["node"]: row["session"] for row in domain.show("scsc-1", "nodes")}
    assert sessions == {node: "up" for node in ROUTERS + GATEWAYS}


def test_r6_a_call_names_a_service_and_no_host(domain):
    """The same name goes to whichever gateway its instance is at, without the caller saying where."""
    for i in (2, 3, 4):
        for name in (f"A/{i}", f"B/{i}"):
            reply = call(domain, "pod-1", name, "where")
            assert reply.egress == f"sg-{i}" and name in reply.text


@pytest.mark.parametrize("node, sockets, services", [
    ("sr-1", ["inspect", "admin"], ["Inspect", "Admin"]),
    ("sg-1", ["inspect", "admin", "pod"], ["Inspect", "Admin", "Pod"]),
    ("spa-1", ["inspect", "admin"], ["Inspect", "RegistryAdmin"]),
    ("scsc-1", ["inspect", "admin"], ["Inspect", "Admin"])])
def test_every_daemon_answers_grpc_health_and_reflection(domain, node, sockets, services):
    seen = set()
    for socket in sockets:
        done = run([build_dir() / "tests" / "grpc_probe", f"unix:{domain.plan.run_dir(node)}/{socket}.sock"])
        lines = done.stdout.splitlines()
        assert lines[0] == "health SERVING", f"{node} {socket}.sock: {done.stdout}"
        seen |= {line.removeprefix("service ") for line in lines[1:]}
    assert {f"dmsc.v1.{service}" for service in services} <= seen


@pytest.mark.parametrize("server, role, port, service", [("spa-1", "spa", 7410, "Authentication"),
                                                         ("scsc-1", "scsc", 7420, "Scheduling")])
def test_the_servers_of_the_domain_answer_grpc_health_and_reflection_to_its_members(domain, server, role, port, service):
    state = domain.plan.data_dir("sg-1")
    done = domain.exec("sg-1", str(build_dir() / "tests" / "grpc_probe"),
                       f"{domain.plan.management(server)}:{port}", str(state), role)
    lines = done.stdout.splitlines()
    assert lines[0] == "health SERVING" and f"service dmsc.v1.{service}" in lines
