#include "dmsc/routing/path_check.hpp"

#include <algorithm>

namespace dmsc::routing {
namespace {

using Kind = PathObstacle::Kind;

constexpr std::uint32_t kDrainedMetric = (1U << 24) - 1;  // docs/protocol.md, "Drain"

bool drained(const Edge& edge) { return edge.metric == kDrainedMetric; }

std::optional<Kind> obstacle_at(const Topology& topology, NodeId from, NodeId to, bool ingress) {
  std::uint32_t at = topology.index(from), next = topology.index(to);
  if (at == Topology::kNone || next == Topology::kNone) return Kind::no_link;
  if (!ingress && !topology.transit_allowed(at)) return Kind::no_transit;
  std::vector<Edge> edges = topology.edges(at);
  bool node_drains = std::all_of(edges.begin(), edges.end(), drained);
  edges.erase(std::remove_if(edges.begin(), edges.end(),
                             [next](const Edge& edge) { return edge.to != next; }),
              edges.end());
  if (edges.empty()) return Kind::no_link;
  if (!std::all_of(edges.begin(), edges.end(), drained)) return std::nullopt;
  if (!node_drains) return Kind::drained_link;
  return ingress ? std::nullopt : std::optional(Kind::drained_node);
}

}  // namespace

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::no_link: return "no usable link";
    case Kind::drained_link: return "link is drained";
    case Kind::drained_node: return "node is drained";
    case Kind::no_transit: return "node takes no transit traffic";
  }
  return "?";
}

std::optional<PathObstacle> find_obstacle(const Topology& topology,
                                          const std::vector<NodeId>& nodes) {
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    if (auto kind = obstacle_at(topology, nodes[i], nodes[i + 1], i == 0)) {
      return PathObstacle{*kind, nodes[i], nodes[i + 1]};
    }
  }
  return std::nullopt;
}

}  // namespace dmsc::routing
