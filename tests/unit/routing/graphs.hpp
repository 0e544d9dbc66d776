// Topologies for tests, and oracles that share no code with the room.
#pragma once
#include <map>
#include <random>
#include <set>
#include <vector>

#include "dmsc/routing/rib.hpp"
#include "dmsc/routing/spf.hpp"

namespace dmsc::routing {

inline wire::Adjacency adjacency(std::uint32_t to, std::uint32_t link, std::uint32_t their_link,
                                 std::uint32_t metric) {
  wire::Adjacency a;
  a.neighbour = NodeId{to};
  a.link = link;
  a.neighbour_link = their_link;
  a.metric = metric;
  a.flags = wire::kAdjacencyUsable;
  return a;
}

// Node bodies by id, changed link by link, then given to a Topology.
struct TestNetwork {
  std::map<std::uint32_t, wire::NodeBody> bodies;
  std::uint32_t links = 0;

  // Both directions of a new link, with the same id at both ends. Returns that id.
  std::uint32_t connect(std::uint32_t a, std::uint32_t b, std::uint32_t metric,
                        std::uint32_t back = 0) {
    std::uint32_t link = ++links;
    bodies[a].adjacencies.push_back(adjacency(b, link, link, metric));
    bodies[b].adjacencies.push_back(adjacency(a, link, link, back == 0 ? metric : back));
    return link;
  }
  Topology topology() const {
    Topology t;
    for (const auto& [id, body] : bodies) t.set(NodeId{id}, 0, body);
    return t;
  }
};

inline TestNetwork random_network(std::mt19937& random, std::uint32_t nodes,
                                  std::uint32_t metrics = 4) {
  TestNetwork net;
  auto metric = [&] { return 1 + static_cast<std::uint32_t>(random() % metrics); };
  for (std::uint32_t i = 1; i <= nodes; ++i) {
    net.bodies[i].no_transit = random() % 6 == 0;
    net.bodies[i].overload = random() % 12 == 0;
  }
  std::uint32_t extra = static_cast<std::uint32_t>(random() % (2 * nodes));
  for (std::uint32_t i = 2; i <= nodes; ++i) {
    net.connect(i, 1 + static_cast<std::uint32_t>(random() % (i - 1)), metric(), metric());
  }
  for (std::uint32_t i = 0; i < extra; ++i) {
    auto a = 1 + static_cast<std::uint32_t>(random() % nodes);
    auto b = 1 + static_cast<std::uint32_t>(random() % nodes);
    if (a != b) net.connect(a, b, metric(), random() % 2 == 0 ? metric() : 0);
  }
  return net;
}

// One run with everything per destination, by Topology node index.
struct SpfResult {
  NodeId root;
  std::vector<Destination> destinations;
  std::uint64_t nodes_settled = 0;
};

inline SpfResult expand(const Topology& topology, const Spf& spf) {
  SpfResult result{spf.root(), std::vector<Destination>(topology.node_count()), spf.last_work()};
  for (std::uint32_t i = 0; i < result.destinations.size(); ++i) {
    const NextHopGroup& group = spf.groups()[spf.group(i)];
    result.destinations[i] = {spf.distance(i), group.next_hops, group.alternate, group.protection};
  }
  return result;
}

inline SpfResult run_spf(const Topology& topology, NodeId root, bool alternates = false) {
  Spf spf(root);
  spf.update(topology);
  if (alternates) spf.update_alternates(topology);
  return expand(topology, spf);
}

// Bellman-Ford straight from the bodies: distances and next hops of every pair.
class Oracle {
 public:
  static constexpr std::uint64_t kFar = ~0ULL / 4;
  explicit Oracle(const TestNetwork& net) : net_(net) {
    for (const auto& [root, body] : net.bodies) {
      auto& d = distance_[root];
      for (const auto& [id, other] : net.bodies) d[id] = id == root ? 0 : kFar;
      for (std::size_t round = 0; round < net.bodies.size(); ++round) {
        for (const auto& [id, other] : net.bodies) {
          if (id != root && !transit(id)) continue;
          for (const wire::Adjacency& a : other.adjacencies) {
            d[a.neighbour.value] = std::min(d[a.neighbour.value], d[id] + a.metric);
          }
        }
      }
    }
  }
  bool transit(std::uint32_t id) const {
    const wire::NodeBody& body = net_.bodies.at(id);
    return !body.no_transit && !body.overload;
  }
  std::uint64_t distance(std::uint32_t from, std::uint32_t to) const {
    return distance_.at(from).at(to);
  }
  std::set<FirstHop> next_hops(std::uint32_t from, std::uint32_t to) const {
    std::set<FirstHop> out;
    if (from == to || distance(from, to) >= kFar) return out;
    for (const wire::Adjacency& a : net_.bodies.at(from).adjacencies) {
      std::uint32_t n = a.neighbour.value;
      if (n != to && !transit(n)) continue;
      if (a.metric + distance(n, to) == distance(from, to)) out.insert({a.link, a.neighbour});
    }
    return out;
  }
  // Every node a packet may visit on its way, both ends included, following all equal-cost hops.
  std::set<std::uint32_t> visited(std::uint32_t from, std::uint32_t to) const {
    std::set<std::uint32_t> seen{from};
    std::vector<std::uint32_t> todo{from};
    while (!todo.empty()) {
      std::uint32_t at = todo.back();
      todo.pop_back();
      for (const FirstHop& hop : next_hops(at, to)) {
        if (seen.insert(hop.neighbour.value).second) todo.push_back(hop.neighbour.value);
      }
    }
    return seen;
  }

 private:
  const TestNetwork& net_;
  std::map<std::uint32_t, std::map<std::uint32_t, std::uint64_t>> distance_;
};

}  // namespace dmsc::routing
