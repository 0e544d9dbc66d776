// May an explicit path of the scheduling center be used now? Its label leads along links that SPF
// would not take, so what SPF does by itself has to be asked for: that every link of the path is
// there, and that nobody drains a node or a link of it.
#pragma once
#include <optional>
#include <vector>

#include "dmsc/routing/topology.hpp"

namespace dmsc::routing {

struct PathObstacle {
  enum class Kind { no_link, drained_link, drained_node, no_transit };
  Kind kind = Kind::no_link;
  NodeId node, next;  // the step of the path where it is; a node's obstacle is at `node`
  friend bool operator==(const PathObstacle&, const PathObstacle&) = default;
};
const char* to_string(PathObstacle::Kind kind);

// The first obstacle on the way of `nodes`, ingress first, egress last. Drains of the ingress itself
// and of the egress are none: traffic begins and ends there all the same.
std::optional<PathObstacle> find_obstacle(const Topology& topology,
                                          const std::vector<NodeId>& nodes);

}  // namespace dmsc::routing
