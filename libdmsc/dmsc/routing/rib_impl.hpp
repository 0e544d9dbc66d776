// The state of the Rib, by file: rib_sources.cpp (what origins announce), rib_update.cpp (by
// difference), rib_groups.cpp (weights, policies), rib_spf.cpp (destinations), rib.cpp (look-ups).
#pragma once
#include <algorithm>
#include <unordered_map>

#include "dmsc/routing/by_node.hpp"
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

  struct Reach {
    std::uint32_t distance = kUnreachable;
    GroupId next_hops = kNoGroup;
  };
  struct Ways {
    NextHopGroup group;
    bool told = false;
  };

  Impl(NodeId node, RibSink& to, unsigned percent, const NameKey& key);

  // rib_sources.cpp
  static void append_members(const wire::PrefixEntry& entry, NodeId origin, Members& out);
  static void unite(Members& members);
  static const Fragment* find(const Origin* origin, std::uint16_t number);
  Fragment& fragment_of(std::uint32_t origin, std::uint16_t number);
  void drop_if_empty(std::uint32_t origin, std::uint16_t number);
  void announce(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment, bool was_there,
                const Members& piece);
  void withdraw(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment);
  void set_repeat(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment,
                  const Members& piece);
  void replace_members(PrefixId prefix, std::uint32_t origin, std::span<const Member> piece);
  void remember_other_fragment(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment);
  using Given = std::vector<std::pair<PrefixId, const wire::PrefixEntry*>>;
  Given by_prefix(std::span<const wire::PrefixEntry> entries, std::vector<PrefixId>& order);
  void finish();

  // rib_update.cpp
  bool keep_places(const Fragment& fragment, std::span<const std::uint16_t> layout);
  bool lay_out(const Fragment& fragment, std::span<const std::uint16_t> layout,
               std::span<const wire::PrefixEntry> fresh);
  void forget_unused();

  // rib_groups.cpp
  std::uint32_t distance(NodeId node) const;
  const WeightPolicy* policy(std::uint32_t id) const;
  std::uint32_t policy_of(PrefixId prefix) const;
  void route_to(PrefixId prefix, std::span<const Member> members, std::uint32_t policy_id);
  void tell_group(InstanceGroupId group);
  bool weigh_group(InstanceGroupId group, std::vector<std::uint32_t>& weights) const;
  void refresh_group(InstanceGroupId group);

  // rib_spf.cpp
  Reach& reach_of(NodeId node);
  bool tell_ways(GroupId id, const NextHopGroup& group);
  void forget_ways(GroupId id);
  void move(NodeId node, Reach to, bool told_anew);
  void finish_spf();

  RibRoute route(PrefixId prefix) const;

  NodeId self;
  RibSink& sink;
  unsigned tier_percent;
  PrefixTable prefixes;
  InstanceGroups groups;
  ByNode<Origin> origins;
  std::map<RepeatKey, std::vector<Repeat>> repeats;
  std::unordered_map<Name, Policy> policies;
  std::unordered_map<std::uint32_t, const Policy*> policy_by_id;
  std::uint32_t last_policy = 0;
  std::vector<Reach> reach;  // by node id
  std::vector<Ways> ways;    // by id, as told
  std::uint64_t spf_steps = 0, destinations_seen = 0;
  // Of the change in hand.
  std::vector<PrefixId> unannounced;
  std::vector<InstanceGroupId> released;
  std::vector<InstanceGroupId> touched;  // by distances
  std::vector<NodeId> lost;
  // Room that is used again, so that a small change asks the heap for nothing here.
  struct Scratch {
    Members members, piece;
    std::vector<std::uint32_t> weights;
    std::vector<GroupMember> told;
    std::vector<PrefixId> old, next;
    std::vector<std::uint8_t> kept;          // of `old`, by place
    std::vector<std::uint16_t> fresh_was;    // by fresh entry: its place in `old`, or kFresh
    std::vector<std::string_view> names;
  } scratch;
};

}  // namespace dmsc::routing
