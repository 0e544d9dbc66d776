"""Names in DNS, asked over the sockets by a stub resolver in a pod (docs/protocol.md, U22)."""
from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Iterator

import pytest
from dmsclab.calls import Announcer
from dmsclab.lab import Lab
from dmsclab.programs import program

from conftest import TOPOLOGIES, lab_name

RESOLVER = Path(__file__).resolve().parent / "resolver.py"
SERVER = "100.96.0.1"
WEB = "127.0.0.1:8080"


def ask(lab: Lab, name: str, kind: str, *options: str) -> dict[str, Any]:
    return json.loads(lab.exec("pod-1", "/usr/bin/python3", str(RESOLVER), *options, SERVER, name, kind).stdout)


@pytest.fixture(scope="module")
def named(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """pod-2 serves app/web as www on 80, and as dns by both protocols."""
    with Lab.up(TOPOLOGIES / "names.yaml", name=lab_name(request)) as lab:
        with Announcer(lab, "pod-2", "app/web", "--endpoint", WEB, "--capacity", "30", "--port", "www=80:8080",
                       "--port", "DNS=53:5353/udp", "--port", "dns=53:5353", "--port", "9000:9001") as announcer:
            announcer.wait_state("granted", 20)
            lab.wait(lambda: ask(lab, "_www._tcp.web.app.svc.dmsc", "SRV")["answer"], 20, "SRV in pod-1")
            yield lab


def test_u22_srv_leads_a_program_to_the_service(named: Lab) -> None:
    got = ask(named, "_www._tcp.web.app.svc.dmsc", "SRV")
    assert (got["rcode"], got["aa"], got["tc"]) == (0, True, False)
    assert got["answer"] == [["_www._tcp.web.app.svc.dmsc", "SRV", 5, [0, 30, 80, "web.app.svc.dmsc"]]]
    addresses = {row[1]: row[3] for row in got["additional"] if row[0] == "web.app.svc.dmsc"}
    assert addresses["A"] == ask(named, "web.app.svc.dmsc", "A")["answer"][0][3]
    assert addresses["AAAA"] == ask(named, "web.app.svc.dmsc", "AAAA")["answer"][0][3]
    for host in (addresses["A"], f"[{addresses['AAAA']}]"):
        assert "pod-2" in named.exec("pod-1", "curl", "-sS", "-m", "5", f"http://{host}:80/").stdout
    for protocol in ("_tcp", "_udp"):
        answer = ask(named, f"_dns.{protocol}.web.app.svc.dmsc", "SRV")["answer"]
        assert [row[3] for row in answer] == [[0, 30, 53, "web.app.svc.dmsc"]]
    assert ask(named, "_WWW._Tcp.WEB.App.svc.dmsc", "SRV")["answer"]


def test_u22_what_is_not_there_is_nodata_or_nxdomain_with_the_soa(named: Lab) -> None:
    for name, kind, rcode in (("_ftp._tcp.web.app", "SRV", 0), ("_www._udp.web.app", "SRV", 0), ("_tcp.web.app", "SRV", 0),
                              ("_www._tcp.web.app", "A", 0), ("web.app", "SRV", 0), ("web.app", "HTTPS", 0),
                              ("web.app", "SVCB", 0), ("web.app", "MX", 0), ("app", "A", 0),
                              ("_www._tcp.none.app", "SRV", 3), ("none.app", "A", 3), ("none.app", "HTTPS", 3)):
        got = ask(named, f"{name}.svc.dmsc", kind)
        assert (got["rcode"], got["answer"]) == (rcode, []), (name, kind, got)
        (owner, soa, ttl, numbers), = got["authority"]
        assert (owner, soa, ttl, numbers[-1]) == ("svc.dmsc", "SOA", 5, 5), (name, got)   # RFC 2308: remembered 5 s
    assert ask(named, "web.app.svc.dmsc", "ANY")["answer"][0][1] == "A"
    assert ask(named, "svc.dmsc", "SOA")["answer"][0][1] == "SOA"
    address = ask(named, "web.app.svc.dmsc", "A")["answer"][0][3]
    reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    assert ask(named, reverse, "PTR")["answer"][0][3] == "web.app.svc.dmsc"


def test_u22_a_large_answer_is_cut_short_and_comes_by_tcp(named: Lab) -> None:
    """Three instances of a long name serve one service on a port each."""
    host = "x" * 60
    service = f"_big._tcp.{host}.app.svc.dmsc"
    with ExitStack() as stack:
        for port in range(6001, 6006):
            stack.enter_context(Announcer(named, "pod-2", f"app/{host}", "--endpoint", WEB, "--capacity",
                                          str(port - 6000), "--port", f"big={port}:8080")).wait_state("granted")
        named.wait(lambda: len(ask(named, service, "SRV", "--tcp")["answer"]) == 5, 10, "five ports")
        cut = ask(named, service, "SRV")
        assert (cut["tc"], cut["answer"], cut["additional"]) == (True, [], []) and cut["size"] <= 512
        fallen = ask(named, service, "SRV", "--fallback")
        assert fallen["fell_back"] and not fallen["tc"]
        assert [row[3][1:3] for row in fallen["answer"]] == [[port - 6000, port] for port in range(6005, 6000, -1)]
        edns = ask(named, service, "SRV", "--edns", "4096")
        assert not edns["tc"] and len(edns["answer"]) == 5 and 512 < edns["size"] <= 1232
    named.wait(lambda: ask(named, service, "SRV")["rcode"] == 3, 15, "the name went with its pods")


def test_u22_edns_of_a_later_version_is_badvers(named: Lab) -> None:
    got = ask(named, "web.app.svc.dmsc", "A", "--edns", "1232", "--edns-version", "1")
    assert (got["rcode"], got["answer"]) == (16, [])
    assert ask(named, "web.app.svc.dmsc", "A", "--edns", "512")["rcode"] == 0


def test_u22_ports_are_shown(named: Lab) -> None:
    rows = [row["ports"] for row in named.show("sg-2", "pods") if row["prefix"] == "app/web"]
    assert rows == ["www 80:8080/tcp, dns 53:5353/udp, dns 53:5353/tcp, 9000:9001/tcp"]
    services = {row["prefix"]: row["ports"] for row in named.show("sg-1", "services")}
    assert services["app/web"] == "9000/tcp, dns 53, www 80/tcp", services
    assert "dns 53, www 80/tcp, 9000/tcp" in named.ctl("sr-1", "explain", "app/web").stdout


def test_u22_a_wrong_name_of_a_port_is_told(named: Lab) -> None:
    done = named.exec("pod-2", program("dmsc-pod"), "serve", "--prefix", "app/wrong", "--endpoint", WEB,
                      "--port", "no_name=80", check=False)
    assert done.returncode != 0 and '"no_name" is no service name: only letters, digits and hyphens' in done.stderr
