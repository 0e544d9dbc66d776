#!/usr/bin/python3
"""A server for bulk transfers both ways and datagrams, and its client; prints one line of JSON.

    both_ways.py serve ADDRESS PORT          TCP and UDP; IPv6 addresses alone if it is one
    both_ways.py tcp FAMILY HOST PORT BYTES  sends BYTES and takes as many; FAMILY 4 or 6
    both_ways.py udp FAMILY HOST PORT BYTES  one datagram there and back
"""
from __future__ import annotations

import errno
import hashlib
import json
import random
import socket
import struct
import sys
import threading
import time

FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}


def whole(s: socket.socket, size: int) -> bytes:
    out = bytearray()
    while len(out) < size:
        more = s.recv(min(1 << 16, size - len(out)))
        if not more:
            raise EOFError(f"{len(out)} of {size} bytes")
        out += more
    return bytes(out)


def serve_one(s: socket.socket) -> None:
    with s:
        size, = struct.unpack("!Q", whole(s, 8))
        digest = hashlib.sha256(whole(s, size)).digest()
        s.sendall(digest + random.Random(size).randbytes(size))


def serve(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    tcp, udp = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for s in (tcp, udp):
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((address, port))
    tcp.listen()

    def echo() -> None:
        while True:
            data, client = udp.recvfrom(65536)
            udp.sendto(data, client)

    threading.Thread(target=echo, daemon=True).start()
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve_one, args=(tcp.accept()[0],), daemon=True).start()


def connect(kind: int, family: str, host: str, port: int) -> socket.socket:
    where = socket.getaddrinfo(host, port, FAMILIES[family], kind)[0][4]
    s = socket.socket(FAMILIES[family], kind)
    s.settimeout(20)
    s.connect(where)
    return s


def by_tcp(family: str, host: str, port: int, size: int) -> dict:
    data = random.Random(7).randbytes(size)
    with connect(socket.SOCK_STREAM, family, host, port) as s:
        sender = threading.Thread(target=s.sendall, args=(struct.pack("!Q", size) + data,))
        sender.start()
        answer = whole(s, 32 + size)
        sender.join()
        return {"sent": answer[:32] == hashlib.sha256(data).digest(),
                "got": answer[32:] == random.Random(size).randbytes(size), "peer": s.getpeername()[0]}


def by_udp(family: str, host: str, port: int, size: int) -> dict:
    data = random.Random(9).randbytes(size)
    with connect(socket.SOCK_DGRAM, family, host, port) as s:
        begun = time.monotonic()
        try:
            s.send(data)
            return {"got": s.recv(65536) == data}
        except OSError as error:
            return {"error": errno.errorcode.get(error.errno or 0, str(error)), "took": time.monotonic() - begun}


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "serve":
        return serve(rest[0], int(rest[1]))
    family, host, port, size = rest
    print(json.dumps({"tcp": by_tcp, "udp": by_udp}[what](family, host, int(port), int(size))))


if __name__ == "__main__":
    main()
