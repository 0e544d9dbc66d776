"""The oracle that recorded paths are compared with."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))
from dmsclab.graph import Graph  # noqa: E402


def graph(edges, no_transit=()):
    out = Graph()
    nodes = {n for edge in edges for n in edge[:2]}
    for node in nodes:
        out.add(node, [(b, m) for a, b, m in edges if a == node], node not in no_transit)
    return out


def both(*edges):
    return [e for a, b, m in edges for e in ((a, b, m), (b, a, m))]


def test_equal_cost_paths_are_all_found():
    g = graph(both(("a", "x", 1), ("a", "y", 1), ("x", "b", 1), ("y", "b", 1), ("a", "b", 3)))
    assert g.shortest_paths("a", "b") == [["a", "x", "b"], ["a", "y", "b"]]


def test_a_link_only_one_end_states_does_not_count():
    g = graph([("a", "b", 1), ("b", "c", 1), ("c", "b", 1)])
    assert g.shortest_paths("a", "c") == []
    assert g.links() == {frozenset("bc")}


def test_a_gateway_is_never_transit_but_may_be_an_end():
    edges = both(("a", "g", 1), ("g", "b", 1), ("a", "r", 5), ("r", "b", 5))
    g = graph(edges, no_transit={"g", "a"})
    assert g.shortest_paths("a", "b") == [["a", "r", "b"]]
    assert g.shortest_paths("a", "g") == [["a", "g"]]


def test_parallel_links_count_by_the_cheapest():
    g = Graph()
    g.add("a", [("b", 7), ("b", 3), ("c", 3)])
    g.add("b", [("a", 3), ("c", 1)])
    g.add("c", [("a", 3), ("b", 1)])
    assert g.shortest_paths("a", "b") == [["a", "b"]]
