// The FIB (DESIGN section 6): longest match by component over a keyed hash, a direct index by
// egress node, explicit-path labels. One writer; any number of readers that never block: what they
// hold stays valid until their next quiescent point, because retired memory goes to a Reclaimer
// (QSBR in the data plane, immediate in the simulator).
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "dmsc/crypto/keys.hpp"
#include "dmsc/forwarding/reclaimer.hpp"
#include "dmsc/name/name.hpp"

namespace dmsc::forwarding {

struct NextHop {
  std::uint32_t link = 0;  // own link id
  NodeId neighbour;
};

// How to reach one egress node. `alternate` is used when no next hop is alive. This node itself is
// a route with distance 0 and no next hop.
struct NodeRoute {
  std::vector<NextHop> next_hops;
  std::optional<NextHop> alternate;
  std::uint32_t distance = 0;
};

struct InstanceEntry {
  NodeId egress;
  InstanceId id;
  std::uint32_t weight = 0;    // share of new flows; 0 = used only if no other can be
  std::uint32_t distance = 0;  // when published, for show; decisions use the egress's NodeRoute
  bool draining = false;       // takes new flows only if nothing else is left
  bool covering = true;        // announced as covering: also serves names below the prefix
};

// What a prefix points at. Immutable once published. `total_weight` is computed by set_prefix().
struct InstanceGroup {
  Name prefix;
  bool covering = false;  // some instance serves names below
  std::vector<InstanceEntry> instances;
  std::uint64_t total_weight = 0;
};

struct LabelEntry {
  PathLabel label;
  NodeId egress;  // a packet with another egress makes the label void
  NextHop next_hop;
};

// An explicit path in use at its ingress: packets this node originates to `egress` whose
// destination `prefix` covers carry `label`.
struct PathUse {
  NodeId egress;
  Name prefix;
  PathLabel label;
};

class Fib {
 public:
  // `key` seeds the name hash; random per process (names are attackers' input).
  Fib(const crypto::Key16& key, Reclaimer& reclaimer);
  ~Fib();

  // Writer side: one thread. A set replaces what was there; an unknown key removed is no error.
  // Node ids are 1 .. kMaxNodeId, others are ignored.
  void set_prefix(InstanceGroup group);
  void remove_prefix(const Name& prefix);
  void set_node(NodeId node, NodeRoute route);
  void remove_node(NodeId node);
  void set_label(LabelEntry entry);
  void remove_label(PathLabel label);
  // The whole set of explicit paths in use here; a few, since each is a policy.
  void set_paths(std::vector<PathUse> paths);
  // A link lost or back: takes effect for every prefix at once, before SPF has run.
  void set_link_alive(std::uint32_t link, bool alive);

  // Reader side: any thread between quiescent points; lock-free, no allocation.
  // The longest prefix that serves `name`: the name itself, or a covering prefix above it (one that
  // does not cover is passed over, as a host route is). nullptr = no route. Any bytes are allowed.
  const InstanceGroup* match(std::string_view name) const;
  const InstanceGroup* find(std::string_view prefix) const;  // exact
  const NodeRoute* node(NodeId node) const;
  const LabelEntry* label(PathLabel label) const;
  // The label of the longest prefix with a path to `egress`; 0 = none, follow SPF.
  PathLabel path_label(NodeId egress, std::string_view destination) const;
  bool link_alive(std::uint32_t link) const;
  // out[i] = match(names[i]), for any number of names (out is as long). The memory reads of up to
  // 32 look-ups overlap, so in a large FIB each costs a fraction of a match() alone.
  void match_batch(std::span<const std::string_view> names,
                   std::span<const InstanceGroup*> out) const;

  std::size_t prefix_count() const;
  std::size_t node_count() const;
  std::size_t label_count() const;
  // For show commands; writer thread only. Sorted by prefix, node id, label.
  void for_each_prefix(const std::function<void(const InstanceGroup&)>& visit) const;
  void for_each_node(const std::function<void(NodeId, const NodeRoute&)>& visit) const;
  void for_each_label(const std::function<void(const LabelEntry&)>& visit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::forwarding
