"""One-millisecond probes by UDP, and how long a change of the network cost them. Run in pods:

    outage.py serve PORT                  echoes datagrams for ever
    outage.py call HOST PORT SECONDS      sends one each millisecond; prints "open", then one line of JSON

An outage is a run of probes without an answer; its length is the time from the sending of the last answered
one before to that of the first answered one after: so a machine that stands still is no outage.
"""
from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time

STEP = 0.001


def serve(port: int) -> None:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", port))
    while True:
        data, whom = s.recvfrom(2048)
        try:
            s.sendto(data, whom)
        except OSError:
            continue                   # the way back is gone for now


class Echoes(threading.Thread):
    def __init__(self, s: socket.socket) -> None:
        super().__init__(daemon=True)
        self.s, self.got = s, set()
        self.ended = False
        self.start()

    def run(self) -> None:
        while not self.ended:
            try:
                self.got.add(struct.unpack("!I", self.s.recv(64)[:4])[0])
            except OSError:
                continue               # an ICMP error or the time-out; probes go on


def outages(sent: list[float], got: set[int]) -> list[tuple[float, float]]:
    """(begin, length) in seconds of every run of unanswered probes."""
    out, last = [], None
    for number, at in enumerate(sent):
        if number not in got:
            continue
        if last is not None and number > last + 1:
            out.append((sent[last] - sent[0], at - sent[last]))
        last = number
    return out


def call(host: str, port: int, seconds: float) -> None:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((host, port))
    s.settimeout(0.2)
    echoes = Echoes(s)
    sent: list[float] = []
    begin = time.monotonic()
    print("open", flush=True)
    while time.monotonic() < begin + seconds:
        number = len(sent)
        sent.append(time.monotonic())
        try:
            s.send(struct.pack("!I", number) + bytes(28))
        except OSError:
            pass                       # an error of an earlier probe; this one counts as lost
        time.sleep(max(0.0, begin + len(sent) * STEP - time.monotonic()))
    time.sleep(0.5)
    echoes.ended = True
    lost = outages(sent, echoes.got)
    worst = max(lost, key=lambda run: run[1], default=(0.0, 0.0))
    print(json.dumps({"sent": len(sent), "answered": len(echoes.got), "runs": len(lost),
                      "outage_ms": worst[1] * 1000, "at_ms": worst[0] * 1000}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        call(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
