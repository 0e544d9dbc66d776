"""flows_live.py [SECONDS]: 50,000 flows of unmodified programs at a time through two real gateways and a router,
in real time; flows end, fall silent and come back all the while. What the gateways' memory and flow tables do is
watched. Prints figures as tools/soak reads them. Needs root."""
from __future__ import annotations

import json
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[1] / "tools"))

from dmsclab.errors import LabError  # noqa: E402
from dmsclab.lab import Lab  # noqa: E402

PLAN = HERE.parents[1] / "tests" / "bench" / "topologies" / "line.yaml"
NAME, HOST, PORT = "B/2", "2.b.svc.dmsc", 5201
CALLERS = 4                                              # processes: none may have all those sockets
# Of each: flows of UDP, of lasting TCP; every flow speaks once a round.
DATAGRAM, KEPT, FIRST_PORT, ROUND_S = 12_750, 500, 10_000, 40.0
SHORT_EVERY_S = 0.2                                      # a connection that ends at once
REST_EVERY_S, REST_S = 0.48, 600.0                       # a datagram flow falls silent each, for so long
WARM_S = 780.0                                           # by then as many flows end as begin, of every kind
IDLE_S = 330.0                                           # datagram flows end after 300 s (rule U12)
LEAK_KIB = 4096


def many_sockets() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# --- in the pods ------------------------------------------------------------------------------------

def echo_datagrams() -> None:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("", PORT))
    while True:
        data, peer = s.recvfrom(2048)
        s.sendto(data, peer)


def serve() -> None:
    many_sockets()
    threading.Thread(target=echo_datagrams, daemon=True).start()
    listener = socket.create_server(("", PORT), backlog=4096)
    poll, open_ = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                s = listener.accept()[0]
                open_[s.fileno()] = s
                poll.register(s, select.EPOLLIN)
                continue
            try:
                data = open_[fd].recv(2048)
            except OSError:
                data = b""
            if data:
                open_[fd].sendall(data)
            else:
                poll.unregister(fd)
                open_.pop(fd).close()


class Client:
    def __init__(self, number: int) -> None:
        self.to = socket.gethostbyname(HOST)
        self.told = {"sent": 0, "answered": 0, "kept_sent": 0, "kept_answered": 0, "kept_ended": 0, "short": 0,
                     "short_failed": 0, "came_back": 0}
        self.lock = threading.Lock()
        self.poll = select.epoll()
        self.flows = [self._datagram_flow(FIRST_PORT + number * DATAGRAM + i) for i in range(DATAGRAM)]
        self.kept = [socket.create_connection((self.to, PORT), timeout=10) for _ in range(KEPT)]
        self.by_fd = {s.fileno(): (s, "answered") for s in self.flows}
        self.by_fd.update((s.fileno(), (s, "kept_answered")) for s in self.kept)
        for fd in self.by_fd:
            self.poll.register(fd, select.EPOLLIN)
        self.silent_until = [0.0] * DATAGRAM

    def _datagram_flow(self, port: int) -> socket.socket:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.bind(("", port))
        s.connect((self.to, PORT))
        s.setblocking(False)
        return s

    def count(self, what: str, by: int = 1) -> None:
        with self.lock:
            self.told[what] += by

    def short_connections(self, until: float) -> None:
        while time.monotonic() < until:
            time.sleep(SHORT_EVERY_S)
            try:
                with socket.create_connection((self.to, PORT), timeout=10) as s:
                    s.sendall(b"x" * 200)
                    good = len(s.recv(200, socket.MSG_WAITALL)) == 200
            except OSError:
                good = False
            self.count("short" if good else "short_failed")

    def answers(self, until: float) -> None:
        while time.monotonic() < until + 2:
            for fd, _ in self.poll.poll(1.0):
                s, what = self.by_fd[fd]
                try:
                    data = s.recv(2048)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if data:
                    self.count(what)
                else:
                    self.count("kept_ended")
                    self.poll.unregister(fd)

    def speak(self, until: float) -> None:
        every = ROUND_S / (DATAGRAM + KEPT)
        turn, now, due, rest = 0, time.monotonic(), time.monotonic(), time.monotonic()
        while now < until:
            while due <= now:
                due += every
                self._one(turn, now)
                turn = (turn + 1) % (DATAGRAM + KEPT)
            while rest <= now:
                rest += REST_EVERY_S
                self.silent_until[random.randrange(DATAGRAM)] = now + REST_S
            time.sleep(0.01)
            now = time.monotonic()

    def _one(self, turn: int, now: float) -> None:
        try:
            if turn >= DATAGRAM:
                self.kept[turn - DATAGRAM].sendall(b"still there?")
                return self.count("kept_sent")
            if self.silent_until[turn] > now:
                return None
            if self.silent_until[turn] > 0:
                self.silent_until[turn] = 0.0
                self.count("came_back")
            self.flows[turn].send(b"are you there?")
            return self.count("sent")
        except OSError:
            return None                                  # told by what is not answered

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=work, args=(until,)) for work in (self.short_connections, self.answers)]
        for thread in threads:
            thread.start()
        self.speak(until)
        for thread in threads:
            thread.join()
        print(json.dumps(self.told), flush=True)


# --- the watcher ------------------------------------------------------------------------------------

GATEWAYS = ("sg-1", "sg-2")


def look(lab: Lab) -> dict[str, tuple[int, int]]:
    """Of each gateway: resident memory in KiB, and flows."""
    out = {}
    for node in GATEWAYS:
        status = Path(f"/proc/{lab.processes()[node]['pid']}/status").read_text()
        edge = lab.show(node, "counters")["edge"]
        out[node] = (int(status.split("VmRSS:")[1].split()[0]), edge["flows_out"] + edge["flows_in"])
    return out


def figure(case: str, value: float, unit: str, **goal: float) -> None:
    print(json.dumps({"case": case, "value": value, "unit": unit, **goal}), flush=True)


def report(told: dict[str, int], seen: list[dict[str, tuple[int, int]]], left: dict[str, tuple[int, int]]) -> None:
    for node in GATEWAYS:
        warm = seen[0]
        figure(f"{node}: memory gained after the first quarter of an hour", seen[-1][node][0] - warm[node][0], "KiB",
               at_most=LEAK_KIB)
        figure(f"{node}: memory with these flows", seen[-1][node][0], "KiB")
        figure(f"{node}: flows held, least", min(one[node][1] for one in seen), "flows", at_least=50_000)
        figure(f"{node}: flows left when idle", left[node][1], "flows", at_most=0)
    for sent, answered, what in (("sent", "answered", "datagrams"), ("kept_sent", "kept_answered", "lasting connections")):
        figure(f"{what}: unanswered of a million", (told[sent] - told[answered]) / told[sent] * 1e6, "", at_most=100)
    figure("lasting connections that ended", told["kept_ended"], "connections", at_most=0)
    figure("short connections", told["short"], "connections")
    figure("short connections that failed", told["short_failed"], "connections", at_most=0)
    figure("flows that came back after their end", told["came_back"], "flows", at_least=1)


def run(seconds: float) -> None:
    if seconds <= WARM_S + 120:
        raise LabError(f"{seconds:.0f} s are too few: memory is compared from the {WARM_S:.0f}th on")
    with Lab.up(PLAN, name=os.environ.get("DMSC_BENCH_LAB", "flows")) as lab:
        lab.wait(lambda: any(row["prefix"] == NAME for row in lab.show("sg-1", "fib")), 20, f"{NAME} at sg-1")
        me = [sys.executable, str(Path(__file__).resolve())]
        server = lab.popen("pod-2", *me, "--serve")
        time.sleep(1)
        callers = [lab.popen("pod-1", *me, "--call", str(i), str(seconds), stdout=subprocess.PIPE)
                   for i in range(CALLERS)]
        seen, started = [], time.monotonic()
        try:
            while (passed := time.monotonic() - started) < seconds - 5 and all(caller.poll() is None for caller in callers):
                if passed > WARM_S:
                    seen.append(look(lab))
                    print(f"{passed:.0f} s: {seen[-1]}", file=sys.stderr, flush=True)
                time.sleep(60)
            reports = [json.loads(caller.communicate(timeout=120)[0]) for caller in callers]
            told = {key: sum(each[key] for each in reports) for key in reports[0]}
            for node in GATEWAYS:                        # what explains figures that are not good
                print(node, {key: n for key, n in lab.show(node, "counters")["edge"].items() if n}, file=sys.stderr)
                print(node, lab.show(node, "neighbors"), file=sys.stderr, flush=True)
            time.sleep(IDLE_S)
            report(told, seen, look(lab))
        finally:
            for process in (*callers, server):
                process.kill()
                process.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    elif sys.argv[1:2] == ["--call"]:
        many_sockets()
        Client(int(sys.argv[2])).run(float(sys.argv[3]))
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))     # so that the lab goes, too
        try:
            run(float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0)
        except LabError as error:
            sys.exit(f"flows_live: {error}")
