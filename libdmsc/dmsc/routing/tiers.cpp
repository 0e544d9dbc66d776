#include "dmsc/routing/tiers.hpp"

#include <algorithm>
#include <tuple>

namespace dmsc::routing {
namespace {

bool weigh_by_policy(std::span<const Member> members, const WeightPolicy& policy,
                     const DistanceOf& distance, std::vector<std::uint32_t>& weights) {
  bool any = false;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& m = members[i];
    auto it = policy.weights.find({NodeId{m.egress}, InstanceId{m.id}});
    if (it == policy.weights.end() || m.capacity == 0) continue;
    if (distance(NodeId{m.egress}) == kUnreachable) continue;
    weights[i] = it->second;
    any = any || it->second != 0;
  }
  if (!any) std::fill(weights.begin(), weights.end(), 0U);
  return any;
}

void weigh_by_distance(std::span<const Member> members, unsigned tier_percent,
                       const DistanceOf& distance, std::vector<std::uint32_t>& weights) {
  std::uint32_t nearest = kUnreachable;
  for (const Member& m : members) {
    if (m.capacity != 0) nearest = std::min(nearest, distance(NodeId{m.egress}));
  }
  if (nearest == kUnreachable) return;
  std::uint64_t limit = std::uint64_t{nearest} * (100 + tier_percent);
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::uint32_t d = distance(NodeId{members[i].egress});
    if (d != kUnreachable && std::uint64_t{d} * 100 <= limit) weights[i] = members[i].capacity;
  }
}

}  // namespace

bool weigh(std::span<const Member> members, const WeightPolicy* policy, unsigned tier_percent,
           const DistanceOf& distance, std::vector<std::uint32_t>& weights) {
  weights.assign(members.size(), 0);
  if (policy != nullptr && weigh_by_policy(members, *policy, distance, weights)) return true;
  weigh_by_distance(members, tier_percent, distance, weights);
  return false;
}

void choose(std::span<const Member> members, const WeightPolicy* policy, unsigned tier_percent,
            const DistanceOf& distance, RibRoute& route) {
  std::vector<std::uint32_t> weights;
  route.from_policy = weigh(members, policy, tier_percent, distance, weights);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& m = members[i];
    route.covering = route.covering || m.covering != 0;
    std::uint32_t d = distance(NodeId{m.egress});
    if (m.id == 0 || d == kUnreachable) continue;
    route.choices.push_back(
        {{NodeId{m.egress}, InstanceId{m.id}}, d, weights[i], m.capacity == 0, m.covering != 0});
  }
  std::sort(route.choices.begin(), route.choices.end(), [](const auto& a, const auto& b) {
    return std::tie(a.distance, a.instance) < std::tie(b.distance, b.instance);
  });
}

}  // namespace dmsc::routing
