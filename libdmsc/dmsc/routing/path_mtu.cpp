#include "dmsc/routing/path_mtu.hpp"

#include <algorithm>
#include <functional>

namespace dmsc::routing {
namespace {

constexpr std::uint16_t kAny = 0xffff;

// The least on all shortest paths of one root, by node index; kAny for the root and what it does not
// reach. Metrics are positive: in the order of distance all that leads to a node is final before it.
std::vector<std::uint16_t> along_shortest_paths(
    const Topology& topology, const LinkMtus& links, std::uint32_t root,
    const std::function<std::uint32_t(std::uint32_t)>& distance) {
  std::vector<std::uint16_t> least(topology.node_count(), kAny);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> order;  // distance, node
  for (std::uint32_t i = 0; i < topology.node_count(); ++i) {
    if (distance(i) != kUnreachable) order.emplace_back(distance(i), i);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [far, node] : order) {
    if (node != root && !topology.transit_allowed(node)) continue;
    for (const Edge& edge : topology.edges(node)) {
      if (std::uint64_t{far} + edge.metric != distance(edge.to)) continue;
      std::uint16_t link = links.of(topology.node(node), edge.link);
      least[edge.to] = std::min({least[edge.to], least[node], link});
    }
  }
  return least;
}

// Own alternates, by the neighbour they lead to.
std::map<std::uint32_t, std::vector<std::uint32_t>> by_alternate(const Topology& topology,
                                                                 const Spf& spf) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> out;
  for (std::uint32_t i = 0; i < topology.node_count(); ++i) {
    const auto& alternate = spf.groups()[spf.group(i)].alternate;
    if (!alternate) continue;
    std::uint32_t next = topology.index(alternate->neighbour);
    if (next != Topology::kNone) out[next].push_back(i);
  }
  return out;
}

void lower(PathMtuTable& table, NodeId node, std::uint16_t mtu) {
  if (node.value >= table.by_node.size()) table.by_node.resize(node.value + 1, 0);
  std::uint16_t& held = table.by_node[node.value];
  if (held == 0 || mtu < held) held = mtu;
}

void follow_alternates(PathMtuTable& table, const Topology& topology, const Spf& spf,
                       const LinkMtus& links) {
  for (const auto& [next, nodes] : by_alternate(topology, spf)) {
    auto distances = distances_from(topology, topology.node(next));
    auto beyond = along_shortest_paths(topology, links, next,
                                       [&](std::uint32_t i) { return distances[i]; });
    for (std::uint32_t node : nodes) {
      const auto& alternate = spf.groups()[spf.group(node)].alternate;
      std::uint16_t first = links.of(spf.root(), alternate->link);
      lower(table, topology.node(node), std::min(first, beyond[node]));
    }
  }
}

}  // namespace

bool LinkMtus::replace(const std::pair<NodeId, std::uint16_t>& key, Told told) {
  auto it = told_.find(key);
  bool same = it == told_.end() ? told.empty() : it->second == told;
  if (same) return false;
  if (told.empty()) {
    told_.erase(it);
  } else {
    told_[key] = std::move(told);
  }
  return true;
}

bool LinkMtus::set(NodeId origin, std::uint16_t fragment, const wire::NodeBody& body) {
  auto named = wire::link_mtus_of(body);
  Told told = named ? std::move(*named) : Told{};
  std::stable_sort(told.begin(), told.end(), [](const wire::LinkMtu& a, const wire::LinkMtu& b) {
    return std::pair(a.link, a.mtu) < std::pair(b.link, b.mtu);
  });
  return replace({origin, fragment}, std::move(told));
}

bool LinkMtus::remove(NodeId origin, std::uint16_t fragment) {
  return replace({origin, fragment}, {});
}

std::uint16_t LinkMtus::of(NodeId origin, std::uint32_t link) const {
  for (auto it = told_.lower_bound({origin, 0}); it != told_.end() && it->first.first == origin; ++it) {
    auto at = std::lower_bound(it->second.begin(), it->second.end(), link,
                               [](const wire::LinkMtu& l, std::uint32_t id) { return l.link < id; });
    if (at != it->second.end() && at->link == link) return at->mtu;
  }
  return wire::kUntoldLinkMtu;
}

std::uint16_t LinkMtus::between(const Topology& topology, NodeId from, NodeId to) const {
  std::uint32_t at = topology.index(from), next = topology.index(to);
  std::uint16_t least = kAny;
  if (at != Topology::kNone) {
    for (const Edge& edge : topology.edges(at)) {
      if (edge.to == next) least = std::min(least, of(from, edge.link));
    }
  }
  return least == kAny ? wire::kUntoldLinkMtu : least;
}

PathMtuTable path_mtus(const Topology& topology, const Spf& spf, const LinkMtus& links,
                       const std::vector<LabelledPath>& paths) {
  PathMtuTable table;
  if (links.all_untold()) return table;
  table.others = wire::kLeastLinkMtu;
  std::uint32_t root = topology.index(spf.root());
  if (root == Topology::kNone) return table;
  auto least = along_shortest_paths(topology, links, root,
                                    [&](std::uint32_t i) { return spf.distance(i); });
  for (std::uint32_t i = 0; i < least.size(); ++i) {
    if (least[i] != kAny) lower(table, topology.node(i), least[i]);
  }
  follow_alternates(table, topology, spf, links);
  for (const LabelledPath& path : paths) {
    for (std::size_t i = 0; i + 1 < path.nodes->size(); ++i) {
      lower(table, path.egress, links.between(topology, (*path.nodes)[i], (*path.nodes)[i + 1]));
    }
  }
  return table;
}

}  // namespace dmsc::routing
