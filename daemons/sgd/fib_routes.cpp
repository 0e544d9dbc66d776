#include "sgd/fib_routes.hpp"

#include <algorithm>

namespace dmsc::sgd {

using forwarding::InstanceEntry;

CallRoutes::Choice FibRoutes::choose(std::string_view name, std::uint64_t flow,
                                     const std::vector<Pin>& avoid) {
  const forwarding::Match match = fib_.match(name);
  if (!match) {
    bool gone = fib_.withdrawn(name);
    return {false, {}, gone ? wire::ErrorCode::no_instance : wire::ErrorCode::no_route};
  }
  const forwarding::Below below = forwarding::is_below(match, name);
  forwarding::Instances instances = match->instances();
  std::vector<InstanceEntry> rest;
  if (!avoid.empty()) {  // a second try: rare, so a copy of the group may cost
    for (const InstanceEntry& e : instances) {
      if (std::find(avoid.begin(), avoid.end(), Pin{e.egress, e.id}) == avoid.end()) {
        rest.push_back(e);
      }
    }
    instances = rest;
  }
  const InstanceEntry* chosen = forwarding::choose_instance(fib_, instances, flow, below, this);
  if (chosen == nullptr) return {false, {}, wire::ErrorCode::no_instance};
  return {true, {chosen->egress, chosen->id}, wire::ErrorCode::no_route};
}

void FibRoutes::flow_closed(const Pin& pin) {
  auto it = open_.find(pin);
  if (it != open_.end() && --it->second == 0) open_.erase(it);
}

std::uint64_t FibRoutes::load(const InstanceEntry& instance) const {
  auto it = open_.find({instance.egress, instance.id});
  return it == open_.end() ? 0 : it->second;
}

}  // namespace dmsc::sgd
