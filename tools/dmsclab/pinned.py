"""One TCP connection and one UDP flow to a name, and which server each ever met.

    pinned.py serve NAME PORT       echoes what it gets: TCP behind a line with its NAME, UDP behind its NAME
    pinned.py call HOST PORT        until a line comes on standard input; prints "open NAME", and at the end
                                    one line of JSON
"""
from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time

STEP, SIZE, PERIOD = 0.02, 1000, 251
PATTERN = bytes(range(PERIOD)) * (SIZE // PERIOD + 2)


def serve(name: str, port: int) -> None:
    listener = socket.create_server(("0.0.0.0", port))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", port))  # the endpoint: answers come from there too

    def one(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(f"{name}\n".encode())
        while data := connection.recv(1 << 16):
            connection.sendall(data)
        connection.close()

    def echo() -> None:
        while True:
            try:
                data, peer = datagrams.recvfrom(2048)
                datagrams.sendto(name.encode() + b" " + data, peer)
            except OSError:
                pass                   # the way back is gone for a moment

    threading.Thread(target=echo, daemon=True).start()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


class Stream(threading.Thread):
    """Reads the echo of a pattern and checks every byte."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self.connection, self.received, self.wrong = connection, 0, ""
        self.start()

    def run(self) -> None:
        try:
            while data := self.connection.recv(1 << 16):
                at = self.received % PERIOD
                while len(data) > len(PATTERN) - PERIOD:
                    data, rest = data[:SIZE], data[SIZE:]
                    self.check(data, at)
                    at, data = self.received % PERIOD, rest
                self.check(data, at)
        except OSError as error:
            self.wrong = self.wrong or str(error)

    def check(self, data: bytes, at: int) -> None:
        if data != PATTERN[at:at + len(data)]:
            self.wrong = self.wrong or f"other bytes than sent after {self.received}"
        self.received += len(data)


class Datagrams(threading.Thread):
    """Who answers, and how often."""

    def __init__(self, s: socket.socket) -> None:
        super().__init__(daemon=True)
        self.socket, self.names, self.late, self.last = s, {}, 0, -1
        self.start()

    def run(self) -> None:
        while True:
            try:
                name, _, number = self.socket.recv(2048).partition(b" ")
            except OSError:
                continue
            self.names[name.decode()] = self.names.get(name.decode(), 0) + 1
            self.last = max(self.last, struct.unpack("!I", number)[0])


def call(host: str, port: int) -> None:
    address = socket.gethostbyname(host)
    connection = socket.create_connection((address, port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = b""
    while not name.endswith(b"\n"):
        name += connection.recv(1)
    connection.settimeout(60)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.settimeout(0.5)
    datagrams.connect((address, port))
    stream, answers = Stream(connection), Datagrams(datagrams)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
    print("open", name.decode().strip(), flush=True)
    sent = number = 0
    error = ""
    while not ended.is_set() and not error:
        try:
            connection.sendall(PATTERN[sent % PERIOD:sent % PERIOD + SIZE])
            sent += SIZE
        except OSError as wrong:
            error = str(wrong)
        try:
            datagrams.send(struct.pack("!I", number))
        except OSError:
            pass                       # an error of an earlier one
        number += 1
        time.sleep(STEP)
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError as wrong:
        error = error or str(wrong)
    stream.join(30)
    print(json.dumps({"name": name.decode().strip(), "sent": sent, "received": stream.received,
                      "wrong": error or stream.wrong or ("no end" if stream.is_alive() else ""),
                      "datagrams": number, "last_answered": answers.last, "names": answers.names}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        call(sys.argv[2], int(sys.argv[3]))
