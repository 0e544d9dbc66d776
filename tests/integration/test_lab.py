"""The lab and the link emulator themselves, without any daemon."""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dmsclab import configs, network, supervisor
from dmsclab.errors import LabError
from dmsclab.lab import Lab
from dmsclab.plan import DAEMONS, Plan
from dmsclab.programs import program
from dmsclab.topology import load, parse

from conftest import ROOT, TOPOLOGIES, lab_name, left_out

FAKE = str(Path(__file__).resolve().parent / "fake_daemon.py")


def mean_rtt_ms(lab: Lab, node: str, address: str, *options: str) -> float:
    out = lab.exec(node, "ping", "-q", "-c", "5", "-i", "0.05", *options, address).stdout
    return float(re.search(r"= [\d.]+/([\d.]+)/", out).group(1))


def address(lab: Lab, link: str, node: str) -> str:
    wire = lab.plan.wire(link)
    return wire.addresses[wire.link.ends.index(node)]


def lost(lab: Lab, node: str, to: str) -> int:
    out = lab.exec(node, "ping", "-q", "-c", "4", "-i", "0.05", "-W", "0.3", to, check=False).stdout
    return 4 - int(re.search(r"(\d+) received", out).group(1))


def test_delay_of_the_topology_file_is_real(line):
    assert 4 <= mean_rtt_ms(line, "a", address(line, "a--b", "b")) < 20


def test_delay_changes_at_run_time(line):
    line.set("a--b", delay="25ms")
    assert 50 <= mean_rtt_ms(line, "a", address(line, "a--b", "b")) < 80
    line.set("a--b", delay="0ms")
    assert mean_rtt_ms(line, "a", address(line, "a--b", "b")) < 20


def test_a_direct_link_has_no_emulator(line):
    assert mean_rtt_ms(line, "b", address(line, "b--c", "c")) < 20
    with pytest.raises(LabError, match="no emulator"):
        line.cut("b--c")


def test_cut_and_heal_one_way_and_both(line):
    to = address(line, "a--b", "b")
    for way in (None, "a", "b"):
        line.cut("a--b", way)
        assert lost(line, "a", to) == 4
        line.heal("a--b")
        assert lost(line, "a", to) == 0


def test_full_loss_one_way(line):
    line.set("b--a", "b", loss="100%")
    assert lost(line, "a", address(line, "a--b", "b")) == 4
    line.set("a--b", loss="0%")
    assert lost(line, "a", address(line, "a--b", "b")) == 0


def test_the_mtu_is_real(line):
    to = address(line, "a--b", "b")
    assert mean_rtt_ms(line, "a", to, "-M", "do", "-s", "1472") < 20
    assert line.exec("a", "ping", "-c", "1", "-M", "do", "-s", "1473", "-W", "1", to, check=False).returncode != 0


def test_ipv6_and_multicast_pass(line):
    out = line.exec("a", "ping", "-6", "-c", "2", "-i", "0.2", "-W", "2", "ff02::1%to-b").stdout
    assert "0 received" not in out


def test_rate_limits_bulk_tcp(line):
    to = address(line, "a--b", "b")
    line.set("a--b", rate="20Mbit/s", queue="100kB")
    server = line.popen("b", "iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        out = json.loads(line.exec("a", "iperf3", "-c", to, "-t", "2", "-J").stdout)
        rate = out["end"]["sum_received"]["bits_per_second"]
        assert 10e6 < rate < 22e6
    finally:
        server.terminate()
        server.wait()
        line.set("a--b", rate="unlimited")
    full = [w["queue_full"] for link in line.emulator.show() for w in link["ways"]]
    assert max(full) > 0


def test_wrong_settings_change_nothing(line):
    before = line.emulator.show()[0]["ways"][0]["settings"]
    for wrong in ({"delay": "20"}, {"loss": "200%"}, {"speed": "1"}):
        with pytest.raises(LabError):
            line.set("a--b", **wrong)
    assert line.emulator.show()[0]["ways"][0]["settings"] == before
    with pytest.raises(LabError, match="no link"):
        line.set("a--z", delay="1ms")


def test_supervisor_waits_for_ready_and_sees_status(line):
    name = line.launch("a", "fake", ["/usr/bin/python3", FAKE, "--delay", "0.3"], notify=True)
    process = line.processes()[name]
    assert process["state"] == "ready" and process["status"] == "serving"
    assert process["ready_after"] >= 0.3
    line.kill(name)
    assert line.processes()[name]["exit"] == -signal.SIGKILL
    line.start(name)
    line.restart(name)
    assert line.processes()[name]["starts"] == 3
    line.kill(name, signal.SIGTERM)
    assert line.processes()[name]["exit"] == 0


def test_a_program_that_dies_is_named_with_its_log(line):
    with pytest.raises(LabError, match=r"b/bad: exited \(3\)\n.*no reason"):
        line.launch("b", "bad", ["/usr/bin/python3", FAKE, "--fail"], notify=True)


def test_resolver_files_are_bound_per_namespace(line):
    outside = Path("/etc/resolv.conf").read_text() if Path("/etc/resolv.conf").exists() else ""
    (line.plan.folder("a") / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    assert line.exec("a", "cat", "/etc/resolv.conf").stdout == "nameserver 192.0.2.53\n"
    assert "192.0.2.53" not in line.exec("b", "cat", "/etc/resolv.conf").stdout
    assert not Path("/etc/netns").exists() or not list(Path("/etc/netns").glob(f"{line.plan.name}-*"))
    assert (Path("/etc/resolv.conf").read_text() if outside else "") == outside


def namespaces(prefix: str) -> list[str]:
    return [p.name for p in network.NETNS.glob(prefix + "-*")]


def test_down_after_a_crash_leaves_nothing(request):
    name = lab_name(request) + "-x"
    lab = Lab.up(TOPOLOGIES / "line.yaml", name=name)
    fake = lab.launch("a", "fake", ["/usr/bin/python3", FAKE], notify=True)
    stray = lab.popen("b", "sleep", "1000")
    pids = [lab.processes()[fake]["pid"], lab.processes()["linkem"]["pid"]]
    recorded = json.loads((lab.plan.state / "pids" / "supervisor.json").read_text())["pid"]
    os.kill(recorded, signal.SIGKILL)
    Lab.wait(lambda: not Path(f"/proc/{recorded}/cmdline").exists()
             or Path(f"/proc/{recorded}/cmdline").read_bytes() == b"", 5, "the supervisor to die")
    assert namespaces(name) and Path(f"/proc/{pids[0]}").exists()
    assert Lab.down(name)
    assert stray.wait(5) != 0
    Lab.wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 5, "the programs to end")
    assert namespaces(name) == [] and not lab.plan.state.exists()
    assert not Lab.down(name)


def test_down_never_kills_a_reused_pid(request, tmp_path):
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        state = tmp_path / "lab"
        (state / "pids").mkdir(parents=True)
        (state / "pids" / "sr-1.json").write_text(json.dumps({"pid": bystander.pid, "start_time": 1}))
        assert Lab.down("none", state)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_two_labs_run_side_by_side(line, request):
    with Lab.up(TOPOLOGIES / "line.yaml", name=lab_name(request) + "-y") as other:
        assert {line.plan.name, other.plan.name} <= set(Lab.names())
        other.cut("a--b")
        assert lost(line, "a", address(line, "a--b", "b")) == 0
    assert other.plan.name not in Lab.names()


def test_the_command_line(line):
    def lab(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(ROOT / "tools" / "lab"), "--name", line.plan.name, *words],
                              capture_output=True, text=True, timeout=30, check=False)
    assert "linkem" in lab("status").stdout
    assert line.plan.name in lab("list").stdout
    assert lab("exec", "a", "hostname").returncode == 0
    assert lab("set", "a--b", "delay=1ms").returncode == 0
    assert "delay=1ms" in lab("status").stdout
    wrong = lab("cut", "a--q")
    assert wrong.returncode == 1 and "no link 'a--q' (there are: a--b, b--c)" in wrong.stderr
    assert "no node or pod 'z'" in lab("exec", "z", "true").stderr


@pytest.mark.parametrize("change, error", [
    ({"nodes": {"A!": {"role": "sr"}}}, "not a name"),
    ({"nodes": {"a": {"role": "router"}}}, "role 'router'"),
    ({"nodes": {"a": {"role": "sr", "colour": 1}}}, "unknown key 'colour'"),
    ({"links": [{"between": ["a", "q"]}]}, "no node 'q'"),
    ({"links": [{"between": ["a", "a"]}]}, "two different"),
    ({"links": [{"between": ["a", "b"]}, {"between": ["b", "a"]}]}, "two links"),
    ({"links": [{"between": ["a", "b"], "emulate": False, "delay": "1ms"}]}, "needs emulate"),
    ({"pods": {"p": {"gateway": "a"}}}, "not a node of role sg"),
    ({"nodes": {"s": {"role": "spa"}}}, "exactly one"),
    ({"nodes": []}, "must be a mapping"),
])
def test_mistakes_in_a_topology_are_named(change, error):
    good = {"name": "x", "nodes": {"a": {"role": "sr"}, "b": {"role": "sr"}}}
    parse(good, "x.yaml")
    with pytest.raises(LabError, match=error):
        parse({**good, **change}, "x.yaml")


def test_figure_2_has_the_drafts_nodes_and_edges():
    topology = load(ROOT / "config" / "fig2" / "lab.yaml")
    roles = [len(topology.of_role(role)) for role in ("sr", "sg", "spa", "scsc")]
    assert roles == [3, 4, 4, 1] and list(topology.pods) == ["pod-1", "pod-2", "pod-3", "pod-4"]
    edges = {frozenset(link.ends) for link in topology.links}
    want = "sr-1 sr-2,sr-1 sr-3,sr-2 sr-3,sg-1 sr-1,sg-1 sr-2,sg-2 sr-1,sg-2 sr-2,sg-3 sr-1,sg-3 sr-3,sg-4 sr-2,sg-4 sr-3"
    assert edges == {frozenset(pair.split()) for pair in want.split(",")}
    assert {p.gateway: p.announce for p in topology.pods.values()} == {
        f"sg-{i}": [f"A/{i}", f"B/{i}"] for i in range(1, 5)}


def test_generated_configuration_follows_the_plan(tmp_path):
    plan = Plan(load(ROOT / "config" / "fig2" / "lab.yaml"), "p", tmp_path)
    sg = configs.daemon_config(plan, plan.topology.nodes["sg-3"])
    assert [link["peer"] for link in sg["links"]] == ["sr-1", "sr-3"]
    assert sg["spa"][0] == f"{plan.management('spa-3')}:7410"
    assert sg["enrol"]["spa"][0] == f"{plan.management('spa-1')}:7410"
    assert [pod["name"] for pod in sg["pods"]["namespaces"]] == ["pod-3"]
    addresses = [a for wire in plan.wires for a in wire.addresses] + [plan.management(n) for n in plan.topology.nodes]
    assert len(set(addresses)) == len(addresses)
    registry = configs.registry(plan)
    assert registry["pools"] == ["A", "B"]
    assert {"subtree": "B/4", "owner": "pod:pod-4@sg-4"} in registry["prefixes"]
    spa = next(node for node in registry["nodes"] if node["name"] == "spa-2")
    assert spa["address"] == f"{plan.management('spa-2')}:7410"
    assert "spa-1" not in [node["name"] for node in registry["nodes"]]


def test_the_supervisor_refuses_what_it_does_not_know(line):
    client = supervisor.Client(line.plan.supervisor_socket)
    assert "no process 'zz'" in client.ask(do="signal", name="zz", signal=9)["error"]
    assert "unknown request" in client.ask(do="dance", name="linkem")["error"]
    assert "KeyError" in client.ask(name="linkem")["error"]
    assert sys.version_info >= (3, 11)


@pytest.mark.parametrize("role", ["sr", "sg", "spa", "scsc"])
def test_daemons_accept_the_generated_configuration(role, tmp_path):
    if not (ROOT / "daemons" / DAEMONS[role] / "main.cpp").exists():
        left_out(f"{DAEMONS[role]} does not exist")
    plan = Plan(load(ROOT / "config" / "fig2" / "lab.yaml"), "p", tmp_path)
    configs.write_all(plan)
    for node in plan.topology.of_role(role):
        done = subprocess.run([program(DAEMONS[role]), "--check", "--config", str(plan.config_file(node.name))],
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_shell_says_where_it_is(line):
    done = subprocess.run([str(ROOT / "tools" / "lab"), "--name", line.plan.name, "shell", "b"], input="ip -br link; exit\n",
                          capture_output=True, text=True, timeout=20, check=False)
    assert "to-a" in done.stdout and "to-c" in done.stdout
    assert f"[{line.plan.name} b]" in (line.plan.folder("b") / "bashrc").read_text()


def test_a_lab_that_does_not_come_up_leaves_only_its_logs(request, tmp_path):
    name = lab_name(request) + "-f"
    said: list[str] = []
    file = tmp_path / "lab.yaml"
    file.write_text("name: f\nnodes: {a: {role: host}, b: {role: host}}\nlinks: [{between: [a, b], delay: 5 bananas}]\n")
    with pytest.raises(LabError, match="linkem: exited"):
        Lab.up(file, name=name, tell=said.append)
    kept = Path(said[-1].split()[-1])
    assert "bananas" in (kept / "linkem.log").read_text()
    assert namespaces(name) == [] and name not in Lab.names()
    Lab.down(name)
    assert not kept.exists()
