// Loop-free alternates (RFC 5286) for the case that every next hop of a destination is lost.
//
// S is the root, N a neighbour, E the primary neighbours, D the destination, d() distances under
// the transit rule. With d(N,D) < d(N,S) + d(S,D) no shortest path of N to D comes back through S,
// so N protects against loss of the links. With d(N,D) < d(N,E) + d(E,D) for every E as well, none
// passes a primary neighbour: N protects against their loss too.
#include <algorithm>
#include <map>
#include <tuple>

#include "dmsc/routing/spf.hpp"

namespace dmsc::routing {
namespace {

// One SPF per neighbour of the root, whatever the number of links to it.
struct Neighbour {
  NodeId id;
  std::uint32_t index = 0;
  bool transit = false;
  std::vector<std::uint32_t> distance;
};
struct Candidate {
  FirstHop hop;
  std::uint32_t metric = 0;
  const Neighbour* neighbour = nullptr;
};

bool shorter(std::uint64_t a, std::uint32_t b, std::uint32_t c) {
  if (b == kUnreachable || c == kUnreachable) return true;
  return a < std::uint64_t{b} + c;
}

class AlternateFinder {
 public:
  AlternateFinder(const Topology& topology, SpfResult& result)
      : result_(result),
        root_(topology.index(result.root)),
        root_transit_(topology.transit_allowed(root_)) {
    for (const Edge& edge : topology.edges(root_)) {
      NodeId id = topology.node(edge.to);
      auto [it, added] = neighbours_.try_emplace(id);
      if (added) {
        it->second = {id, edge.to, topology.transit_allowed(edge.to), distances_from(topology, id)};
      }
      candidates_.push_back({{edge.link, id}, edge.metric, &it->second});
    }
  }

  void find(std::uint32_t index) {
    Destination& d = result_.destinations[index];
    d.alternate.reset();
    d.protection = Protection::none;
    if (index == root_ || d.distance == kUnreachable) return;
    auto best = std::tuple(false, ~std::uint64_t{0}, NodeId{}, std::uint32_t{0});
    for (const Candidate& c : candidates_) {
      if (!protects_links(c, d, index)) continue;
      bool node = protects_nodes(c, d, index);
      std::uint64_t cost = std::uint64_t{c.metric} + c.neighbour->distance[index];
      auto rank = std::tuple(!node, cost, c.hop.neighbour, c.hop.link);
      if (d.alternate && best <= rank) continue;
      best = rank;
      d.alternate = c.hop;
      d.protection = node ? Protection::node : Protection::link;
    }
  }

 private:
  bool protects_links(const Candidate& c, const Destination& d, std::uint32_t index) const {
    const Neighbour& n = *c.neighbour;
    if (n.index != index && !n.transit) return false;
    if (n.distance[index] == kUnreachable) return false;
    if (std::binary_search(d.next_hops.begin(), d.next_hops.end(), c.hop)) return false;
    return !root_transit_ || shorter(n.distance[index], n.distance[root_], d.distance);
  }
  bool protects_nodes(const Candidate& c, const Destination& d, std::uint32_t index) const {
    return std::all_of(d.next_hops.begin(), d.next_hops.end(), [&](const FirstHop& primary) {
      const Neighbour& e = neighbours_.at(primary.neighbour);
      return e.index != index && e.index != c.neighbour->index &&
             shorter(c.neighbour->distance[index], c.neighbour->distance[e.index],
                     e.distance[index]);
    });
  }

  SpfResult& result_;
  std::uint32_t root_;
  bool root_transit_;
  std::map<NodeId, Neighbour> neighbours_;
  std::vector<Candidate> candidates_;
};

}  // namespace

void add_alternates(const Topology& topology, SpfResult& result) {
  if (topology.index(result.root) == Topology::kNone) return;
  AlternateFinder finder(topology, result);
  for (std::uint32_t i = 0; i < result.destinations.size(); ++i) finder.find(i);
}

}  // namespace dmsc::routing
