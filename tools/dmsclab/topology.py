"""The topology file: nodes, pods, links and registry rules, read strictly."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import pattern
from .errors import LabError

ROLES = {"sg", "sr", "spa", "scsc", "host"}
NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")
LINK_NAME = re.compile(r"^(.+)--(.+)$")


@dataclass
class Node:
    name: str
    role: str                       # sg, sr, spa, scsc; host: a namespace without a daemon
    writer: bool = False            # of the spa: the one writer
    spa: list[str] = field(default_factory=list)    # nearest first; default: all, in file order
    config: dict[str, Any] = field(default_factory=dict)  # merged over the generated configuration


@dataclass
class Link:
    ends: tuple[str, str]
    metric: int | str = 10
    emulate: bool = True
    settings: dict[str, str] = field(default_factory=dict)  # of the emulator, both ways
    mtu: int | None = None
    bandwidth: str | None = None    # capacity told to the daemons
    liveness: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return "--".join(self.ends)


@dataclass
class Program:
    """A program of a pod, started beside its announcing agent."""
    name: str
    run: list[str]
    notify: bool = False            # it speaks NOTIFY_SOCKET


@dataclass
class Pod:
    name: str
    gateway: str
    announce: list[str] = field(default_factory=list)
    pool: bool = True               # join the parents' pools
    external: str = "refuse"
    endpoint: str | None = None     # "address:port" of the program behind its prefixes
    web: int | None = None          # an nginx on this port of its loopback, the endpoint of its prefixes
    programs: list[Program] = field(default_factory=list)


@dataclass
class Registry:
    pools: list[str] = field(default_factory=list)
    # Rules as spad reads them, besides that each pod owns what it announces, at its gateway.
    prefixes: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Topology:
    name: str
    domain: str
    nodes: dict[str, Node]
    links: list[Link]
    pods: dict[str, Pod]
    registry: Registry

    def of_role(self, role: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.role == role]

    def writer(self) -> Node | None:
        return next((node for node in self.of_role("spa") if node.writer), None)

    def link(self, name: str) -> Link:
        """The link called A--B (or B--A)."""
        match = LINK_NAME.match(name)
        for link in self.links:
            if match and set(match.groups()) == set(link.ends):
                return link
        raise LabError(f"no link '{name}' (there are: {', '.join(link.name for link in self.links)})")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LabError(f"{where}: must be a mapping")
    return value


def _only(value: dict[str, Any], known: set[str], where: str) -> None:
    for key in value:
        if key not in known:
            raise LabError(f"{where}: unknown key '{key}' (known: {', '.join(sorted(known))})")


def _name(text: Any, where: str) -> str:
    if not isinstance(text, str) or not NAME.match(text):
        raise LabError(f"{where}: '{text}' is not a name (a-z, 0-9 and -, at most 32)")
    return text


def _node(name: str, value: Any, where: str) -> Node:
    entry = _mapping(value, where)
    _only(entry, {"role", "writer", "spa", "config"}, where)
    role = entry.get("role")
    if role not in ROLES:
        raise LabError(f"{where}: role '{role}' is not one of {', '.join(sorted(ROLES))}")
    return Node(_name(name, where), role, bool(entry.get("writer", False)), list(entry.get("spa", [])),
                _mapping(entry.get("config"), f"{where}.config"))


LINK_KEYS = {"metric", "emulate", "mtu", "bandwidth", "liveness"}
EMULATOR_KEYS = {"delay", "jitter", "loss", "duplicate", "rate", "queue", "burst", "reorder"}


def _link(value: Any, defaults: dict[str, Any], nodes: dict[str, Node], where: str) -> Link:
    entry = {**defaults, **_mapping(value, where)}
    _only(entry, {"between"} | LINK_KEYS | EMULATOR_KEYS, where)
    ends = entry.get("between")
    if not isinstance(ends, list) or len(ends) != 2 or ends[0] == ends[1]:
        raise LabError(f"{where}: between must be two different nodes")
    for end in ends:
        if end not in nodes:
            raise LabError(f"{where}: no node '{end}'")
    settings = {key: str(entry[key]) for key in EMULATOR_KEYS if key in entry}
    emulate = bool(entry.get("emulate", True))
    if settings and not emulate:
        raise LabError(f"{where}: {', '.join(settings)} needs emulate: true")
    return Link((ends[0], ends[1]), entry.get("metric", 10), emulate, settings, entry.get("mtu"),
                entry.get("bandwidth"), entry.get("liveness"))


def _pod(name: str, value: Any, nodes: dict[str, Node], where: str) -> Pod:
    entry = _mapping(value, where)
    _only(entry, {"gateway", "announce", "pool", "external", "endpoint", "web", "programs"}, where)
    gateway = entry.get("gateway")
    if gateway not in nodes or nodes[gateway].role != "sg":
        raise LabError(f"{where}: gateway '{gateway}' is not a node of role sg")
    programs = []
    for i, item in enumerate(entry.get("programs", [])):
        program = _mapping(item, f"{where}.programs[{i}]")
        _only(program, {"name", "run", "notify"}, f"{where}.programs[{i}]")
        programs.append(Program(_name(program.get("name"), where), list(program.get("run", [])),
                                bool(program.get("notify", False))))
    return Pod(_name(name, where), gateway, list(entry.get("announce", [])), bool(entry.get("pool", True)),
               entry.get("external", "refuse"), entry.get("endpoint"), entry.get("web"), programs)


def parse(document: Any, where: str) -> Topology:
    """The topology a YAML document describes; LabError names the place of a mistake."""
    root = _mapping(document, where)
    _only(root, {"name", "domain", "defaults", "nodes", "links", "pods", "registry"}, where)
    defaults = _mapping(root.get("defaults"), f"{where}: defaults")
    _only(defaults, {"link"}, f"{where}: defaults")
    nodes = {name: _node(name, value, f"{where}: nodes.{name}")
             for name, value in _mapping(root.get("nodes"), f"{where}: nodes").items()}
    link_defaults = _mapping(defaults.get("link"), f"{where}: defaults.link")
    links = [_link(value, link_defaults, nodes, f"{where}: links[{i}]")
             for i, value in enumerate(root.get("links") or [])]
    pods = {name: _pod(name, value, nodes, f"{where}: pods.{name}")
            for name, value in _mapping(root.get("pods"), f"{where}: pods").items()}
    registry = _mapping(root.get("registry"), f"{where}: registry")
    _only(registry, {"pools", "prefixes"}, f"{where}: registry")
    topology = Topology(_name(root.get("name"), f"{where}: name"), str(root.get("domain", "lab.dmsc")), nodes,
                        links, pods, Registry(list(registry.get("pools", [])), list(registry.get("prefixes", []))))
    _check(topology, where)
    return topology


def _check(topology: Topology, where: str) -> None:
    for name in topology.pods:
        if name in topology.nodes:
            raise LabError(f"{where}: '{name}' is both a node and a pod")
    seen: set[frozenset[str]] = set()
    for link in topology.links:
        if frozenset(link.ends) in seen:
            raise LabError(f"{where}: two links between {' and '.join(link.ends)}")
        seen.add(frozenset(link.ends))
    spas = topology.of_role("spa")
    if spas and sum(node.writer for node in spas) != 1:
        raise LabError(f"{where}: exactly one node of role spa must have writer: true")
    for node in topology.nodes.values():
        for spa in node.spa:
            if spa not in topology.nodes or topology.nodes[spa].role != "spa":
                raise LabError(f"{where}: nodes.{node.name}.spa: '{spa}' is not a node of role spa")


def load(path: Path | str) -> Topology:
    """The topology in a file, or of a pattern such as grid:5x5."""
    if pattern.is_pattern(str(path)):
        return parse(pattern.document(str(path)), str(path))
    path = Path(path)
    try:
        return parse(yaml.safe_load(path.read_text()), str(path))
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise LabError(f"{path}: not YAML: {error}") from error
