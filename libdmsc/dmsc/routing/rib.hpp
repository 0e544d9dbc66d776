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
  std::uint32_t weight = 0;     // share of new flows; 0 = not in the serving tier
};

struct RibRoute {
  Name prefix;
  bool covering = false;
  std::vector<InstanceChoice> choices;  // by distance, then node, then instance
  bool from_policy = false;             // weights come from the SCSC
};

// Weights for one prefix, from the SCSC. They override distance until `expires`.
struct WeightPolicy {
  Name prefix;
  std::map<Instance, std::uint32_t> weights;
  std::uint64_t version = 0;
};

// Receives what changed, on the thread that called the Rib.
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
  // The whole set of usable prefixes of `origin` (already checked against grants). Diffs inside.
  void set_prefixes(NodeId origin, std::vector<wire::PrefixEntry> entries);
  // A new SPF result; publishes only destinations and routes that changed.
  void set_spf(const Topology& topology, SpfResult result);
  void set_weights(const WeightPolicy& policy);
  void clear_weights(const Name& prefix);
  const RibRoute* find(const Name& prefix) const;
  // Longest match by component, covering rule applied.
  const RibRoute* match(const Name& name) const;
  std::vector<RibRoute> routes() const;  // sorted by name
  const Destination* destination(NodeId node) const;
  std::uint64_t spf_runs() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::routing
