#include "dmsc/routing/spf.hpp"

#include <algorithm>

#include "dmsc/routing/quad_heap.hpp"

namespace dmsc::routing {
namespace {

// Dijkstra over the compressed rows. `relax(from, edge, better)` is told of every edge on a
// shortest path known so far: better = the first or a shorter way, else one more of equal length.
// Metrics are positive, so whatever it keeps for `from` is final when it is called.
template <class Relax>
std::uint64_t dijkstra(const Graph& graph, std::uint32_t root, std::vector<std::uint32_t>& distance,
                       QuadHeap& heap, Relax relax) {
  distance.assign(graph.transit.size(), kUnreachable);
  distance[root] = 0;
  heap.clear();
  heap.push(0, root);
  std::uint64_t settled = 0;
  while (!heap.empty()) {
    auto [d, at] = heap.pop();
    if (d != distance[at]) continue;  // a shorter way was found after this was queued
    ++settled;
    if (at != root && graph.transit[at] == 0) continue;  // reached, never passed
    for (std::uint32_t i = graph.first[at]; i < graph.first[at + 1]; ++i) {
      const Edge& edge = graph.edges[i];
      std::uint32_t& known = distance[edge.to];
      std::uint64_t through = std::uint64_t{d} + edge.metric;
      if (through > known || through >= kUnreachable) continue;
      bool better = through < known;
      if (better) {
        known = static_cast<std::uint32_t>(through);
        heap.push(known, edge.to);
      }
      relax(at, i, better);
    }
  }
  return settled;
}

// Sets of the root's own edges, one bit each, a row of words per node: merging two equal-cost ways
// is an OR, however many paths there are.
class HopSets {
 public:
  HopSets(std::size_t nodes, std::size_t hops)
      : words_(std::max<std::size_t>(1, (hops + 63) / 64)), bits_(nodes * words_) {}
  void set_one(std::uint32_t node, std::size_t hop) {
    clear(node);
    add_one(node, hop);
  }
  void add_one(std::uint32_t node, std::size_t hop) {
    bits_[node * words_ + hop / 64] |= std::uint64_t{1} << (hop % 64);
  }
  void copy(std::uint32_t to, std::uint32_t from) {
    for (std::size_t w = 0; w < words_; ++w) bits_[to * words_ + w] = bits_[from * words_ + w];
  }
  void merge(std::uint32_t to, std::uint32_t from) {
    for (std::size_t w = 0; w < words_; ++w) bits_[to * words_ + w] |= bits_[from * words_ + w];
  }
  // The members in rising order, at most kMaxEcmp of them.
  template <class Visit>
  void for_each(std::uint32_t node, Visit visit) const {
    std::size_t given = 0;
    for (std::size_t w = 0; w < words_; ++w) {
      for (std::uint64_t left = bits_[node * words_ + w]; left != 0 && given < kMaxEcmp; ++given) {
        visit(w * 64 + static_cast<std::size_t>(__builtin_ctzll(left)));
        left &= left - 1;
      }
    }
  }
  std::size_t count(std::uint32_t node) const {
    std::size_t n = 0;
    for (std::size_t w = 0; w < words_; ++w) {
      n += static_cast<std::size_t>(__builtin_popcountll(bits_[node * words_ + w]));
    }
    return std::min(n, kMaxEcmp);
  }

 private:
  void clear(std::uint32_t node) {
    for (std::size_t w = 0; w < words_; ++w) bits_[node * words_ + w] = 0;
  }
  std::size_t words_;
  std::vector<std::uint64_t> bits_;
};

// The root's edges in FirstHop order, and the place of each in that order.
struct RootEdges {
  RootEdges(const Topology& topology, const Graph& graph, std::uint32_t root) {
    std::uint32_t begin = graph.first[root], end = graph.first[root + 1];
    for (std::uint32_t i = begin; i < end; ++i) {
      hops.push_back({graph.edges[i].link, topology.node(graph.edges[i].to)});
    }
    std::vector<FirstHop> unsorted = hops;
    std::sort(hops.begin(), hops.end());
    for (const FirstHop& hop : unsorted) {
      place.push_back(
          static_cast<std::size_t>(std::lower_bound(hops.begin(), hops.end(), hop) - hops.begin()));
    }
  }
  std::vector<FirstHop> hops;
  std::vector<std::size_t> place;
};

}  // namespace

SpfResult run_spf(const Topology& topology, NodeId root_id) {
  SpfResult result;
  result.root = root_id;
  result.destinations.resize(topology.node_count());
  std::uint32_t root = topology.index(root_id);
  if (root == Topology::kNone) return result;
  const Graph& graph = topology.graph();
  RootEdges own(topology, graph, root);
  HopSets sets(topology.node_count(), own.hops.size());
  std::vector<std::uint32_t> distance;
  QuadHeap heap;
  result.nodes_settled = dijkstra(graph, root, distance, heap,
                                  [&](std::uint32_t from, std::uint32_t edge, bool better) {
                                    std::uint32_t to = graph.edges[edge].to;
                                    if (from == root) {
                                      std::size_t hop = own.place[edge - graph.first[root]];
                                      better ? sets.set_one(to, hop) : sets.add_one(to, hop);
                                    } else {
                                      better ? sets.copy(to, from) : sets.merge(to, from);
                                    }
                                  });
  for (std::uint32_t i = 0; i < distance.size(); ++i) {
    Destination& d = result.destinations[i];
    d.distance = distance[i];
    if (i == root || d.distance == kUnreachable) continue;
    d.next_hops.reserve(sets.count(i));
    sets.for_each(i, [&](std::size_t hop) { d.next_hops.push_back(own.hops[hop]); });
  }
  return result;
}

std::vector<NodeId> shortest_path(const Topology& topology, NodeId from, NodeId to) {
  std::uint32_t root = topology.index(from), target = topology.index(to);
  if (root == Topology::kNone || target == Topology::kNone) return {};
  std::vector<std::uint32_t> distance, parent(topology.node_count(), Topology::kNone);
  QuadHeap heap;
  const Graph& graph = topology.graph();
  dijkstra(graph, root, distance, heap, [&](std::uint32_t at, std::uint32_t edge, bool better) {
    std::uint32_t& p = parent[graph.edges[edge].to];
    if (better || topology.node(at) < topology.node(p)) p = at;
  });
  if (distance[target] == kUnreachable) return {};
  std::vector<NodeId> path{to};
  for (std::uint32_t at = target; at != root;) {
    at = parent[at];
    path.push_back(topology.node(at));
  }
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<std::uint32_t> distances_from(const Topology& topology, NodeId root_id) {
  std::vector<std::uint32_t> distance(topology.node_count(), kUnreachable);
  std::uint32_t root = topology.index(root_id);
  if (root == Topology::kNone) return distance;
  QuadHeap heap;
  dijkstra(topology.graph(), root, distance, heap, [](std::uint32_t, std::uint32_t, bool) {});
  return distance;
}

}  // namespace dmsc::routing
