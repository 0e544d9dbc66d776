// How the instances of one prefix share its traffic (DESIGN section 5).
#pragma once
#include <functional>
#include <vector>

#include "dmsc/routing/rib.hpp"

namespace dmsc::routing {

// What one gateway announces for a prefix.
struct Source {
  NodeId origin;
  bool covering = false;
  std::vector<wire::PrefixInstance> instances;
  friend bool operator==(const Source&, const Source&) = default;
};

// The route of a prefix from what its gateways announce. Weights are the policy's if it gives any
// reachable instance that is not draining a share; else the capacities of the instances within
// `tier_percent` of the nearest such instance, and 0 for all others.
RibRoute make_route(const Name& prefix, const std::vector<Source>& sources,
                    const WeightPolicy* policy, unsigned tier_percent,
                    const std::function<std::uint32_t(NodeId)>& distance);

}  // namespace dmsc::routing
