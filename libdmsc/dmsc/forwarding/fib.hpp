// The FIB (DESIGN section 6): longest match by component over a keyed hash, a direct index by egress
// node, explicit-path labels. One writer; any number of readers that never block: what they hold
// stays valid until their next quiescent point, because retired memory goes to a Reclaimer (QSBR in
// the data plane, immediate in the simulator).
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "dmsc/crypto/keys.hpp"
#include "dmsc/name/name.hpp"

namespace dmsc::forwarding {

// Frees memory once no reader can hold it.
class Reclaimer {
 public:
  virtual ~Reclaimer() = default;
  virtual void retire(std::function<void()> free) = 0;
};
class ImmediateReclaimer : public Reclaimer {
 public:
  void retire(std::function<void()> free) override { free(); }
};

struct NextHop {
  std::uint32_t link = 0;   // own link id
  NodeId neighbour;
};

// How to reach one egress node. `alternate` is used when no next hop is alive.
struct NodeRoute {
  std::vector<NextHop> next_hops;
  std::optional<NextHop> alternate;
  std::uint32_t distance = 0;
};

struct InstanceEntry {
  NodeId egress;
  InstanceId id;
  std::uint32_t weight = 0;
  std::uint32_t distance = 0;
};

// What a prefix points at. Immutable once published.
struct InstanceGroup {
  Name prefix;
  bool covering = false;
  std::vector<InstanceEntry> instances;
  std::uint64_t total_weight = 0;
};

struct LabelEntry {
  PathLabel label;
  NodeId egress;         // a packet with another egress makes the label void
  NextHop next_hop;
};

class Fib {
 public:
  // `key` seeds the name hash; random per process (names are attackers' input).
  Fib(const crypto::Key16& key, Reclaimer& reclaimer);
  ~Fib();

  // Writer side: one thread.
  void set_prefix(InstanceGroup group);
  void remove_prefix(const Name& prefix);
  void set_node(NodeId node, NodeRoute route);
  void remove_node(NodeId node);
  void set_label(LabelEntry entry);
  void remove_label(PathLabel label);
  // A link lost or back: takes effect for every prefix at once, before SPF has run.
  void set_link_alive(std::uint32_t link, bool alive);

  // Reader side: any thread between quiescent points; lock-free, no allocation.
  // Longest match; respects covering. nullptr = no route.
  const InstanceGroup* match(std::string_view name) const;
  const InstanceGroup* find(std::string_view prefix) const;  // exact
  const NodeRoute* node(NodeId node) const;
  const LabelEntry* label(PathLabel label) const;
  bool link_alive(std::uint32_t link) const;

  std::size_t prefix_count() const;
  std::size_t node_count() const;
  // For show commands; writer thread only.
  void for_each_prefix(const std::function<void(const InstanceGroup&)>& visit) const;
  void for_each_node(const std::function<void(NodeId, const NodeRoute&)>& visit) const;
  void for_each_label(const std::function<void(const LabelEntry&)>& visit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::forwarding
