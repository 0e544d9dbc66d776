#include "sgd/fib_routes.hpp"

#include <algorithm>

namespace dmsc::sgd {

using forwarding::InstanceEntry;
using forwarding::InstanceGroup;

CallRoutes::Choice FibRoutes::choose(std::string_view name, std::uint64_t flow,
                                     const std::vector<Pin>& avoid) {
  const InstanceGroup* group = fib_.match(name);
  if (group == nullptr) return {false, {}, wire::ErrorCode::no_route};
  const forwarding::Below below = forwarding::is_below(*group, name);
  InstanceGroup rest;
  if (!avoid.empty()) {  // a second try: rare, so a copy of the group may cost
    rest = *group;
    rest.instances.erase(std::remove_if(rest.instances.begin(), rest.instances.end(),
                                        [&](const InstanceEntry& e) {
                                          return std::find(avoid.begin(), avoid.end(),
                                                           Pin{e.egress, e.id}) != avoid.end();
                                        }),
                         rest.instances.end());
    rest.total_weight = 0;
    for (const InstanceEntry& e : rest.instances) rest.total_weight += e.weight;
    group = &rest;
  }
  const InstanceEntry* chosen = forwarding::choose_instance(fib_, *group, flow, below, this);
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
