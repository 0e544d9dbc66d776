"""The LSDB of a node as its daemon shows it."""
from __future__ import annotations

from typing import Any

from .graph import Graph
from .lab import Lab


def bodies(lab: Lab, node: str, kind: str) -> dict[str, list[dict[str, Any]]]:
    """The decoded LSAs of one type (node, prefix, grant, ...) that `node` holds, by origin."""
    out: dict[str, list[dict[str, Any]]] = {}
    origins = sorted({row["origin"] for row in lab.show(node, "lsdb")
                      if row["type"] == kind and row["verified"] and not row["purged"]})
    for origin in origins:
        rows = [row for row in lab.show(node, "lsdb", origin, kind) if not row["purged"]]
        out[origin] = [row["body"] for row in rows]
    return out


def graph(lab: Lab, node: str) -> Graph:
    """The topology that the Node LSAs held by `node` describe."""
    out = Graph()
    for origin, fragments in bodies(lab, node, "node").items():
        for body in fragments:
            usable = [(a["neighbour"], a["metric"]) for a in body["adjacencies"] if a["usable"]]
            out.add(origin, usable, transit=not (body["no_transit"] or body["overload"]))
    return out


def settled(lab: Lab) -> bool:
    """Whether every node sees every link of the topology, and routes by the shortest paths over them."""
    nodes = [node.name for node in lab.plan.topology.nodes.values() if node.role in ("sr", "sg")]
    wanted = {frozenset(link.ends) for link in lab.plan.topology.links}
    for node in nodes:
        held = graph(lab, node)
        if held.links() != wanted:
            return False
        distance = {row["node"]: row["distance"] for row in lab.show(node, "paths")}
        for other in nodes:
            paths = held.shortest_paths(node, other)
            if not paths or distance.get(other) != held.cost(paths[0]):
                return False
    return True


def prefixes(lab: Lab, node: str) -> dict[str, set[str]]:
    """Which origins announce each prefix, by the LSDB of `node`."""
    out: dict[str, set[str]] = {}
    for origin, fragments in bodies(lab, node, "prefix").items():
        for body in fragments:
            for entry in body["prefixes"]:
                if entry["instances"]:
                    out.setdefault(entry["prefix"], set()).add(origin)
    return out


def identical(lab: Lab, nodes: list[str]) -> bool:
    """Whether the nodes hold the same versions of the same LSAs."""
    def versions(node: str) -> set[tuple[Any, ...]]:
        return {(row["origin_id"], row["type"], row["fragment"], row["epoch"], row["sequence"], row["purged"])
                for row in lab.show(node, "lsdb") if row["verified"]}
    first = versions(nodes[0])
    return all(versions(node) == first for node in nodes[1:])
