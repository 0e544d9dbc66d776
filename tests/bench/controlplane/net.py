"""The namespaces in which every stack runs in turn: a lab without daemons, the failing links, probes' ends."""
from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from dmsclab import network, pattern
from dmsclab.errors import LabError
from dmsclab.lab import Lab
from dmsclab.plan import Wire

_LIBC = ctypes.CDLL("libc.so.6", use_errno=True)
_CLONE_NEWNET = 0x40000000
_HOME = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_ENTERING = threading.Lock()        # setns is for one thread, but a child started meanwhile inherits it


def _setns(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")


class _Nft:
    """libnftables in this process: a rule takes effect within microseconds of being asked for."""

    def __init__(self) -> None:
        try:
            self._lib = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise LabError(f"libnftables: {error}; tools/setup installs it") from error
        self._lib.nft_ctx_new.restype = ctypes.c_void_p
        self._lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._contexts: dict[str, ctypes.c_void_p] = {}

    def run(self, node: str, command: str) -> None:
        """In the namespace the calling thread is in, which is `node`'s."""
        context = self._contexts.setdefault(node, ctypes.c_void_p(self._lib.nft_ctx_new(0)))
        if self._lib.nft_run_cmd_from_buffer(context, command.encode()):
            raise LabError(f"{node}: nft refused: {command}")


@dataclass
class Child:
    """A process of a stack."""
    node: str
    tag: str                        # srd, ospfd, ...
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid


class Net:
    """The grid fails in its last column: the way from the top right to the bottom right corner is the only
    shortest one, and its last link has no equal-cost alternative. `second` lies in the middle. A line fails
    nowhere."""

    def __init__(self, lab: Lab, shape: str) -> None:
        self.lab, self.shape = lab, shape
        self.rows, self.columns = pattern.shape(shape)
        self.routers = [pattern.router(i, j) for i in range(self.rows) for j in range(self.columns)]
        self.source = pattern.router(0, self.columns - 1 if self.rows > 1 else 0)
        self.target = pattern.router(self.rows - 1, self.columns - 1)
        self._namespaces = {node: os.open(f"/run/netns/{lab.plan.namespace(node)}", os.O_RDONLY | os.O_CLOEXEC)
                            for node in self.routers}
        self._nft = _Nft()
        self.children: list[Child] = []
        self._forwards = False
        if self.rows > 1:
            self.failing = self._wire((self.rows - 2, self.columns - 1), (self.rows - 1, self.columns - 1))
            row, column = self.rows // 2, self.columns // 2
            self.second = self._wire((row, column - 1), (row, column))
            for wire in (self.failing, self.second):
                for node, interface in zip(wire.link.ends, wire.interfaces):
                    with self.inside(node):
                        self._nft.run(node, f"add table netdev {self._table(interface)}; add chain netdev "
                                      f"{self._table(interface)} out {{ type filter hook egress device "
                                      f"\"{interface}\" priority 0; policy accept; }}")

    def close(self) -> None:
        self.kill_all()
        for descriptor in self._namespaces.values():
            os.close(descriptor)

    def _wire(self, one: tuple[int, int], other: tuple[int, int]) -> Wire:
        return self.lab.plan.wire(f"{pattern.router(*one)}--{pattern.router(*other)}")

    @staticmethod
    def _table(interface: str) -> str:
        return "silence_" + interface.replace("-", "_")

    @contextmanager
    def inside(self, node: str) -> Iterator[None]:
        """The calling thread, and what it starts, in a node's namespace."""
        with _ENTERING:
            _setns(self._namespaces[node])
            try:
                yield
            finally:
                _setns(_HOME)

    def address(self, node: str) -> str:
        """The loopback address by which the other stacks know a node."""
        number = self.routers.index(node)
        return f"10.254.{number // 250}.{number % 250 + 1}"

    def interfaces(self, node: str) -> list[str]:
        return [wire.interfaces[end] for wire, end in self.lab.plan.wires_of(node)]

    def make_ip_network(self, forwards: bool) -> None:
        """Loopback addresses and IP forwarding, for the stacks that route IP; or without."""
        if forwards == self._forwards:
            return
        self._forwards = forwards
        for node in self.routers:
            done = subprocess.run(["ip", "-n", self.lab.plan.namespace(node), "address",
                                   "replace" if forwards else "del", f"{self.address(node)}/32", "dev", "lo"],
                                  capture_output=True, text=True, check=False)
            if forwards and done.returncode != 0:
                raise LabError(f"{node}: {done.stderr.strip()}")
            network.set_sysctl(self.lab.plan, node, f"net.ipv4.ip_forward={int(forwards)}",
                               "net.ipv4.conf.default.rp_filter=0", "net.ipv4.icmp_ratelimit=0")

    # --- processes --------------------------------------------------------------------------------

    def spawn(self, node: str, tag: str, argv: Sequence[str], folder: Path) -> Child:
        with open(folder / f"{tag}.out", "ab") as out, self.inside(node):
            process = subprocess.Popen(list(argv), cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT)
        child = Child(node, tag, process)
        self.children.append(child)
        return child

    def kill_all(self) -> None:
        """Ends what spawn() started, as a power cut would."""
        for child in self.children:
            child.process.send_signal(signal.SIGKILL)
        for child in self.children:
            child.process.wait()
        self.children = []

    def require_alive(self) -> None:
        for child in self.children:
            if child.process.poll() is not None:
                raise LabError(f"{child.node}: {child.tag} ended with {child.process.returncode}")

    # --- failures ---------------------------------------------------------------------------------

    def link(self, wire: Wire, up: bool) -> None:
        """Both ends of a link administratively up or down: a loss that the kernel announces."""
        for node, interface in zip(wire.link.ends, wire.interfaces):
            with self.inside(node), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                name = interface.encode().ljust(16, b"\0")
                answer = fcntl.ioctl(control, _SIOCGIFFLAGS, name + bytes(16))
                flags = struct.unpack("16xH", answer[:18])[0]
                flags = flags | _IFF_UP if up else flags & ~_IFF_UP
                fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", name, flags))

    def silence(self, wire: Wire, silent: bool) -> None:
        """Drops what both ends of a link send, without telling anybody."""
        for node, interface in zip(wire.link.ends, wire.interfaces):
            table = self._table(interface)
            with self.inside(node):
                self._nft.run(node, f"add rule netdev {table} out drop" if silent else f"flush chain netdev {table} out")
