"""Payload is sealed from gateway to gateway: in the domain of Figure 2, by default."""
from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from dmsclab.calls import call, load
from dmsclab.demo import wait_for_names
from dmsclab.lab import Lab

from conftest import ROOT, lab_name, left_out

ROUTERS = ["sr-1", "sr-2", "sr-3"]
MARK = "no-router-may-read-this"

# Every frame that passes the namespace, to a file, until its input ends.
SNIFF = """
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
print("ready", flush=True)
with open(sys.argv[1], "wb") as out:
    while True:
        readable, _, _ = select.select([s, sys.stdin], [], [])
        if s in readable:
            out.write(s.recv(65535))
        elif sys.stdin.read() == "":
            break
"""


@pytest.fixture(scope="module")
def domain(fig2: Lab) -> Lab:
    wait_for_names(fig2)
    return fig2


@contextlib.contextmanager
def captured(lab: Lab, folder: Path) -> Iterator[list[Path]]:
    """Files with all that passes the routers meanwhile; complete at the end."""
    files = [folder / node for node in ROUTERS]
    sniffers = [lab.popen(node, sys.executable, "-c", SNIFF, str(file), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                for node, file in zip(ROUTERS, files)]
    try:
        for sniffer in sniffers:
            assert sniffer.stdout is not None and sniffer.stdout.readline() == "ready\n"
        yield files
        time.sleep(0.2)
    finally:
        for sniffer in sniffers:
            sniffer.communicate(timeout=10)


def curl(lab: Lab, pod: str, name: str, path: str) -> str:
    done = lab.exec(pod, "curl", "-sS", "-m", "5", f"http://{name}.svc.dmsc:8080/{path}", check=False)
    return done.stdout


def seal(lab: Lab, node: str, peer: str) -> dict:
    rows = {row["peer"]: row for row in lab.show(node, "seals")}
    return rows.get(peer, {"state": "none", "sealed": 0, "opened": 0, "refused": 0, "association": 0})


def drops(lab: Lab, node: str) -> dict[str, int]:
    return lab.show(node, "counters")["data"]["drops"]


def test_calls_and_curl_go_sealed_by_default_and_status_says_so(domain):
    reply = call(domain, "pod-1", "B/4", "hello")
    assert not reply.error and "hello" in reply.text
    assert "pod-4 answers" in curl(domain, "pod-1", "4.b", "")
    for node, peer in (("sg-1", "sg-4"), ("sg-4", "sg-1")):
        row = seal(domain, node, peer)
        assert row["state"] == "established" and row["sealed"] > 0 and row["opened"] > 0, row
        assert row["algorithm"] in ("AES-128-GCM", "ChaCha20-Poly1305")
        status = domain.ctl(node, "status").stdout
        assert "payload sealed" in status and "clear: " not in status.lower()
        assert all(drops(domain, node)[reason] == 0 for reason in ("bad-seal", "seal-replay"))


def test_a_capture_on_every_router_shows_nothing_that_pods_say(domain, tmp_path):
    with captured(domain, tmp_path) as files:
        for target in (2, 3, 4):
            reply = call(domain, "pod-1", f"B/{target}", MARK)
            assert MARK in reply.text and any(router in reply.path for router in ROUTERS)
            assert MARK in curl(domain, "pod-1", f"{target}.b", MARK)
    seen = b"".join(file.read_bytes() for file in files)
    assert b"B/4" in seen, "names are in clear: routers forward by them"
    assert MARK.encode() not in seen


def test_a_capture_would_show_it_where_a_call_goes_in_clear(domain, tmp_path):
    """Calls by name alone cannot be sealed; the lab's gateways take them. So the capture above proves something."""
    with captured(domain, tmp_path) as files:
        reply = call(domain, "pod-1", "B/4", MARK, "--by-name")
        assert MARK in reply.text
    assert MARK.encode() in b"".join(file.read_bytes() for file in files)


@pytest.mark.limit(120)
def test_a_gateway_that_restarts_has_new_keys_without_anybody_doing_anything(domain):
    assert not call(domain, "pod-1", "B/4", "before").error
    before = seal(domain, "sg-1", "sg-4")["association"]
    domain.kill("sg-4", signal.SIGKILL)
    domain.start("sg-4")
    domain.wait(lambda: not call(domain, "pod-1", "B/4", "after").error, 20, "B/4 to be back")
    row = seal(domain, "sg-1", "sg-4")
    assert row["state"] == "established" and row["association"] != before
    running = load(domain, "pod-1", "B/4", count=200, rate=200, deadline="2s")
    summary = running.wait(30)
    assert summary.ok == 200 and summary.twice == 0


@pytest.mark.limit(120)
def test_an_ingress_that_restarts_is_answered_under_new_keys(domain):
    assert not call(domain, "pod-2", "B/3", "before").error
    domain.kill("sg-2", signal.SIGKILL)
    domain.start("sg-2")
    domain.wait(lambda: not call(domain, "pod-2", "B/3", "after").error, 20, "pod-2 to reach B/3")
    assert seal(domain, "sg-3", "sg-2")["state"] == "established"


@contextlib.contextmanager
def tampering(lab: Lab, node: str, checksum: str) -> Iterator[None]:
    """Every large packet that the router sends has one byte of its payload changed: hop authentication, which covers
    headers, lets it pass. `checksum`: what is done about UDP's."""
    udp_header, payload_byte = 8, 240
    rule = ("add table ip tamper; add chain ip tamper out { type filter hook output priority 0; }; "
            f"add rule ip tamper out udp dport 7402 meta length > 1000 {checksum} "
            f"@th,{(udp_header + payload_byte) * 8},8 set 0x5a")
    lab.exec(node, "nft", rule)
    try:
        yield
    finally:
        lab.exec(node, "nft", "delete table ip tamper")


def test_tampered_payload_is_dropped_under_one_counter_and_the_call_fails(domain):
    if shutil.which("nft") is None:
        left_out("nft is not installed")
    text = "x" * 1100
    assert call(domain, "pod-1", "B/4", text).text
    before = drops(domain, "sg-4")
    # Where the kernel sums up after the change, nothing is to be done; where before, no sum is sent.
    for checksum in ("", "udp checksum set 0"):
        with contextlib.ExitStack() as stack:
            for router in ROUTERS:
                stack.enter_context(tampering(domain, router, checksum))
            assert call(domain, "pod-1", "B/4", text, "--deadline", "1s").error
        after = drops(domain, "sg-4")
        if after["bad-seal"] > before["bad-seal"]:
            break
    changed = {reason for reason in after if after[reason] != before[reason]}
    assert changed == {"bad-seal"}
    assert call(domain, "pod-1", "B/4", text).text


@pytest.fixture(scope="module")
def mixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Figure 2 where sg-1 and sg-2 do not seal, sg-3 takes what is not sealed, and sg-4 is as by default."""
    topology = yaml.safe_load((ROOT / "config" / "fig2" / "lab.yaml").read_text())
    for node, dataplane in (("sg-1", {"security": "none"}), ("sg-2", {"security": "none"}),
                            ("sg-3", {"unsealed": "accept"}), ("sg-4", {"unsealed": "refuse"})):
        topology["nodes"][node]["config"] = {"dataplane": dataplane}
    file = Path(tmp_path_factory.mktemp("topology")) / "lab.yaml"
    file.write_text(yaml.safe_dump(topology))
    with Lab.up(file, name=lab_name(request) + "m") as lab:
        wait_for_names(lab)
        yield lab


@pytest.mark.limit(180)
def test_security_none_is_loud_and_the_egress_refuses_what_is_not_sealed(mixed):
    assert MARK in call(mixed, "pod-1", "B/2", MARK).text  # both in clear
    assert "PAYLOAD IN CLEAR" in mixed.ctl("sg-1", "status").stdout
    assert "payload-in-clear" in mixed.log_tail("sg-1", 10000)
    before = drops(mixed, "sg-4")["unsealed"]
    reply = call(mixed, "pod-1", "B/4", MARK, "--deadline", "2s")
    assert reply.error
    assert drops(mixed, "sg-4")["unsealed"] > before
    assert call(mixed, "pod-4", "B/1", MARK, "--deadline", "2s").error  # nor does it talk to them in clear


@pytest.mark.limit(180)
def test_where_clear_is_accepted_both_kinds_of_gateway_talk(mixed):
    for source, target in ((1, 3), (3, 1), (3, 4), (4, 3)):
        reply = call(mixed, f"pod-{source}", f"B/{target}", MARK)
        assert MARK in reply.text, f"pod-{source} to B/{target}: {reply.error}"
    assert seal(mixed, "sg-3", "sg-4")["state"] == "established"
