"""UDP at a rate, and what of it arrives. Run in pods:

    load.py sink PORT                                    prints a line of JSON for every sender that has ended
    load.py send HOST PORT NAME MBITS SECONDS [SIZE]     MBITS of IP packets with SIZE bytes of payload

Delays are one way: clocks of pods on one machine are one clock.
"""
from __future__ import annotations

import json
import socket
import struct
import sys
import time

HEAD = struct.Struct("!8sId")          # sender, number, when sent
IP_UDP = 28


class Seen:
    def __init__(self) -> None:
        self.packets, self.size, self.first, self.last = 0, 0, 0.0, 0.0
        self.delays: list[float] = []

    def take(self, size: int, sent: float) -> None:
        now = time.monotonic()
        self.packets += 1
        self.size = size
        self.first = self.first or now
        self.last = now
        self.delays.append(now - sent)

    def line(self, name: str, sent: int) -> str:
        delays = sorted(self.delays) or [0.0]
        span = max(self.last - self.first, 1e-9)
        return json.dumps({"name": name, "sent": sent, "received": self.packets,
                           "mbits": max(0, self.packets - 1) * (self.size + IP_UDP) * 8 / span / 1e6,
                           "p50_ms": delays[len(delays) // 2] * 1000, "p99_ms": delays[len(delays) * 99 // 100] * 1000})


def sink(port: int) -> None:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("0.0.0.0", port))
    seen: dict[str, Seen] = {}
    while True:
        data = s.recv(2048)
        raw, number, sent = HEAD.unpack_from(data)
        name = raw.rstrip(b"\0").decode()
        if sent == 0:                  # the end, told several times
            if name in seen:
                print(seen.pop(name).line(name, number), flush=True)
        else:
            seen.setdefault(name, Seen()).take(len(data), sent)


def send(host: str, port: int, name: str, mbits: float, seconds: float, size: int) -> None:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((host, port))
    pad = bytes(size - HEAD.size)
    step = (size + IP_UDP) * 8 / (mbits * 1e6)
    begin, number = time.monotonic(), 0

    def out(data: bytes) -> None:
        try:
            s.send(data)
        except OSError:
            pass                       # an ICMP error of an earlier one

    while (now := time.monotonic()) < begin + seconds:
        due = int((now - begin) / step) + 1
        for number in range(number, due):
            out(HEAD.pack(name.encode(), number, time.monotonic()) + pad)
        number = due
        time.sleep(max(0.0, begin + due * step - time.monotonic()))
    for _ in range(5):
        time.sleep(0.2)
        out(HEAD.pack(name.encode(), number, 0.0))


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(int(sys.argv[2]))
    else:
        send(sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5]), float(sys.argv[6]),
             int(sys.argv[7]) if len(sys.argv) > 7 else 1172)
