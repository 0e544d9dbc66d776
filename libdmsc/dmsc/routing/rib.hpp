// The RIB: which instances serve a prefix, how far they are, and in which shares traffic goes to
// them (DESIGN section 5). It publishes into a forwarding::Fib through RibSink: groups by id, so a
// topology or policy change rewrites groups and never prefixes.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "dmsc/name/name.hpp"
#include "dmsc/routing/spf.hpp"

namespace dmsc::routing {

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

// Receives what changed, on the thread that called the Rib, in the order that never lets a route
// point at a destination not yet told: destinations, routes by name, then removals. Must not call
// the Rib's setters. A route of one egress whose distance alone changed is not told again: the
// distance is the destination's.
class RibSink {
 public:
  virtual ~RibSink() = default;
  virtual void route_changed(const RibRoute& route) = 0;
  virtual void route_removed(const Name& prefix) = 0;
  virtual void destination_changed(NodeId node, const Destination& destination) = 0;
  virtual void destination_removed(NodeId node) = 0;
};

class Rib {
 public:
  // Instances within `tier_percent` of the nearest distance share the traffic by capacity.
  explicit Rib(NodeId self, RibSink& sink, unsigned tier_percent = 25);
  ~Rib();
  Rib(const Rib&) = delete;
  Rib& operator=(const Rib&) = delete;
  // The whole set of usable prefixes of `origin` (already checked against grants). Diffs inside;
  // entries of the same name are united. Never runs SPF.
  void set_prefixes(NodeId origin, std::vector<wire::PrefixEntry> entries);
  // A new SPF result; publishes only destinations and routes that changed. This node itself is a
  // destination with distance 0 and no next hop.
  void set_spf(const Topology& topology, SpfResult result);
  // Kept also for a prefix not there yet. A version lower than the one held is ignored.
  void set_weights(const WeightPolicy& policy);
  void clear_weights(const Name& prefix);
  // Valid until the next setter. A prefix whose egresses are all unreachable has no choices.
  const RibRoute* find(const Name& prefix) const;
  // The longest prefix that serves `name`: itself, or a covering one above it (others are passed
  // over). The same rule as forwarding::Fib::match().
  const RibRoute* match(const Name& name) const;
  std::vector<RibRoute> routes() const;  // sorted by name
  const Destination* destination(NodeId node) const;
  std::uint64_t spf_runs() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::routing
