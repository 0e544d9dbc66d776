// The RIB: which instances serve a prefix, how far they are, and in which shares traffic goes to
// them (DESIGN section 5). Everything is behind an indirection:
//
//   prefix ──► instance group (who serves, weights) ──► egress ──► destination ──► next-hop group
//
// A change of topology rewrites the destinations that changed and the weights of groups with
// several egresses, a policy those of one group, and neither touches a prefix. The Rib tells a
// RibSink what changed.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "dmsc/name/name.hpp"
#include "dmsc/name/name_hash.hpp"
#include "dmsc/routing/instance_groups.hpp"
#include "dmsc/routing/spf.hpp"

namespace dmsc::routing {

// How a node is reached.
struct Destination {
  std::uint32_t distance = kUnreachable;
  std::vector<FirstHop> next_hops;    // sorted, no duplicates, at most kMaxEcmp; this node: none
  std::optional<FirstHop> alternate;  // used when every next hop is lost; never one of them
  Protection protection = Protection::none;
  friend bool operator==(const Destination&, const Destination&) = default;
};

struct Instance {
  NodeId egress;
  InstanceId id;
  friend auto operator<=>(const Instance&, const Instance&) = default;
};

// One instance of a prefix as the forwarding plane may use it.
struct InstanceChoice {
  Instance instance;
  std::uint32_t distance = kUnreachable;
  std::uint32_t weight = 0;  // share of new flows; 0 = not in the serving tier
  bool draining = false;     // capacity 0: takes new flows only if nothing else is left
  bool covering = false;     // announced as covering: also serves names below the prefix
  friend bool operator==(const InstanceChoice&, const InstanceChoice&) = default;
};

struct RibRoute {
  Name prefix;
  bool covering = false;                // some instance covers
  std::vector<InstanceChoice> choices;  // reachable ones, by distance, then node, then instance
  bool from_policy = false;             // weights come from the SCSC
  friend bool operator==(const RibRoute&, const RibRoute&) = default;
};

// Weights for one prefix, from the SCSC. They override distance until cleared; an instance that is
// absent keeps no share. If no weighted instance is reachable, distance decides again.
struct WeightPolicy {
  Name prefix;
  std::map<Instance, std::uint32_t> weights;
  std::uint64_t version = 0;
};

// One instance of a group as told to the sink. A group holds all that are announced, reachable or
// not: whether an egress can be reached is its destination's matter.
struct GroupMember {
  NodeId egress;
  InstanceId id;
  std::uint32_t weight = 0;
  bool draining = false;
  bool covering = false;
  friend bool operator==(const GroupMember&, const GroupMember&) = default;
};

// Receives what changed, on the thread that called the Rib, in an order that never lets anything
// point at what is not told yet: next-hop groups, destinations, an instance group before the first
// route to it, then removals of routes, groups, destinations and next-hop groups. Must not call the
// Rib's setters. Views are valid during the call.
class RibSink {
 public:
  virtual ~RibSink() = default;
  // A new group; `covering`: one of the members is. Ids are dense and may be used again.
  virtual void group_added(InstanceGroupId group, bool covering,
                           std::span<const GroupMember> members) = 0;
  // The same members in the same order, with other weights.
  virtual void group_weights(InstanceGroupId group, std::span<const std::uint32_t> weights) = 0;
  virtual void group_removed(InstanceGroupId group) = 0;
  virtual void route_changed(std::string_view prefix, InstanceGroupId group) = 0;
  virtual void route_removed(std::string_view prefix) = 0;
  // Ways that destinations share. Ids are dense and may be used again. One told before and not
  // removed has other ways from now on, and its destinations follow at once.
  virtual void next_hops_added(GroupId group, const NextHopGroup& ways) = 0;
  virtual void next_hops_removed(GroupId group) = 0;
  // kNoGroup: this node itself.
  virtual void destination_changed(NodeId node, std::uint32_t distance, GroupId next_hops) = 0;
  virtual void destination_removed(NodeId node) = 0;
  // A hint: routes of these prefixes will change soon, in any way. Changes nothing.
  virtual void foresee(std::span<const std::string_view> prefixes) { (void)prefixes; }
};

// Bytes held, by what for.
struct RibMemory {
  std::size_t names = 0, prefixes = 0, groups = 0, origins = 0, destinations = 0;
  std::size_t total() const { return names + prefixes + groups + origins + destinations; }
};

class Rib {
 public:
  // Instances within `tier_percent` of the nearest distance share the traffic by capacity. `key`
  // seeds the hashes; random per process (names are attackers' input).
  explicit Rib(NodeId self, RibSink& sink, unsigned tier_percent = 25, const NameKey& key = {});
  ~Rib();
  Rib(const Rib&) = delete;
  Rib& operator=(const Rib&) = delete;

  // What `origin` announces in one fragment of its Prefix LSA: the whole set of usable entries
  // (already checked against grants), which replaces the one before. Entries of one origin with the
  // same name are united, in the order of fragments. Never runs SPF. The origin is a node id.
  // Returns how many prefixes the fragment has.
  std::size_t set_fragment(NodeId origin, std::uint16_t fragment,
                           std::span<const wire::PrefixEntry> entries);
  // The same by difference, in time proportional to it, for a fragment set with every name once.
  // `layout` has an item for each entry of the new version, in order: the place of the same entry
  // in the version before, or kFresh for the next of `fresh`. False, with nothing done, if a name
  // would be there twice.
  static constexpr std::uint16_t kFresh = 0xffff;
  bool update_fragment(NodeId origin, std::uint16_t fragment, std::span<const std::uint16_t> layout,
                       std::span<const wire::PrefixEntry> fresh);
  // Hints for many update_fragment() to come, which then find in the cache what they touch: in a
  // large domain that is most of their time. Given step by step, each for all of them: the origins,
  // the fragments, what those hold, and then what changes. They have no other effect, and may be
  // wrong.
  void foresee_origin(NodeId origin) const;
  void foresee_fragment(NodeId origin, std::uint16_t fragment) const;
  void foresee_prefixes(NodeId origin, std::uint16_t fragment) const;
  struct Foreseen {
    NodeId origin;
    std::uint16_t fragment = 0;
    std::span<const std::uint16_t> gone;       // places in the version held
    std::span<const wire::PrefixEntry> fresh;  // their names not empty
  };
  void foresee(std::span<const Foreseen> changes);
  // All of an origin's prefixes at once, as fragment 0; other fragments are emptied.
  void set_prefixes(NodeId origin, std::span<const wire::PrefixEntry> entries);

  // After each step of `spf`, the same one all along, with the topology it belongs to: looks at the
  // destinations that the step changed and at no others. A step that was missed is noticed, and
  // costs a look at all. This node itself is a destination with distance 0 and no next hop.
  void set_spf(const Topology& topology, const Spf& spf);
  // Kept also for a prefix not there yet. A version lower than the one held is ignored.
  void set_weights(const WeightPolicy& policy);
  void clear_weights(const Name& prefix);

  // The route as it is now. A prefix whose egresses are all unreachable has no choices.
  std::optional<RibRoute> find(const Name& prefix) const;
  // The longest prefix that serves `name`: itself, or a covering one above it (others are passed
  // over). The same rule as forwarding::Fib::match().
  std::optional<RibRoute> match(const Name& name) const;
  std::vector<RibRoute> routes() const;  // sorted by name
  // In no particular order and without what a route costs to make.
  void for_each_prefix(
      const std::function<void(std::string_view prefix, bool covering)>& visit) const;
  // The fragments in which `origin` announces the prefix, rising.
  std::vector<std::uint16_t> fragments(NodeId origin, const Name& prefix) const;
  // Who announces it, reachable or not, rising.
  std::vector<NodeId> origins(const Name& prefix) const;
  std::optional<Destination> destination(NodeId node) const;  // nullopt: it cannot be reached
  std::uint32_t distance(NodeId node) const;                  // kUnreachable: likewise
  // Destinations looked at by set_spf() so far.
  std::uint64_t destinations_seen() const;
  std::size_t prefix_count() const;
  std::size_t group_count() const;
  RibMemory memory() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::routing
