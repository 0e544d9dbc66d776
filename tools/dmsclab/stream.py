"""A TCP connection that carries a known pattern both ways at a steady pace, and how long it ever stood still.

    stream.py serve PORT            takes connections for ever
    stream.py call HOST PORT SECONDS [STEP_MS [BYTES]]
                                    prints "open", and at the end one line of JSON
"""
from __future__ import annotations

import json
import socket
import sys
import threading
import time

PERIOD = 65521                         # a prime: no segment size divides it


PATTERN = bytes(i * 7 % 251 for i in range(PERIOD)) * 3


class Receiver(threading.Thread):
    """Reads until the end, checks every byte, notes the longest time without one."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self.connection, self.received, self.gap, self.gap_at, self.wrong = connection, 0, 0.0, 0.0, ""
        self.start()

    def run(self) -> None:
        begin = last = time.monotonic()
        while True:
            try:
                data = self.connection.recv(1 << 16)
            except OSError as error:
                self.wrong = self.wrong or str(error)
                return
            if not data:
                return
            now = time.monotonic()
            if now - last > self.gap:
                self.gap, self.gap_at = now - last, last - begin
            last = now
            at = self.received % PERIOD
            if data != PATTERN[at:at + len(data)]:
                self.wrong = self.wrong or f"other bytes than sent after {self.received}"
            self.received += len(data)


def send(connection: socket.socket, seconds: float, step: float, size: int) -> int:
    """Sends `size` bytes every `step` seconds."""
    sent, end = 0, time.monotonic() + seconds
    due = time.monotonic()
    while time.monotonic() < end:
        at = sent % PERIOD
        connection.sendall(PATTERN[at:at + size])
        sent += size
        due = max(due + step, time.monotonic() - step)
        time.sleep(max(0.0, due - time.monotonic()))
    connection.shutdown(socket.SHUT_WR)
    return sent


def exchange(connection: socket.socket, seconds: float, step: float, size: int) -> dict[str, object]:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    receiver = Receiver(connection)
    sent = send(connection, seconds, step, size)
    receiver.join(30)
    return {"sent": sent, "received": receiver.received, "gap": receiver.gap, "gap_at": receiver.gap_at,
            "wrong": receiver.wrong or ("" if not receiver.is_alive() else "no end")}


def serve(port: int) -> None:
    listener = socket.create_server(("0.0.0.0", port))

    def one(connection: socket.socket) -> None:
        seconds, step, size = connection.makefile("r", buffering=1).readline().split()
        result = exchange(connection, float(seconds), float(step), int(size))
        print(json.dumps(result), flush=True)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def call(host: str, port: int, seconds: float, step: float, size: int) -> None:
    connection = socket.create_connection((host, port), timeout=10)
    connection.settimeout(60)
    connection.sendall(f"{seconds} {step} {size}\n".encode())
    time.sleep(0.1)                    # the line is read by itself
    print("open", flush=True)
    print(json.dumps(exchange(connection, seconds, step, size)), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        numbers = [float(word) for word in sys.argv[4:]]
        call(sys.argv[2], int(sys.argv[3]), numbers[0], (numbers[1] if len(numbers) > 1 else 10) / 1000,
             int(numbers[2] if len(numbers) > 2 else 20000))
