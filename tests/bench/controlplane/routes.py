"""Route changes of the kernels of all namespaces, from one thread: how convergence of IP stacks is seen."""
from __future__ import annotations

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from dmsclab.errors import LabError

from net import Net

_RTMGRP_IPV4_ROUTE, _NEWROUTE, _DELROUTE, _NEWNEXTHOP, _DELNEXTHOP = 0x40, 24, 25, 104, 105
_RTNLGRP_NEXTHOP, _SOL_NETLINK, _ADD_MEMBERSHIP, _SO_RCVBUFFORCE = 32, 270, 1, 33
_KERNEL_BOOT_STATIC = (2, 3, 4)     # protocols of routes that no routing daemon made
_TABLE_MAIN, _UNICAST, _RTA_DST = 254, 1, 1


@dataclass
class Event:
    at: float                       # CLOCK_MONOTONIC
    node: str
    to: str | None                  # the node whose loopback address it is about; None: a next-hop group


class RouteMonitor(threading.Thread):
    def __init__(self, net: Net) -> None:
        super().__init__(daemon=True)
        self.events: list[Event] = []
        self.reachable: dict[str, set[str]] = {node: set() for node in net.routers}
        self._by_address = {socket.inet_aton(net.address(node)): node for node in net.routers}
        self._sockets: dict[int, tuple[str, socket.socket]] = {}
        self._poll, self._ending, self._overrun = select.epoll(), False, False
        for node in net.routers:
            with net.inside(node):
                channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
                channel.bind((0, _RTMGRP_IPV4_ROUTE))
            channel.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
            channel.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _RTNLGRP_NEXTHOP)
            channel.setblocking(False)
            self._sockets[channel.fileno()] = (node, channel)
            self._poll.register(channel.fileno(), select.EPOLLIN)
        self.start()

    def run(self) -> None:
        while not self._ending:
            for descriptor, _ in self._poll.poll(0.2):
                node, channel = self._sockets[descriptor]
                self._drain(node, channel)

    def _drain(self, node: str, channel: socket.socket) -> None:
        while True:
            try:
                messages = channel.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                self._overrun = True
                return
            at, offset = time.monotonic(), 0
            while offset + 16 <= len(messages):
                length, kind = struct.unpack_from("IH", messages, offset)
                self._message(at, node, kind, messages[offset + 16:offset + length])
                offset += (length + 3) & ~3

    def _message(self, at: float, node: str, kind: int, body: bytes) -> None:
        if kind in (_NEWNEXTHOP, _DELNEXTHOP):
            self.events.append(Event(at, node, None))
        if kind not in (_NEWROUTE, _DELROUTE):
            return
        _, bits, _, _, table, protocol, _, route_type, _ = struct.unpack_from("BBBBBBBBI", body)
        if protocol in _KERNEL_BOOT_STATIC or table != _TABLE_MAIN or route_type != _UNICAST:
            return
        offset, to = 12, None
        while offset + 4 <= len(body):
            length, attribute = struct.unpack_from("HH", body, offset)
            if attribute == _RTA_DST and bits == 32:
                to = self._by_address.get(body[offset + 4:offset + 8])
            offset += max((length + 3) & ~3, 4)
        if to is not None:
            (self.reachable[node].add if kind == _NEWROUTE else self.reachable[node].discard)(to)
        self.events.append(Event(at, node, to))

    def since(self, start: float) -> list[Event]:
        if self._overrun:
            raise LabError("the route monitor lost events: the figures of this run would be wrong")
        return [event for event in self.events if event.at >= start]

    def close(self) -> None:
        self._ending = True
        self.join()
        for _, channel in self._sockets.values():
            channel.close()
        self._poll.close()
