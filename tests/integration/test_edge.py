"""Unmodified programs on the domain of Figure 2: pods that know nothing of DMSC but a resolver."""
from __future__ import annotations

import hashlib
import random
from ipaddress import ip_address
from typing import Any

import pytest

from dmsclab.lab import Lab


def fetch(lab: Lab, pod: str, host: str, *options: str) -> str:
    """What curl in `pod` gets, or "" if it fails."""
    done = lab.exec(pod, "curl", "-sS", "-m", "5", *options, f"http://{host}/", check=False)
    return done.stdout if done.returncode == 0 else ""


def wait_served(lab: Lab, pod: str, host: str) -> str:
    answer: list[str] = []

    def served() -> Any:
        answer[:] = [fetch(lab, pod, host)]
        return answer[0]

    lab.wait(served, 30, f"{host} answers in {pod}")
    return answer[0]


@pytest.mark.limit(180)
def test_curl_in_pod_1_fetches_from_nginx_in_pod_4(fig2: Lab) -> None:
    """The call of the issue, by the name's DNS form, through the pod's only default route."""
    assert "pod-4" in wait_served(fig2, "pod-1", "4.b.svc.dmsc:8080")
    routes = fig2.exec("pod-1", "ip", "route", "show", "default").stdout
    assert routes.startswith("default dev dmsc0"), routes
    flows = fig2.show("sg-4", "flows")
    assert any(row["direction"] == "in" and row["destination"] == "B/4:8080" for row in flows), flows


def test_every_pod_reaches_every_other(fig2: Lab) -> None:
    for caller in range(1, 5):
        for callee in range(1, 5):
            page = wait_served(fig2, f"pod-{caller}", f"{callee}.b.svc.dmsc:8080")
            assert f"pod-{callee}" in page, (caller, callee, page)


def test_a_pool_name_reaches_its_nearest_instance(fig2: Lab) -> None:
    """B is a pool with an instance at every gateway: each pod's own gateway serves it."""
    for pod in ("pod-1", "pod-3"):
        assert pod in wait_served(fig2, pod, "b.svc.dmsc:8080")


def test_what_is_not_served_fails_at_once(fig2: Lab) -> None:
    def curl(host: str) -> tuple[int, float]:
        done = fig2.exec("pod-1", "curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{time_total}",
                         f"http://{host}/", check=False)
        return done.returncode, float(done.stdout)

    for host, status in (("4.b.svc.dmsc:81", 7),      # a port nobody announced: refused
                         ("9.b.svc.dmsc:8080", 6),    # no such name
                         ("192.0.2.1:80", 7)):        # external traffic, refused here
        code, took = curl(host)
        assert code == status and took < 2, (host, code, took)


@pytest.mark.limit(180)
def test_a_router_dies_and_connections_stay(fig2: Lab) -> None:
    """TCP is end to end: with a router gone the same connection goes on over the other way."""
    wait_served(fig2, "pod-1", "4.b.svc.dmsc:8080")
    code = """
import socket, sys, time
s = socket.create_connection((socket.gethostbyname("4.b.svc.dmsc"), 8080)); s.settimeout(10)
def page():
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    data = b""
    while b"\\r\\n\\r\\n" not in data: data += s.recv(65536)
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    size = int([l for l in head.split(b"\\r\\n") if l.lower().startswith(b"content-length")][0].split(b":")[1])
    while len(body) < size: body += s.recv(65536)
    return head.startswith(b"HTTP/1.1 200")
done = 0
print("open", flush=True)
end = time.monotonic() + 6
while time.monotonic() < end:
    assert page(); done += 1; time.sleep(0.02)
print("pages", done, flush=True)
"""
    client = fig2.popen("pod-1", "/usr/bin/python3", "-c", code, stdout=-1, stderr=-1)
    assert client.stdout.readline() == "open\n"
    fig2.kill("sr-2")
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    assert int(out.split()[1]) > 20
    fig2.start("sr-2")


def resolve(lab: Lab, pod: str, host: str, family: str) -> list[str]:
    """Addresses as the C library of a program in `pod` finds them."""
    done = lab.exec(pod, "getent", f"ahosts{family}", host, check=False)
    return sorted({line.split()[0] for line in done.stdout.splitlines()})


@pytest.mark.limit(120)
def test_u14_a_program_that_speaks_ipv6_reaches_an_ipv4_server(fig2: Lab) -> None:
    wait_served(fig2, "pod-1", "4.b.svc.dmsc:8080")
    six, four = (resolve(fig2, "pod-1", "4.b.svc.dmsc", family) for family in ("v6", "v4"))
    assert len(six) == 1 and six[0].startswith("fdc0:646d:7363:"), six
    assert len(four) == 1 and ip_address(six[0]).packed[12:] == ip_address(four[0]).packed
    page = fetch(fig2, "pod-1", "4.b.svc.dmsc:8080", "-6", "-w", "%{remote_ip}")
    assert "pod-4" in page and six[0] in page, page
    assert "pod-4" in fetch(fig2, "pod-1", f"[{six[0]}]:8080", "-6")
    name = fig2.exec("pod-1", "getent", "hosts", six[0]).stdout.split()[1]
    assert name == "4.b.svc.dmsc"


def test_u14_ipv6_errors_are_told_at_once(fig2: Lab) -> None:
    wait_served(fig2, "pod-1", "4.b.svc.dmsc:8080")
    prefix = resolve(fig2, "pod-1", "4.b.svc.dmsc", "v6")[0].rsplit(":", 2)[0]

    def connect(address: str, port: int) -> str:
        code = ("import socket, sys, time\nbegun = time.monotonic()\n"
                "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)\n"
                "except OSError as e: print(e.errno, time.monotonic() - begun < 2)")
        return fig2.exec("pod-1", "/usr/bin/python3", "-c", code, address, str(port)).stdout.strip()

    assert connect(resolve(fig2, "pod-1", "4.b.svc.dmsc", "v6")[0], 81) == "111 True"   # refused
    assert connect(f"{prefix}:6465:4321", 80) == "113 True"                             # nobody's address
    assert connect("2001:db8::1", 80) == "101 True"                                     # no way outside
    assert fig2.show("sg-1", "counters")["edge"]["ipv6_malformed"] == 0


@pytest.mark.limit(120)
def test_u14_large_transfers_of_both_families_arrive_whole(fig2: Lab) -> None:
    """Large segments are cut and joined for IPv6 as for IPv4."""
    wait_served(fig2, "pod-1", "4.b.svc.dmsc:8080")
    page = fig2.plan.folder("pod-4") / "files" / "large"
    page.parent.mkdir(exist_ok=True)
    page.write_bytes(random.Random(6).randbytes(8 << 20))
    try:
        for family in ("-6", "-4"):
            done = fig2.exec("pod-1", "sh", "-c",
                             f"curl -sS {family} -m 30 http://4.b.svc.dmsc:8080/files/large | sha256sum")
            assert done.stdout.split()[0] == hashlib.sha256(page.read_bytes()).hexdigest(), family
    finally:
        page.unlink()
