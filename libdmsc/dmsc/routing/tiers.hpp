// How the instances of one prefix share its traffic (DESIGN section 5).
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "dmsc/routing/rib.hpp"

namespace dmsc::routing {

using DistanceOf = std::function<std::uint32_t(NodeId)>;  // kUnreachable: not now

// The weights of a group's members. They are the policy's if it gives any reachable instance that
// is not draining a share; else the capacities of the instances within `tier_percent` of the
// nearest such instance, and 0 for all others. True if they are the policy's.
bool weigh(std::span<const Member> members, const WeightPolicy* policy, unsigned tier_percent,
           const DistanceOf& distance, std::vector<std::uint32_t>& weights);

// The reachable members as choices, by distance, then node, then instance.
void choose(std::span<const Member> members, const WeightPolicy* policy, unsigned tier_percent,
            const DistanceOf& distance, RibRoute& route);

}  // namespace dmsc::routing
