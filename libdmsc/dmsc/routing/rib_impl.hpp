// The state of the Rib, by file: rib_sources.cpp (what origins announce), rib_groups.cpp (weights,
// policies, SPF), rib.cpp (look-ups).
#pragma once
#include <algorithm>
#include <unordered_map>

#include "dmsc/routing/instance_groups.hpp"
#include "dmsc/routing/prefix_table.hpp"
#include "dmsc/routing/tiers.hpp"

namespace dmsc::routing {

struct Rib::Impl {
  using PrefixId = std::uint32_t;
  using Members = std::vector<Member>;

  // What an origin announces: prefixes by fragment. What it says of each is in the prefix's group.
  struct Fragment {
    std::uint16_t number = 0;
    std::vector<PrefixId> prefixes;  // each once, in the order of the entries
    bool has(PrefixId id) const {
      return std::find(prefixes.begin(), prefixes.end(), id) != prefixes.end();
    }
  };
  using Origin = std::vector<Fragment>;  // by number
  // A prefix that one origin announces in several fragments: what each says.
  struct Repeat {
    std::uint16_t fragment = 0;
    Members members;
  };
  using RepeatKey = std::pair<PrefixId, std::uint32_t>;
  struct Policy {
    std::uint32_t id = 0;
    WeightPolicy weights;
  };

  Impl(NodeId node, RibSink& to, unsigned percent, const NameKey& key);

  // rib_sources.cpp
  Fragment& fragment_of(std::uint32_t origin, std::uint16_t number);
  void drop_if_empty(std::uint32_t origin, std::uint16_t number);
  void announce(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment, bool was_there,
                Members piece);
  void withdraw(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment);
  void set_repeat(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment, Members piece);
  void replace_members(PrefixId prefix, std::uint32_t origin, std::span<const Member> piece);
  void remember_other_fragment(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment);
  using Given = std::vector<std::pair<PrefixId, const wire::PrefixEntry*>>;
  Given by_prefix(std::span<const wire::PrefixEntry> entries, std::vector<PrefixId>& order);
  bool lay_out(const Fragment& fragment, std::span<const std::uint16_t> layout,
               std::span<const wire::PrefixEntry> fresh, std::vector<PrefixId>& next);
  void forget_unused(std::span<const PrefixId> ids);
  void finish();

  // rib_groups.cpp
  std::uint32_t distance(NodeId node) const;
  const WeightPolicy* policy(std::uint32_t id) const;
  std::uint32_t policy_of(PrefixId prefix) const;
  void route_to(PrefixId prefix, std::span<const Member> members, std::uint32_t policy_id);
  void tell_group(InstanceGroupId group);
  bool weigh_group(InstanceGroupId group, std::vector<std::uint32_t>& weights) const;
  void refresh_group(InstanceGroupId group);

  RibRoute route(PrefixId prefix) const;

  NodeId self;
  RibSink& sink;
  unsigned tier_percent;
  std::uint64_t spf_runs = 0;
  PrefixTable prefixes;
  InstanceGroups groups;
  std::unordered_map<std::uint32_t, Origin> origins;
  std::map<RepeatKey, std::vector<Repeat>> repeats;
  std::unordered_map<Name, Policy> policies;
  std::unordered_map<std::uint32_t, const Policy*> policy_by_id;
  std::uint32_t last_policy = 0;
  std::vector<Destination> destinations;  // by node id; kUnreachable = absent
  // Of the change in hand.
  std::vector<PrefixId> unannounced;
  std::vector<InstanceGroupId> released;
  Members scratch;
  std::vector<PrefixId> scratch_ids;
};

}  // namespace dmsc::routing
