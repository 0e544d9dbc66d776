#include "dmsc/routing/tiers.hpp"

#include <algorithm>
#include <tuple>

namespace dmsc::routing {
namespace {

struct Candidate {
  InstanceChoice choice;
  std::uint32_t capacity = 0;
};

std::vector<Candidate> reachable(const std::vector<Source>& sources,
                                 const std::function<std::uint32_t(NodeId)>& distance) {
  std::vector<Candidate> out;
  for (const Source& source : sources) {
    std::uint32_t d = distance(source.origin);
    if (d == kUnreachable) continue;
    for (const wire::PrefixInstance& i : source.instances) {
      InstanceChoice choice{{source.origin, i.id}, d, 0, i.capacity == 0, source.covering};
      out.push_back({choice, i.capacity});
    }
  }
  std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.choice.distance, a.choice.instance) <
           std::tie(b.choice.distance, b.choice.instance);
  });
  return out;
}

// True if the policy gave somebody a share.
bool weigh_by_policy(std::vector<Candidate>& candidates, const WeightPolicy& policy) {
  bool any = false;
  for (Candidate& c : candidates) {
    auto it = policy.weights.find(c.choice.instance);
    if (it == policy.weights.end() || c.choice.draining) continue;
    c.choice.weight = it->second;
    any = any || it->second != 0;
  }
  return any;
}

void weigh_by_distance(std::vector<Candidate>& candidates, unsigned tier_percent) {
  auto nearest = std::find_if(candidates.begin(), candidates.end(),
                              [](const Candidate& c) { return !c.choice.draining; });
  if (nearest == candidates.end()) return;
  std::uint64_t limit = std::uint64_t{nearest->choice.distance} * (100 + tier_percent);
  for (Candidate& c : candidates) {
    if (std::uint64_t{c.choice.distance} * 100 <= limit) c.choice.weight = c.capacity;
  }
}

}  // namespace

RibRoute make_route(const Name& prefix, const std::vector<Source>& sources,
                    const WeightPolicy* policy, unsigned tier_percent,
                    const std::function<std::uint32_t(NodeId)>& distance) {
  RibRoute route;
  route.prefix = prefix;
  route.covering =
      std::any_of(sources.begin(), sources.end(), [](const Source& s) { return s.covering; });
  std::vector<Candidate> candidates = reachable(sources, distance);
  route.from_policy = policy != nullptr && weigh_by_policy(candidates, *policy);
  if (!route.from_policy) weigh_by_distance(candidates, tier_percent);
  for (const Candidate& c : candidates) route.choices.push_back(c.choice);
  return route;
}

}  // namespace dmsc::routing
