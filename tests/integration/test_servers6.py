"""Servers that listen on IPv6 alone, called by programs of both families (docs/protocol.md, U23)."""
from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from dmsclab.calls import Announcer
from dmsclab.lab import Lab

from conftest import TOPOLOGIES, lab_name

HERE = Path(__file__).resolve().parent
BOTH_WAYS, RESOLVER = str(HERE / "both_ways.py"), str(HERE / "resolver.py")
HOST = "six.app.svc.dmsc"


@pytest.fixture(scope="module")
def domain(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(TOPOLOGIES / "names.yaml", name=lab_name(request)) as lab:
        lab.wait(lambda: [row["state"] for row in lab.show("sg-2", "namespaces")] == ["up"], 20, "the device of pod-2")
        yield lab


@contextmanager
def server(lab: Lab, address: str, port: int) -> Iterator[None]:
    running = lab.popen("pod-2", sys.executable, BOTH_WAYS, "serve", address, str(port), stdout=subprocess.PIPE)
    try:
        assert running.stdout.readline() == "ready\n"
        yield
    finally:
        running.kill()
        running.wait()


@contextmanager
def announced(lab: Lab, prefix: str, endpoint: str, *options: str) -> Iterator[None]:
    host = ".".join(reversed(prefix.split("/"))) + ".svc.dmsc"
    with Announcer(lab, "pod-2", prefix, "--endpoint", endpoint, *options) as announcer:
        announcer.wait_state("granted", 10)
        lab.wait(lambda: lab.exec("pod-1", "getent", "ahosts", host, check=False).returncode == 0, 10, f"{host} in pod-1")
        yield


def use(lab: Lab, what: str, family: str, host: str, port: int, size: int) -> dict[str, Any]:
    return json.loads(lab.exec("pod-1", sys.executable, BOTH_WAYS, what, family, host, str(port), str(size), timeout=40).stdout)


def reaches(lab: Lab, host: str, port: int) -> None:
    for family in ("4", "6"):
        done = use(lab, "tcp", family, host, port, 4 << 20)
        assert done["sent"] and done["got"], (family, done)
        assert (":" in done["peer"]) == (family == "6")
        for size in (1, 1000):
            assert use(lab, "udp", family, host, port, size) == {"got": True}, (family, size)


@pytest.mark.limit(180)
def test_u23_a_server_on_ipv6_loopback_is_called_by_both_families(domain: Lab) -> None:
    with server(domain, "::1", 8081), announced(domain, "app/six", "[::1]:8081", "--port", "80:8081/tcp", "--port",
                                                "80:8081/udp", "--check", "tcp"):
        reaches(domain, HOST, 80)
        flows = [row for row in domain.show("sg-2", "flows") if row["direction"] == "in"]
        assert any(row["server"] == "[::1]:8081" for row in flows), flows
        assert [row["health"] for row in domain.show("sg-2", "pods") if row["prefix"] == "app/six"] == ["healthy"]


@pytest.mark.limit(180)
def test_u23_a_server_on_any_address_of_its_pod_is_called_by_both_families(domain: Lab) -> None:
    domain.exec("pod-2", "ip", "-6", "address", "add", "2001:db8:77::5/128", "dev", "lo", "nodad")
    with server(domain, "2001:db8:77::5", 8082), announced(domain, "app/far", "[2001:db8:77::5]:8082"):
        reaches(domain, "far.app.svc.dmsc", 8082)
    # And at the pod's own, that of the prefix.
    device = json.loads(domain.exec("pod-2", "ip", "-6", "-j", "address", "show", "dev", "dmsc0", "scope", "global").stdout)
    own = [a["local"] for a in device[0]["addr_info"] if a.get("local", "").startswith("fdc0:") and not a["local"].endswith("6460:1")]
    with server(domain, "::", 8083), announced(domain, "app/own", f"[{own[0]}]:8083"):
        reaches(domain, "own.app.svc.dmsc", 8083)


@pytest.mark.limit(120)
def test_u23_what_the_servers_kernel_refuses_is_told_at_once(domain: Lab) -> None:
    with announced(domain, "app/six", "[::1]:8084"):
        for family in ("4", "6"):
            done = use(domain, "udp", family, HOST, 8084, 100)
            assert done["error"] == "ECONNREFUSED" and done["took"] < 2, (family, done)
            connect = domain.exec("pod-1", "curl", "-v", f"-{family}", "-m", "5", f"http://{HOST}:8084/", check=False)
            assert connect.returncode == 7 and "Connection refused" in connect.stderr, connect.stderr


@pytest.mark.limit(120)
def test_u23_checks_and_names_work_by_ipv6(domain: Lab) -> None:
    """A check of the gateway's own by IPv6 fails without a server; programs ask for names over IPv6."""
    with Announcer(domain, "pod-2", "app/ill", "--endpoint", "[::1]:8085", "--check", "tcp", "--interval",
                   "100ms") as ill:
        ill.wait_state("unhealthy", 10)
        with server(domain, "::1", 8085):
            ill.wait_state("granted", 10)
    resolver = "fdc0:646d:7363:0:0:2e2d:6460:1"
    addresses = domain.exec("pod-1", "ip", "-6", "-o", "address", "show", "dev", "dmsc0").stdout
    resolver = next(word.split("/")[0] for word in addresses.split() if word.endswith("6460:1/128"))
    with announced(domain, "app/six", "[::1]:8086"):
        for transport in ((), ("--tcp",)):
            got = json.loads(domain.exec("pod-1", sys.executable, RESOLVER, *transport, resolver, HOST, "AAAA").stdout)
            assert got["rcode"] == 0 and got["answer"][0][1] == "AAAA", got


@pytest.mark.limit(120)
def test_u23_a_listener_on_an_ipv6_address_leads_to_a_name(domain: Lab) -> None:
    """Listeners are opened with their pod's device: a restart of the gateway brings this one."""
    file = domain.plan.config_file("sg-1")
    before = yaml.safe_load(file.read_text())
    listeners = [{"listen": f"[::1]:{9000 + i}", "name": "app/six", "port": 8087, "protocol": protocol, "pod": "pod-1"}
                 for i, protocol in enumerate(("tcp", "udp"))]
    file.write_text(yaml.safe_dump({**before, "listeners": listeners}))
    domain.restart("sg-1")
    with server(domain, "::1", 8087), announced(domain, "app/six", "[::1]:8087"):
        domain.wait(lambda: [row["state"] for row in domain.show("sg-1", "listeners")] == ["up", "up"], 10, "the listeners")
        assert [row["listen"] for row in domain.show("sg-1", "listeners")] == ["[::1]:9000", "[::1]:9001"]
        domain.wait(lambda: use(domain, "udp", "6", "::1", 9001, 500) == {"got": True}, 20, "an answer of the listener")
        done = use(domain, "tcp", "6", "::1", 9000, 1 << 20)
        assert done["sent"] and done["got"], done
