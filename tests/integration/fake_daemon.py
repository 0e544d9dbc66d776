#!/usr/bin/python3
"""Speaks the service manager's protocol and nothing else: what the lab's supervisor is tested with.

    fake_daemon.py [--delay S] [--fail]     READY after S seconds, or exit 3; SIGTERM: STOPPING, exit 0
"""
import os
import signal
import socket
import sys
import time


def tell(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect(os.environ["NOTIFY_SOCKET"])
        out.send(text.encode())


def stop(*_: object) -> None:
    tell("STOPPING=1\nSTATUS=draining")
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    tell("STATUS=starting up")
    if "--fail" in sys.argv:
        print("cannot go on: no reason", flush=True)
        sys.exit(3)
    if "--delay" in sys.argv:
        time.sleep(float(sys.argv[sys.argv.index("--delay") + 1]))
    tell("READY=1\nSTATUS=serving")
    while True:
        signal.pause()


main()
