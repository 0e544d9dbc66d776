#!/usr/bin/python3
"""A name server for one name's test: answers every A question from a file, and prints each question.

    dns_server.py FILE      on 127.0.0.1:53, UDP; FILE holds one IPv4 address, read for each question
"""
import ipaddress
import socket
import struct
import sys
from pathlib import Path

TYPE_A, CLASS_IN = 1, 1


def answer(query: bytes, address: str) -> tuple[str, bytes]:
    """The name asked for and the reply (RFC 1035): one A record, or none for another type."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1:at + 1 + length].decode())
        at += 1 + length
    kind, _ = struct.unpack_from("!HH", query, at + 1)
    question = query[12:at + 5]
    known = kind == TYPE_A
    reply = query[:2] + struct.pack("!HHHHH", 0x8580, 1, int(known), 0, 0) + question
    if known:
        reply += struct.pack("!HHHIH", 0xc00c, TYPE_A, CLASS_IN, 0, 4) + ipaddress.IPv4Address(address).packed
    return ".".join(labels), reply


def main() -> None:
    file = Path(sys.argv[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        while True:
            query, source = server.recvfrom(512)
            address = file.read_text().strip()
            name, reply = answer(query, address)
            print(name, address, flush=True)
            server.sendto(reply, source)


main()
