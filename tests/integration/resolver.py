#!/usr/bin/python3
"""A stub resolver: one DNS question, the answer as JSON. Written apart from the code it tests.

    resolver.py [--tcp] [--edns BYTES] [--edns-version N] [--fallback] SERVER NAME TYPE
"""
from __future__ import annotations

import argparse
import json
import socket
import struct
from typing import Any

TYPES = {"A": 1, "NS": 2, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "OPT": 41, "SVCB": 64,
         "HTTPS": 65, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}


def question(name: str, kind: int, edns: int, version: int) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split("."))
    more = b"\0" + struct.pack("!HHBBHH", 41, edns, 0, version, 0, 0) if edns else b""
    return struct.pack("!6H", 0x4d53, 0x0100, 1, 0, 0, 1 if edns else 0) + labels + b"\0" + struct.pack("!HH", kind, 1) + more


def name_at(message: bytes, at: int) -> tuple[str, int]:
    parts, after = [], 0
    while message[at]:
        if message[at] >= 0xc0:
            after = after or at + 2
            at = struct.unpack_from("!H", message, at)[0] & 0x3fff
            continue
        parts.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(parts), after or at + 1


def data_of(message: bytes, kind: int, at: int, size: int) -> Any:
    if kind == 1:
        return socket.inet_ntop(socket.AF_INET, message[at:at + 4])
    if kind == 28:
        return socket.inet_ntop(socket.AF_INET6, message[at:at + 16])
    if kind == 33:
        return [*struct.unpack_from("!3H", message, at), name_at(message, at + 6)[0]]
    if kind == 12:
        return name_at(message, at)[0]
    if kind == 6:
        return list(struct.unpack_from("!5I", message, at + size - 20))
    return message[at:at + size].hex()


def read(message: bytes) -> dict[str, Any]:
    ident, flags, *counts = struct.unpack_from("!6H", message)
    assert ident == 0x4d53 and flags & 0x8000
    at = 12
    for _ in range(counts[0]):
        at = name_at(message, at)[1] + 4
    sections = []
    rcode = flags & 15
    for count in counts[1:]:
        rows = []
        for _ in range(count):
            owner, at = name_at(message, at)
            kind, klass, ttl, size = struct.unpack_from("!HHIH", message, at)
            at += 10
            if kind == 41:
                rcode |= ttl >> 24 << 4
            else:
                rows.append([owner, NAMES.get(kind, str(kind)), ttl, data_of(message, kind, at, size)])
            at += size
        sections.append(rows)
    assert at == len(message), "bytes left over"
    return {"rcode": rcode, "aa": bool(flags & 0x400), "tc": bool(flags & 0x200), "size": len(message),
            "answer": sections[0], "authority": sections[1], "additional": sections[2]}


def by_tcp(server: str, wire: bytes) -> bytes:
    with socket.create_connection((server, 53), 3) as s:
        s.sendall(struct.pack("!H", len(wire)) + wire)
        got = b""
        while len(got) < 2 or len(got) < 2 + struct.unpack_from("!H", got)[0]:
            more = s.recv(65536)
            assert more, "closed"
            got += more
        return got[2:]


def by_udp(server: str, wire: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.connect((server, 53))
        s.send(wire)
        return s.recv(65536)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--fallback", action="store_true", help="by TCP if the answer was cut short")
    parser.add_argument("--edns", type=int, default=0)
    parser.add_argument("--edns-version", type=int, default=0)
    for word in ("server", "name", "type"):
        parser.add_argument(word)
    o = parser.parse_args()
    wire = question(o.name, TYPES[o.type], o.edns, o.edns_version)
    answer = read((by_tcp if o.tcp else by_udp)(o.server, wire))
    if answer["tc"] and o.fallback:
        answer = {**read(by_tcp(o.server, wire)), "fell_back": True}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
