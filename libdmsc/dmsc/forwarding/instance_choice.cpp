// Which instance of a prefix takes a new flow: by weight, or the less loaded of two drawn by
// weight.
#include <tuple>

#include "dmsc/forwarding/decision.hpp"
#include "dmsc/forwarding/name_hash.hpp"

namespace dmsc::forwarding {
namespace {

struct Candidates {
  const Fib& fib;
  Instances instances;
  Below below;

  bool usable(const InstanceEntry& instance) const {
    return (below == Below::no || instance.covering) && can_reach(fib, instance.egress);
  }

  std::uint64_t total_weight() const {
    std::uint64_t total = 0;
    for (const InstanceEntry& instance : instances) {
      if (instance.weight != 0 && usable(instance)) total += instance.weight;
    }
    return total;
  }

  // The instance at `point` of the usable ones laid end to end by weight, `skip` left out. Links
  // may die between counting and this: the last usable one seen then serves.
  const InstanceEntry* at(std::uint64_t point, const InstanceEntry* skip = nullptr) const {
    const InstanceEntry* last = nullptr;
    for (const InstanceEntry& instance : instances) {
      if (&instance == skip || instance.weight == 0 || !usable(instance)) continue;
      last = &instance;
      if (point < instance.weight) break;
      point -= instance.weight;
    }
    return last;
  }

  // For when no usable instance has weight.
  const InstanceEntry* last_resort() const {
    const InstanceEntry* best = nullptr;
    std::uint32_t best_distance = 0;
    for (const InstanceEntry& i : instances) {
      if (!usable(i)) continue;
      const NodeRoute route = fib.node(i.egress);
      std::uint32_t distance = route ? route.distance : kNone;
      if (best == nullptr ||
          std::tie(i.draining, distance) < std::tie(best->draining, best_distance)) {
        best = &i;
        best_distance = distance;
      }
    }
    return best;
  }
  static constexpr std::uint32_t kNone = ~0U;
};

}  // namespace

bool can_reach(const Fib& fib, NodeId node) {
  const NodeRoute route = fib.node(node);
  if (!route) return false;
  if (route.next_hops().empty() && route.distance == 0) return true;
  for (const NextHop& hop : route.next_hops()) {
    if (fib.link_alive(hop.link)) return true;
  }
  return route.alternate() && fib.link_alive(route.alternate()->link);
}

bool serves(const Fib& fib, Instances instances, NodeId egress, InstanceId id) {
  for (const InstanceEntry& instance : instances) {
    if (instance.egress == egress && instance.id == id) return static_cast<bool>(fib.node(egress));
  }
  return false;
}

const InstanceEntry* choose_instance(const Fib& fib, Instances instances, std::uint64_t flow,
                                     Below below, const InstanceLoad* load) {
  Candidates candidates{fib, instances, below};
  std::uint64_t total = candidates.total_weight();
  if (total == 0) return candidates.last_resort();
  std::uint64_t hash = mix(flow);
  const InstanceEntry* first = candidates.at(hash % total);
  if (load == nullptr || first == nullptr || total <= first->weight) return first;
  const InstanceEntry* second = candidates.at(mix(~hash) % (total - first->weight), first);
  if (second == nullptr) return first;
  __extension__ typedef unsigned __int128 Wide;  // NOLINT: __extension__ needs the old form
  bool second_freer =
      Wide(load->load(*second)) * first->weight < Wide(load->load(*first)) * second->weight;
  return second_freer ? second : first;
}

const InstanceEntry* nearest_instance(const Fib& fib, NodeId self, Instances instances,
                                      Below below) {
  const InstanceEntry* best = nullptr;
  std::uint32_t best_distance = 0;
  for (const InstanceEntry& i : instances) {
    if (below == Below::yes && !i.covering) continue;
    std::uint32_t distance = 0;
    if (i.egress != self) {
      const NodeRoute route = fib.node(i.egress);
      if (!route) continue;
      distance = route.distance;
    }
    if (best == nullptr || std::tie(i.draining, distance, i.egress) <
                               std::tie(best->draining, best_distance, best->egress)) {
      best = &i;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace dmsc::forwarding
