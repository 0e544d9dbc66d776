"""The path of unmodified programs between two edges joined in memory (edge_pair), with real kernels,
TUN devices and programs: what DESIGN section 7 promises, before and without a whole domain.

    pod1, pod5 ── gateway 1 ══ gateway 4 ── pod4          out: a host beyond the gateway's own network
"""
from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import shutil
import subprocess
import textwrap
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from dmsclab.programs import build_dir

TAG = f"edge-t{os.getpid()}"
PYTHON = "/usr/bin/python3"


def sh(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)


class Pair:
    """Namespaces, servers and the edge_pair program of one test module."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.started: list[subprocess.Popen] = []
        self.spaces: list[str] = []
        self.program: subprocess.Popen | None = None

    def space(self, name: str) -> str:
        return f"{TAG}-{name}"

    def add_space(self, name: str) -> None:
        sh("ip", "netns", "add", self.space(name))
        self.spaces.append(name)

    def drop_space(self, name: str) -> None:
        sh("ip", "netns", "del", self.space(name))
        self.spaces.remove(name)

    def command(self, where: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.space(where), *words]

    def run(self, where: str, *words: str, limit: float = 20) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(where, *words), capture_output=True, text=True, timeout=limit)

    def python(self, where: str, code: str, *arguments: str, limit: float = 20) -> str:
        done = self.run(where, PYTHON, "-c", textwrap.dedent(code), *arguments, limit=limit)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def spawn(self, where: str, *words: str) -> subprocess.Popen:
        process = subprocess.Popen(self.command(where, *words), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.started.append(process)
        return process

    def serve(self, where: str, code: str, *arguments: str) -> None:
        self.spawn(where, PYTHON, "-c", textwrap.dedent(code), *arguments)

    def start(self, gateways: list[dict]) -> None:
        self.program = subprocess.Popen(self.command("gw", str(build_dir() / "tests" / "edge_pair")),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.program.stdin.write(json.dumps({"gateways": gateways}) + "\n")
        self.program.stdin.flush()
        line = self.program.stdout.readline()
        assert line == "ready\n", line

    def show(self, gateway: int) -> dict[str, Any]:
        self.program.stdin.write(f"show {gateway}\n")
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())

    def close(self) -> None:
        if self.program:
            self.program.stdin.close()
            assert self.program.wait(timeout=20) == 0
            self.program = None

    def end(self) -> None:
        try:
            self.close()
        finally:
            for process in self.started:
                process.terminate()
                process.wait(timeout=10)
            for name in list(self.spaces):
                self.drop_space(name)


def wait_until(what: str, check: Any, limit: float = 10) -> Any:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {limit} s: {what}")


HTTP = """
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        body = f"{sys.argv[3]} for {self.client_address[0]}\\n".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], int(sys.argv[2])))
while True:
    data, peer = s.recvfrom(65535); s.sendto(data.upper(), peer)
"""
# A resolver for names outside the zone: every A question is answered with 192.0.2.77.
RESOLVER = """
import socket, struct, threading
def answer(q):
    return (q[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + q[12:] +
            b"\\xc0\\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 77]))
def tcp(s):
    s.listen()
    while True:
        c, _ = s.accept(); n = struct.unpack("!H", c.recv(2))[0]; a = answer(c.recv(n))
        c.sendall(struct.pack("!H", len(a)) + a); c.close()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 53))
t = socket.socket(); t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); t.bind(("127.0.0.1", 53))
threading.Thread(target=tcp, args=(t,), daemon=True).start()
while True:
    q, peer = u.recvfrom(4096); u.sendto(answer(q), peer)
"""
ASK = """
import socket, struct, sys
transport, name, kind = sys.argv[1], sys.argv[2], int(sys.argv[3])
q = struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0)
q += b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\\0" + struct.pack("!HH", kind, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
s.settimeout(5); s.connect(("100.96.0.1", 53))
if transport == "udp":
    s.send(q); a = s.recv(4096)
else:
    s.sendall(struct.pack("!H", len(q)) + q); n = struct.unpack("!H", s.recv(2))[0]; a = s.recv(n)
assert a[:2] == q[:2]
rcode, answers = a[3] & 15, struct.unpack("!H", a[6:8])[0]
print(rcode, answers, ".".join(map(str, a[-4:])) if answers and kind == 1 else "-")
"""
CONNECT = """
import socket, sys, time
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET, kind); s.settimeout(5); start = time.monotonic()
try:
    s.connect((sys.argv[2], int(sys.argv[3])))
    if sys.argv[1] == "udp":
        s.send(b"hello"); print("answer", s.recv(2048).decode()); sys.exit()
    print("connected", s.getsockname()[0])
except OSError as e:
    print(type(e).__name__, e.errno, time.monotonic() - start < 2)
"""


def gateways(pair: Pair) -> list[dict]:
    def pod(name: str, address: str, external: str = "refuse") -> dict:
        return {"name": name, "netns": f"/run/netns/{pair.space(name)}", "address": address,
                "external": external}

    def endpoint(instance: int, name: str, where: str, pod_name: str, ports: list) -> dict:
        return {"instance": instance, "name": name, "endpoint": where, "pod": pod_name, "ports": ports}

    one = {"id": 1, "state_dir": str(pair.state), "host": True, "range": "100.96.0.0/12",
           "dns": "100.96.0.1", "upstream": ["127.0.0.1"],
           "pods": [pod("pod1", "100.64.1.2/30", "masquerade"), pod("pod5", "100.64.1.6/30", "pass")],
           "sources": [{"pod": "pod1", "name": "A/1", "instance": 1}],
           "endpoints": [endpoint(7, "H", "127.0.0.1:8088", "", [])],
           "listeners": [{"listen": "127.0.0.1:9000", "name": "B/4", "port": 8080},
                         {"listen": "127.0.0.1:9001", "name": "B/4", "port": 9999, "protocol": "udp"},
                         {"listen": "127.0.0.1:9002", "name": "B/4", "port": 8080, "pod": "pod1"}]}
    four = {"id": 4, "pods": [pod("pod4", "100.64.4.2/30")],
            "endpoints": [
                endpoint(9, "B/4", "127.0.0.1:8080", "pod4",
                         [[8080, 8080, "tcp"], [80, 8080, "tcp"], [9999, 9999, "udp"],
                          [9998, 9998, "udp"]]),
                endpoint(10, "C", "100.64.4.2:8081", "pod4", [[80, 8081, "tcp"]])]}
    return [one, four]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("edge"))
    try:
        for name in ("gw", "out", "pod1", "pod4", "pod5"):
            pair.add_space(name)
        gw, out = pair.space("gw"), pair.space("out")
        for name in pair.spaces:
            sh("ip", "-n", pair.space(name), "link", "set", "lo", "up")
        sh("ip", "-n", gw, "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", out)
        for space, device, address in ((gw, "up0", "192.0.2.1/24"), (out, "eth0", "192.0.2.9/24")):
            sh("ip", "-n", space, "addr", "add", address, "dev", device)
            sh("ip", "-n", space, "link", "set", device, "up")
        # Only pod 5, which is passed without translation, has a way back from outside.
        sh("ip", "-n", out, "route", "add", "100.64.1.6/32", "via", "192.0.2.1")
        pair.serve("gw", RESOLVER)
        pair.serve("out", HTTP, "0.0.0.0", "80", "outside")
        pair.serve("gw", HTTP, "127.0.0.1", "8088", "host")
        pair.serve("pod4", ECHO, "127.0.0.1", "9999")
        pair.serve("pod4", HTTP, "0.0.0.0", "8081", "pod4-c")
        start_web(pair)
        pair.start(gateways(pair))
        for gateway in (1, 4):
            wait_until("pods are up", lambda: all(p["state"] == "up" for p in pair.show(gateway)["pods"]))
        for where, port in (("pod4", 8080), ("pod4", 8081), ("gw", 8088), ("out", 80)):
            wait_until(f"{where}:{port} serves", lambda: pair.run(
                where, "curl", "-s", f"http://127.0.0.1:{port}/").returncode == 0)
        yield pair
    finally:
        pair.end()


def start_web(pair: Pair) -> None:
    """nginx in pod 4 on 127.0.0.1:8080, with a small page and a large file."""
    root = pair.state / "web"
    root.mkdir()
    (root / "index.html").write_text("hello from pod 4\n")
    (root / "large").write_bytes(bytes(i * i % 251 for i in range(100_000)) * 100)
    os.chmod(pair.state, 0o755)
    config = pair.state / "nginx.conf"
    config.write_text(f"""daemon off; master_process off; pid {pair.state}/nginx.pid;
        user root; error_log {pair.state}/nginx.log; events {{}}
        http {{ access_log off; client_body_temp_path {pair.state}/body; proxy_temp_path {pair.state}/p;
          fastcgi_temp_path {pair.state}/f; uwsgi_temp_path {pair.state}/u; scgi_temp_path {pair.state}/s;
          server {{ listen 127.0.0.1:8080; root {root}; }} }}""")
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    pair.spawn("pod4", nginx, "-p", str(pair.state), "-c", str(config))


def address_of(pair: Pair, name: str, where: str = "pod1") -> str:
    rcode, answers, address = pair.python(where, ASK, "udp", name, "1").split()
    assert (rcode, answers) == ("0", "1")
    return address


def curl(pair: Pair, where: str, name: str, port: int, path: str = "/", *more: str) -> subprocess.CompletedProcess:
    """curl with the resolver of the pod: asked first, since namespaces share /etc/resolv.conf here."""
    address = address_of(pair, name, where)
    return pair.run(where, "curl", "-sS", "-m", "10", "--resolve", f"{name}:{port}:{address}", *more,
                    f"http://{name}:{port}{path}")


def test_curl_fetches_from_nginx_by_name(pair: Pair) -> None:
    done = curl(pair, "pod1", "4.b.svc.dmsc", 8080)
    assert done.stdout == "hello from pod 4\n", done.stderr
    flows = pair.show(4)["flows"]
    mine = [f for f in flows if f["destination"] == "B/4:8080"]
    assert mine and mine[0]["source"] == "A/1" and mine[0]["server"] == "127.0.0.1:8080"


def test_large_transfers_arrive_whole(pair: Pair) -> None:
    target = pair.state / "got"
    done = curl(pair, "pod1", "4.b.svc.dmsc", 8080, "/large", "-o", str(target))
    assert done.returncode == 0, done.stderr
    want = (pair.state / "web" / "large").read_bytes()
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(want).digest()
    counters = pair.show(4)["counters"]
    assert counters["too_big"] == 0 and counters["send_failed"] == 0  # the MSS was clamped


def test_service_port_is_mapped_to_the_endpoints(pair: Pair) -> None:
    assert curl(pair, "pod1", "4.b.svc.dmsc", 80).stdout == "hello from pod 4\n"


def served_by(answer: subprocess.CompletedProcess) -> str:
    """Who answered; the caller it saw must be a client address, from the upper half of the range."""
    server, _, client = answer.stdout.split()
    assert ipaddress.ip_address(client) in ipaddress.ip_network("100.104.0.0/13")
    return server


def test_endpoint_on_the_pods_own_address(pair: Pair) -> None:
    assert served_by(curl(pair, "pod1", "c.svc.dmsc", 80)) == "pod4-c"


def test_endpoint_in_the_gateways_namespace(pair: Pair) -> None:
    assert served_by(curl(pair, "pod1", "h.svc.dmsc", 8088)) == "host"


def test_udp_goes_both_ways(pair: Pair) -> None:
    address = address_of(pair, "4.b.svc.dmsc")
    assert pair.python("pod1", CONNECT, "udp", address, "9999") == "answer HELLO"


def test_a_port_that_is_not_served_is_refused_at_once(pair: Pair) -> None:
    address = address_of(pair, "4.b.svc.dmsc")
    refused = "ConnectionRefusedError 111 True"
    assert pair.python("pod1", CONNECT, "tcp", address, "81") == refused
    assert pair.python("pod1", CONNECT, "udp", address, "82") == refused      # not mapped
    assert pair.python("pod1", CONNECT, "udp", address, "9998") == refused    # mapped, nobody listens


def test_a_datagram_over_the_path_mtu_is_refused_not_fragmented(pair: Pair) -> None:
    address = address_of(pair, "4.b.svc.dmsc")
    code = """
        import socket, sys, time
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
        s.setsockopt(socket.IPPROTO_IP, 10, 2)   # IP_MTU_DISCOVER = DO
        s.connect((sys.argv[1], 9999)); s.send(b"x" * 1400)
        for _ in range(100):
            time.sleep(0.02)
            if s.getsockopt(socket.IPPROTO_IP, 14) < 1500: break   # IP_MTU
        mtu = s.getsockopt(socket.IPPROTO_IP, 14)
        try: s.send(b"x" * 1400); print("sent")
        except OSError as e: print(e.errno)
        while True:
            try: s.send(b"x" * (mtu - 28)); break
            except OSError: pass
        print(len(s.recv(2000)) == mtu - 28)
        """
    assert pair.python("pod1", code, address).split() == ["90", "True"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_dns_answers_over_udp_and_tcp(pair: Pair, transport: str) -> None:
    ask = lambda name, kind: pair.python("pod1", ASK, transport, name, str(kind)).split()
    rcode, answers, address = ask("4.b.svc.dmsc", 1)
    assert (rcode, answers) == ("0", "1") and address.startswith("100.")
    assert ask("4.B.SVC.dmsc", 1)[2] == address
    assert ask("4.b.svc.dmsc", 28)[:2] == ["0", "0"]        # AAAA: exists, without one
    assert ask("b.svc.dmsc", 1)[:2] == ["0", "0"]           # an empty non-terminal
    assert ask("9.b.svc.dmsc", 1)[0] == "3"
    assert ask("www.example.com", 1) == ["0", "1", "192.0.2.77"]  # by the upstream resolver
    reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    assert ask(reverse, 12)[:2] == ["0", "1"]


def test_dns_without_upstream_refuses_other_names(pair: Pair) -> None:
    assert pair.python("pod4", ASK, "udp", "www.example.com", "1").split()[0] == "5"


def test_external_refuse(pair: Pair) -> None:
    """R39"""
    assert pair.python("pod4", CONNECT, "tcp", "192.0.2.9", "80") == "ConnectionRefusedError 111 True"
    assert pair.python("pod4", CONNECT, "udp", "192.0.2.9", "80").split()[0] == "OSError"  # prohibited
    assert pair.show(4)["counters"]["external_refused"] >= 2


def test_external_masquerade(pair: Pair) -> None:
    """R39"""
    done = pair.run("pod1", "curl", "-sS", "-m", "10", "http://192.0.2.9/")
    assert done.stdout == "outside for 192.0.2.1\n", done.stderr
    # From outside nobody opens a connection to a masqueraded pod, even with a route.
    sh("ip", "-n", pair.space("out"), "route", "add", "100.64.1.2/32", "via", "192.0.2.1")
    assert pair.python("out", CONNECT.replace("settimeout(5)", "settimeout(1)"), "tcp", "100.64.1.2",
                       "80").split()[0] == "TimeoutError"


def test_external_pass(pair: Pair) -> None:
    """R39"""
    done = pair.run("pod5", "curl", "-sS", "-m", "10", "http://192.0.2.9/")
    assert done.stdout == "outside for 100.64.1.6\n", done.stderr


def test_listeners_of_the_host_and_of_a_pod(pair: Pair) -> None:
    for where, port in (("gw", 9000), ("pod1", 9002)):
        done = pair.run(where, "curl", "-sS", "-m", "10", f"http://127.0.0.1:{port}/")
        assert done.stdout == "hello from pod 4\n", done.stderr
    got = pair.run("gw", "curl", "-sS", "-m", "20", "http://127.0.0.1:9000/large", "-o",
                   str(pair.state / "by-listener"))
    assert got.returncode == 0, got.stderr
    assert (pair.state / "by-listener").stat().st_size == 10_000_000
    assert pair.python("gw", CONNECT, "udp", "127.0.0.1", "9001") == "answer HELLO"
    assert [l["accepted"] for l in pair.show(1)["listeners"]] == [2, 1, 1]


def test_host_mode_reaches_names(pair: Pair) -> None:
    assert curl(pair, "gw", "4.b.svc.dmsc", 8080).stdout == "hello from pod 4\n"


def test_a_pod_speaks_only_as_itself(pair: Pair) -> None:
    before = pair.show(1)["counters"]["spoofed_source"]
    code = """
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT
        s.bind(("100.64.9.9", 0)); s.sendto(b"x", (sys.argv[1], 9999))
        """
    pair.python("pod1", code, address_of(pair, "4.b.svc.dmsc"))
    wait_until("counted", lambda: pair.show(1)["counters"]["spoofed_source"] == before + 1)


def test_a_pod_made_anew_is_served_again(pair: Pair) -> None:
    pair.drop_space("pod5")
    wait_until("gone", lambda: pair.show(1)["pods"][2]["state"] == "waiting")
    pair.add_space("pod5")
    wait_until("back", lambda: pair.show(1)["pods"][2]["state"] == "up")
    assert curl(pair, "pod5", "4.b.svc.dmsc", 8080).stdout == "hello from pod 4\n"


@pytest.mark.limit(60)
def test_restart_keeps_addresses_and_leaves_nothing(pair: Pair) -> None:
    before = pair.show(1)["addresses"]
    pair.close()
    for where in ("gw", "pod1", "pod4"):
        assert "dmsc" not in pair.run(where, "ip", "-o", "link").stdout
    pair.start(gateways(pair))
    assert pair.show(1)["addresses"] == before
    wait_until("pods are up", lambda: all(p["state"] == "up" for p in pair.show(1)["pods"]))
    assert curl(pair, "pod1", "4.b.svc.dmsc", 8080).stdout == "hello from pod 4\n"
