// Weights of groups: from distances and policies, and what policies change in them.
#include <algorithm>

#include "dmsc/routing/rib_impl.hpp"

namespace dmsc::routing {

std::uint32_t Rib::Impl::distance(NodeId node) const {
  if (node == self) return 0;
  return node.value < reach.size() ? reach[node.value].distance : kUnreachable;
}

const WeightPolicy* Rib::Impl::policy(std::uint32_t id) const {
  auto it = policy_by_id.find(id);
  return it == policy_by_id.end() ? nullptr : &it->second->weights;
}

// The policy of a prefix's own group, or one that was waiting for the prefix.
std::uint32_t Rib::Impl::policy_of(PrefixId prefix) const {
  InstanceGroupId group = prefixes.group(prefix);
  if (group != kNoInstanceGroup) return groups.policy(group);
  if (policies.empty()) return 0;
  auto name = Name::parse(prefixes.name(prefix));
  auto it = name ? policies.find(*name) : policies.end();
  return it == policies.end() ? 0 : it->second.id;
}

// The members' weights as they are now. A group of one egress has those it has while that egress
// can be reached, whatever the distance: so no change of topology ever touches it.
bool Rib::Impl::weigh_group(InstanceGroupId group, std::vector<std::uint32_t>& weights) const {
  const WeightPolicy* by = policy(groups.policy(group));
  if (!groups.several_egresses(group)) {
    return weigh(
        groups.members(group), by, tier_percent, [](NodeId) { return 0U; }, weights);
  }
  return weigh(
      groups.members(group), by, tier_percent, [this](NodeId node) { return distance(node); },
      weights);
}

void Rib::Impl::tell_group(InstanceGroupId group) {
  std::vector<std::uint32_t>& weights = scratch.weights;
  weigh_group(group, weights);
  std::span<const Member> members = groups.members(group);
  std::vector<GroupMember>& told = scratch.told;
  told.clear();
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& m = members[i];
    if (m.id == 0) continue;
    told.push_back(
        {NodeId{m.egress}, InstanceId{m.id}, weights[i], m.capacity == 0, m.covering != 0});
  }
  std::span<std::uint32_t> held = groups.weights(group);
  std::copy_n(weights.begin(), held.size(), held.begin());
  sink.group_added(group, any_covering(members), told);
}

void Rib::Impl::refresh_group(InstanceGroupId group) {
  std::vector<std::uint32_t> weights;
  weigh_group(group, weights);
  std::span<std::uint32_t> held = groups.weights(group);
  if (!held.empty() && std::equal(held.begin(), held.end(), weights.begin())) return;
  std::copy_n(weights.begin(), held.size(), held.begin());
  std::span<const Member> members = groups.members(group);
  std::size_t told = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].id != 0) weights[told++] = weights[i];
  }
  weights.resize(told);
  sink.group_weights(group, weights);
}

void Rib::Impl::route_to(PrefixId prefix, std::span<const Member> members,
                         std::uint32_t policy_id) {
  InstanceGroupId old = prefixes.group(prefix);
  bool added = false;
  InstanceGroupId next = groups.use(members, policy_id, added);
  if (added) tell_group(next);
  if (next == old) {
    groups.release(next);
    return;
  }
  prefixes.group(prefix) = next;
  sink.route_changed(prefixes.name(prefix), next);
  if (old == kNoInstanceGroup) return;
  if (groups.release(old)) released.push_back(old);
}

void Rib::set_weights(const WeightPolicy& policy) {
  Impl& rib = *impl_;
  auto [it, added] = rib.policies.try_emplace(policy.prefix);
  if (!added && policy.version < it->second.weights.version) return;
  it->second.weights = policy;
  if (added) {
    it->second.id = ++rib.last_policy;
    rib.policy_by_id[it->second.id] = &it->second;
  }
  Impl::PrefixId prefix = rib.prefixes.find(policy.prefix.text());
  if (prefix == PrefixTable::kNone) return;
  InstanceGroupId group = rib.prefixes.group(prefix);
  if (rib.groups.policy(group) == it->second.id) return rib.refresh_group(group);
  std::span<const Member> members = rib.groups.members(group);
  rib.scratch.members.assign(members.begin(), members.end());
  rib.route_to(prefix, rib.scratch.members, it->second.id);
  rib.finish();
}

void Rib::clear_weights(const Name& name) {
  Impl& rib = *impl_;
  auto it = rib.policies.find(name);
  if (it == rib.policies.end()) return;
  Impl::PrefixId prefix = rib.prefixes.find(name.text());
  if (prefix != PrefixTable::kNone) {
    std::span<const Member> members = rib.groups.members(rib.prefixes.group(prefix));
    rib.scratch.members.assign(members.begin(), members.end());
    rib.route_to(prefix, rib.scratch.members, 0);
    rib.finish();
  }
  rib.policy_by_id.erase(it->second.id);
  rib.policies.erase(it);
}

}  // namespace dmsc::routing
