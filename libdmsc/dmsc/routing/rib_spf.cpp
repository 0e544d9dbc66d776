// Destinations: what each step of Spf changes, and the groups whose weights hang on distances.
#include <algorithm>

#include "dmsc/routing/rib_impl.hpp"

namespace dmsc::routing {

Rib::Impl::Reach& Rib::Impl::reach_of(NodeId node) {
  if (node.value >= reach.size()) reach.resize(node.value + 1);
  return reach[node.value];
}

// True if the id meant other ways before, so that its destinations have to be told anew.
bool Rib::Impl::tell_ways(GroupId id, const NextHopGroup& group) {
  if (id >= ways.size()) ways.resize(id + 1);
  Ways& held = ways[id];
  if (held.told && held.group == group) return false;
  bool other = std::exchange(held.told, true);
  held.group = group;
  sink.next_hops_added(id, group);
  return other;
}

void Rib::Impl::forget_ways(GroupId id) {
  if (id >= ways.size() || !ways[id].told) return;  // made and dropped within one step
  ways[id] = {};
  sink.next_hops_removed(id);
}

void Rib::Impl::move(NodeId node, Reach to, bool told_anew) {
  ++destinations_seen;
  if (node == self) to = {0, kNoGroup};
  Reach& held = reach_of(node);
  bool farther_or_nearer = held.distance != to.distance;
  if (!farther_or_nearer && held.next_hops == to.next_hops && !told_anew) return;
  if (farther_or_nearer) {
    const std::vector<InstanceGroupId>& shared = groups.with_egress(node.value);
    touched.insert(touched.end(), shared.begin(), shared.end());
  }
  held = to;
  if (to.distance != kUnreachable) {
    sink.destination_changed(node, to.distance, to.next_hops);
  } else if (farther_or_nearer) {
    lost.push_back(node);
  }
}

// Weights, then what cannot be reached any more.
void Rib::Impl::finish_spf() {
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (InstanceGroupId group : touched) refresh_group(group);
  touched.clear();
  for (NodeId node : lost) sink.destination_removed(node);
  lost.clear();
}

void Rib::set_spf(const Topology& topology, const Spf& spf) {
  Impl& rib = *impl_;
  if (rib.reach_of(rib.self).distance != 0) rib.move(rib.self, {0, kNoGroup}, false);
  if (spf.steps() == rib.spf_steps) return rib.finish_spf();
  bool follows = spf.steps() == rib.spf_steps + 1;
  rib.spf_steps = spf.steps();
  const NextHopGroups& groups = spf.groups();
  if (follows) {
    for (GroupId id : groups.added()) rib.tell_ways(id, groups[id]);
    for (std::uint32_t node : spf.changed()) {
      rib.move(topology.node(node), {spf.distance(node), spf.group(node)}, false);
    }
    rib.finish_spf();
    for (GroupId id : groups.retired()) rib.forget_ways(id);
    return;
  }
  std::vector<bool> other(groups.limit());
  for (GroupId id = 1; id < groups.limit(); ++id) {
    if (groups.in_use(id)) other[id] = rib.tell_ways(id, groups[id]);
  }
  for (std::uint32_t node = 0; node < topology.node_count(); ++node) {
    GroupId group = spf.group(node);
    rib.move(topology.node(node), {spf.distance(node), group}, other[group]);
  }
  rib.finish_spf();
  for (GroupId id = 1; id < rib.ways.size(); ++id) {
    if (id >= groups.limit() || !groups.in_use(id)) rib.forget_ways(id);
  }
}

std::optional<Destination> Rib::destination(NodeId node) const {
  if (distance(node) == kUnreachable) return std::nullopt;
  Destination out;
  out.distance = distance(node);
  GroupId group = node == impl_->self ? kNoGroup : impl_->reach[node.value].next_hops;
  if (group == kNoGroup) return out;
  const NextHopGroup& ways = impl_->ways[group].group;
  out.next_hops = ways.next_hops;
  out.alternate = ways.alternate;
  out.protection = ways.protection;
  return out;
}

std::uint32_t Rib::distance(NodeId node) const {
  const Impl& rib = *impl_;
  return node.value < rib.reach.size() ? rib.reach[node.value].distance : kUnreachable;
}

std::uint64_t Rib::destinations_seen() const { return impl_->destinations_seen; }

}  // namespace dmsc::routing
