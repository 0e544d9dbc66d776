#include "sgd/fib_routes.hpp"

#include <algorithm>

namespace dmsc::sgd {
namespace {

// splitmix64: an independent second draw from the same flow id.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace

const forwarding::InstanceEntry* FibRoutes::draw(const forwarding::InstanceGroup& group,
                                                 std::uint64_t flow,
                                                 const std::vector<Pin>& avoid) const {
  auto usable = [&](const forwarding::InstanceEntry& e) -> std::uint64_t {
    const bool avoided = std::find(avoid.begin(), avoid.end(), Pin{e.egress, e.id}) != avoid.end();
    if (avoided || (e.egress != self_ && fib_.node(e.egress) == nullptr)) return 0;
    return e.weight;
  };
  std::uint64_t total = 0;
  for (const auto& entry : group.instances) total += usable(entry);
  if (total == 0) return nullptr;
  std::uint64_t at = mix(flow) % total;
  for (const auto& entry : group.instances) {
    const std::uint64_t weight = usable(entry);
    if (at < weight) return &entry;
    at -= weight;
  }
  return nullptr;
}

double FibRoutes::load(const forwarding::InstanceEntry& entry) const {
  auto it = load_.find({entry.egress, entry.id});
  return it == load_.end() ? 0.0 : double(it->second) / double(entry.weight);
}

CallRoutes::Choice FibRoutes::choose(std::string_view name, std::uint64_t flow,
                                     const std::vector<Pin>& avoid) {
  const forwarding::InstanceGroup* group = fib_.match(name);
  if (group == nullptr) return {false, {}, wire::ErrorCode::no_route};
  const auto* first = draw(*group, flow, avoid);
  if (first == nullptr) return {false, {}, wire::ErrorCode::no_instance};
  const auto* second = draw(*group, mix(flow), avoid);
  const auto* chosen = load(*second) < load(*first) ? second : first;
  return {true, {chosen->egress, chosen->id}, wire::ErrorCode::no_route};
}

void FibRoutes::flow_closed(const Pin& pin) {
  auto it = load_.find(pin);
  if (it != load_.end() && --it->second == 0) load_.erase(it);
}

}  // namespace dmsc::sgd
