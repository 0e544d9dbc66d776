"""Where everything of a lab is: namespaces, interfaces, addresses, files. Pure arithmetic.

    management  172.31.0.0/16: node n has 172.31.0.n on interface mgmt, all on one bridge
    links       10.N.L.0/30 (N = L / 256): the first end has .1, the second .2, interface named after the peer
    pods        100.64.P.2/30 on the gateway's TUN, dmsc0
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .topology import Link, Topology

INTERFACE_LENGTH = 15
SPA_PORT, SCSC_PORT = 7410, 7420
DAEMONS = {"sr": "srd", "sg": "sgd", "spa": "spad", "scsc": "scscd"}
CONTROLLERS = {"sr": "srctl", "sg": "sgctl", "spa": "spactl", "scsc": "scscctl"}


@dataclass
class Wire:
    """One link with its interfaces and addresses."""
    link: Link
    index: int
    interfaces: tuple[str, str]
    addresses: tuple[str, str]

    @property
    def inner(self) -> tuple[str, str]:
        """The emulator's ends, in its own namespace."""
        return f"w{self.index}a", f"w{self.index}b"


class Plan:
    def __init__(self, topology: Topology, name: str, state: Path) -> None:
        self.topology, self.name, self.state = topology, name, state
        self._numbers = {node: i for i, node in enumerate(topology.nodes, 1)}
        self.wires = [self._wire(i, link) for i, link in enumerate(topology.links, 1)]

    def _wire(self, index: int, link: Link) -> Wire:
        first, second = link.ends
        base = f"10.{index // 256}.{index % 256}"
        wire = Wire(link, index, (f"to-{second}", f"to-{first}"), (f"{base}.1", f"{base}.2"))
        for interface in wire.interfaces:
            if len(interface) > INTERFACE_LENGTH:
                raise LabError(f"link {link.name}: interface name {interface} is longer than {INTERFACE_LENGTH}")
        return wire

    def namespace(self, node: str) -> str:
        return f"{self.name}-{node}"

    def namespaces(self) -> list[str]:
        inner = ["mgmt"] + (["linkem"] if any(w.link.emulate for w in self.wires) else [])
        return [self.namespace(n) for n in [*inner, *self.topology.nodes, *self.topology.pods]]

    def management(self, node: str) -> str:
        number = self._numbers[node]
        return f"172.31.{number // 250}.{number % 250 + 1}"

    def pod_address(self, pod: str) -> str:
        number = list(self.topology.pods).index(pod) + 1
        return f"100.64.{number}.2"

    def wires_of(self, node: str) -> list[tuple[Wire, int]]:
        """The wires of a node, each with the index of the node's end."""
        return [(wire, wire.link.ends.index(node)) for wire in self.wires if node in wire.link.ends]

    def wire(self, name: str) -> Wire:
        link = self.topology.link(name)
        return next(wire for wire in self.wires if wire.link is link)

    # Files, all below the state folder. Paths of Unix sockets are short: they may have 107 bytes.
    def folder(self, node: str) -> Path:
        return self.state / node

    def run_dir(self, node: str) -> Path:
        return self.state / node / "run"

    def data_dir(self, node: str) -> Path:
        return self.state / node / "state"

    def config_file(self, node: str) -> Path:
        return self.state / node / f"{DAEMONS[self.topology.nodes[node].role]}.yaml"

    def token_file(self, node: str) -> Path:
        return self.state / node / "token"

    def log_file(self, process: str) -> Path:
        return self.state / "log" / f"{process.replace('/', '.')}.log"

    @property
    def linkem_socket(self) -> Path:
        return self.state / "linkem.sock"

    @property
    def supervisor_socket(self) -> Path:
        return self.state / "supervisor.sock"

    def spa_addresses(self, node: str) -> list[str]:
        """The SPAs of a node, nearest first."""
        names = self.topology.nodes[node].spa or [spa.name for spa in self.topology.of_role("spa")]
        return [f"{self.management(spa)}:{SPA_PORT}" for spa in names]

    def scsc_addresses(self) -> list[str]:
        return [f"{self.management(node.name)}:{SCSC_PORT}" for node in self.topology.of_role("scsc")]
