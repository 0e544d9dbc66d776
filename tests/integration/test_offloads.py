"""The data plane's offloads, switched while packets pass: a router between two gateways, no emulator."""
from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from dmsclab.calls import call
from dmsclab.lab import Lab

from conftest import TOPOLOGIES, lab_name, left_out

LONG = "x" * 60_000  # some fifty datagrams each way
BOTH = {"udp_segment": True, "udp_gro": True}

# Trains of 30 datagrams of 1,200 bytes and a shorter one, each sent once the one before came back; or what sends them
# back. Prints what came: datagrams, trains among the messages, the longest of these.
TRAINS = """
import json, socket, sys
role, address, port, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
SEGMENT, GRO, SIZE = 103, 104, 1200
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_UDP, SEGMENT, SIZE)
s.setsockopt(socket.SOL_UDP, GRO, 1)
s.settimeout(10)
came = {"datagrams": 0, "trains": 0, "longest": 0}

def receive():
    data, told, _, peer = s.recvmsg(65535, 64)
    size = next((int.from_bytes(v[:4], sys.byteorder) for level, kind, v in told
                 if (level, kind) == (socket.SOL_UDP, GRO)), len(data))
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    came["datagrams"] += len(pieces)
    came["trains"] += len(pieces) > 1
    came["longest"] = max(came["longest"], len(pieces))
    return data, peer

def whole(wanted):
    data, peer = receive()
    while len(data) < wanted:
        more, peer = receive()
        data += more
    return data, peer

wanted = 30 * SIZE + 500
if role == "serve":
    s.bind((address, port))
    print("ready", flush=True)
    hello, peer = receive()
    s.sendto(hello, peer)
    for _ in range(rounds):
        data, peer = whole(wanted)
        s.sendto(data, peer)
else:
    s.connect((address, port))
    s.send(b"hello")
    receive()
    for number in range(rounds):
        sent = b"".join(bytes([number, i]) * (SIZE // 2) for i in range(30)) + b"x" * 500
        s.send(sent)
        assert whole(wanted)[0] == sent, number
print(json.dumps(came))
"""


@pytest.fixture(scope="module")
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    topology = yaml.safe_load((TOPOLOGIES / "s1.yaml").read_text())
    topology["defaults"] = {**topology.get("defaults", {}), "link": {"emulate": False}}
    topology["pods"]["pod-4"]["web"] = 8080
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


def there_and_back(lab: Lab, rounds: int = 20) -> tuple[dict[str, int], dict[str, int]]:
    """Trains of UDP datagrams from pod-1 to B/4 and back, by unmodified programs: what came at either."""
    with lab.popen("pod-4", sys.executable, "-c", TRAINS, "serve", "127.0.0.1", "8080", str(rounds),
                   stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        address = lab.exec("pod-1", "getent", "ahostsv4", "4.b.svc.dmsc").stdout.split()[0]
        client = json.loads(lab.exec("pod-1", sys.executable, "-c", TRAINS, "call", address, "8080",
                                     str(rounds)).stdout)
        return client, json.loads(server.communicate(timeout=10)[0])


def uso(lab: Lab, node: str) -> tuple[int, int]:
    edge = lab.show(node, "counters")["edge"]
    return edge["tun_uso_in"], edge["tun_uso_out"]


def test_u27_trains_of_datagrams_go_whole_from_program_to_program(domain):
    if "tun-offload-missing" in domain.log_tail("sg-1", 100_000):
        left_out("this kernel's TUN devices have no USO")
    before = {node: uso(domain, node) for node in ("sg-1", "sg-4")}
    for came in there_and_back(domain):
        assert came["datagrams"] == 1 + 20 * 31
        assert came["trains"] >= 20 and came["longest"] == 31, came
    for node in ("sg-1", "sg-4"):
        came, went = (now - then for now, then in zip(uso(domain, node), before[node]))
        assert came == 20 and went >= 20, (node, came, went)


@pytest.mark.parametrize("without", [["sg-1"], ["sg-4"], ["sg-1", "sg-4"]])
def test_u27_uso_is_switched_off_by_a_reload_and_trains_pass_without(domain, without):
    pids = {node: domain.processes()[node]["pid"] for node in without}
    for node in without:
        switch(domain, node, **BOTH, tun_uso=False)
    before = {node: uso(domain, node) for node in without}
    client, server = there_and_back(domain)
    assert client["datagrams"] == server["datagrams"] == 1 + 20 * 31
    assert (client["trains"] == 0) == ("sg-1" in without)
    assert (server["trains"] == 0) == ("sg-4" in without)
    assert {node: uso(domain, node) for node in without} == before
    for node in without:
        switch(domain, node, **BOTH)
        assert domain.processes()[node]["pid"] == pids[node]
    assert all(came["trains"] >= 20 for came in there_and_back(domain))


def test_u27_large_tcp_segments_are_switched_off_by_a_reload_and_tcp_passes_without(domain):
    def large() -> dict[str, int]:
        done = domain.exec("pod-1", "curl", "-sS", "-m", "10", "-X", "POST", "--data-binary", "x" * 100_000, "-o", "/dev/null",
                           "http://4.b.svc.dmsc:8080/")
        assert done.returncode == 0
        return {key: domain.show("sg-1", "counters")["edge"][key] for key in ("tun_tso_in", "tun_tso_out")}
    with_it = large()
    switch(domain, "sg-1", **BOTH, tun_tso=False)
    off = large()
    off_again = large()
    assert off_again == off
    switch(domain, "sg-1", **BOTH)
    assert large()["tun_tso_in"] > off["tun_tso_in"] >= with_it["tun_tso_in"]
