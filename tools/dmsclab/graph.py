"""An independent look at the routing: shortest paths over the LSDB's links, to compare with what packets
record. Deliberately not the daemons' code."""
from __future__ import annotations

import heapq
from collections import defaultdict
from typing import Iterable


class Graph:
    """Directed metrics as the Node LSAs state them. A link counts only if both ends state it."""

    def __init__(self) -> None:
        self._out: dict[str, dict[str, int]] = defaultdict(dict)
        self._no_transit: set[str] = set()

    def add(self, node: str, adjacencies: Iterable[tuple[str, int]], transit: bool = True) -> None:
        """What one node's LSA says; of several links to one neighbour the cheapest counts."""
        for neighbour, metric in adjacencies:
            known = self._out[node].get(neighbour)
            self._out[node][neighbour] = metric if known is None else min(known, metric)
        if not transit:
            self._no_transit.add(node)

    def links(self) -> set[frozenset[str]]:
        """The links both ends state."""
        return {frozenset((a, b)) for a, out in self._out.items() for b in out if a in self._out.get(b, {})}

    def cost(self, path: list[str]) -> int:
        """The metrics along a path of known links."""
        return sum(self._out[a][b] for a, b in zip(path, path[1:]))

    def shortest_paths(self, source: str, target: str) -> list[list[str]]:
        """All paths of least metric, in order; none if the target cannot be reached."""
        distance: dict[str, int] = {source: 0}
        before: dict[str, list[str]] = defaultdict(list)
        heap = [(0, source)]
        done: set[str] = set()
        while heap:
            cost, node = heapq.heappop(heap)
            if node in done:
                continue
            done.add(node)
            if node != source and node in self._no_transit:
                continue
            for neighbour, metric in self._out.get(node, {}).items():
                if node not in self._out.get(neighbour, {}):
                    continue
                new = cost + metric
                old = distance.get(neighbour)
                if old is None or new < old:
                    distance[neighbour], before[neighbour] = new, [node]
                    heapq.heappush(heap, (new, neighbour))
                elif new == old:
                    before[neighbour].append(node)
        return sorted(_unroll(source, target, before)) if target in distance else []


def _unroll(source: str, target: str, before: dict[str, list[str]]) -> list[list[str]]:
    if target == source:
        return [[source]]
    return [path + [target] for node in before[target] for path in _unroll(source, node, before)]
