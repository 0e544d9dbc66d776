// The FIB (DESIGN section 6): longest match by component over a keyed hash, a direct index by
// egress node, explicit-path labels. One writer; any number of readers that never block: what they
// hold stays valid until their next quiescent point, because retired memory goes to a Reclaimer
// (QSBR in the data plane, immediate in the simulator).
//
//   name ──► cell {hash, group, text} ──► InstanceGroup {egress, instance, weight ...} (shared)
//   egress ──► {distance, group} ──► NextHopGroup {next hops, alternate} (shared)
//   link ──► alive?
//
// So a lost link is one write, a lost node one per destination, a policy one per group, and none of
// them is a matter of how many prefixes there are.
#pragma once
#include <atomic>
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

// A number that the writer may change while readers use it. Each read stands for itself: what
// depends on several of them must bear with a mixture of old and new.
class SharedNumber {
 public:
  SharedNumber(std::uint32_t value = 0) : value_(value) {}  // NOLINT: implicit on purpose
  SharedNumber(const SharedNumber& other) : value_(other) {}
  SharedNumber& operator=(const SharedNumber& other) {
    set(other);
    return *this;
  }
  operator std::uint32_t() const {  // NOLINT: implicit on purpose
    return value_.load(std::memory_order_relaxed);
  }
  void set(std::uint32_t value) { value_.store(value, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> value_;
};

struct NextHop {
  std::uint32_t link = 0;  // own link id
  NodeId neighbour;
  friend bool operator==(const NextHop&, const NextHop&) = default;
};

// Ways to egress nodes, shared by all that are reached alike. `alternate` is used when no next hop
// is alive. Never changes once published. Made and freed by a Fib.
class NextHopGroup {
 public:
  std::span<const NextHop> next_hops() const {
    return {reinterpret_cast<const NextHop*>(this + 1), count_};
  }
  const std::optional<NextHop>& alternate() const { return alternate_; }

 private:
  friend class Fib;
  NextHopGroup() = default;
  std::uint32_t users_ = 1;  // writer: the nodes that point here, and who made it
  std::uint32_t count_ = 0;
  std::optional<NextHop> alternate_;
};

// How one egress node is reached, as a look-up found it; false if it is not. This node itself is a
// route with distance 0 and no next hop. What it views is valid until the reader's next quiescent
// point.
struct NodeRoute {
  const NextHopGroup* ways = nullptr;
  std::uint32_t distance = 0;
  explicit operator bool() const { return ways != nullptr; }
  std::span<const NextHop> next_hops() const { return ways->next_hops(); }
  const std::optional<NextHop>& alternate() const { return ways->alternate(); }
};

// A node with ways of its own.
struct NodeWays {
  std::vector<NextHop> next_hops;
  std::optional<NextHop> alternate;
  std::uint32_t distance = 0;
};

struct InstanceEntry {
  NodeId egress;
  InstanceId id;
  bool draining = false;  // takes new flows only if nothing else is left
  bool covering = true;   // announced as covering: also serves names below the prefix
  SharedNumber weight;    // share of new flows; 0 = used only if no other can be
};

// What prefixes point at: the instances that serve them, reachable or not. Once published only the
// weights change. Made and freed by a Fib.
class InstanceGroup {
 public:
  bool covering() const { return covering_ != 0; }  // some instance serves names below
  std::span<const InstanceEntry> instances() const { return {entries(), count_}; }

 private:
  friend class Fib;
  InstanceGroup() = default;
  const InstanceEntry* entries() const { return reinterpret_cast<const InstanceEntry*>(this + 1); }
  InstanceEntry* entries() { return reinterpret_cast<InstanceEntry*>(this + 1); }
  std::uint32_t users_ = 1;  // writer: the prefixes that point here, and who made it
  std::uint32_t count_ : 31 = 0;
  std::uint32_t covering_ : 1 = 0;
};

// What a look-up found; false if nothing. The group is valid until the reader's next quiescent
// point, the prefix is a view into the name that was looked up.
struct Match {
  const InstanceGroup* group = nullptr;
  std::string_view prefix;
  explicit operator bool() const { return group != nullptr; }
  const InstanceGroup& operator*() const { return *group; }
  const InstanceGroup* operator->() const { return group; }
  friend bool operator==(const Match&, const Match&) = default;
};

// A prefix with a group of its own.
struct PrefixRoute {
  Name prefix;
  bool covering = false;
  std::vector<InstanceEntry> instances;
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

// What the writer has done so far, in single writes.
struct FibWork {
  std::uint64_t prefixes = 0, groups = 0, weights = 0, next_hops = 0, nodes = 0, labels = 0;
  std::uint64_t links = 0;
  std::uint64_t total() const {
    return prefixes + groups + weights + next_hops + nodes + labels + links;
  }
};

// Bytes held, without what waits to be reclaimed.
struct FibMemory {
  std::size_t prefixes = 0, groups = 0, nodes = 0;
  std::size_t total() const { return prefixes + groups + nodes; }
};

class Fib {
 public:
  // `key` seeds the name hash; random per process (names are attackers' input).
  Fib(const crypto::Key16& key, Reclaimer& reclaimer);
  ~Fib();

  // Writer side: one thread. A set replaces what was there; an unknown key removed is no error.
  // Node ids are 1 .. kMaxNodeId, others are ignored.
  //
  // A group that prefixes may point at until drop_group(): the caller's hold on it. It lives until
  // no prefix points at it either.
  InstanceGroup* add_group(bool covering, std::span<const InstanceEntry> instances);
  // As many weights as there are instances, in their order.
  void set_weights(InstanceGroup& group, std::span<const std::uint32_t> weights);
  void drop_group(InstanceGroup* group);
  void set_prefix(std::string_view prefix, InstanceGroup& group);
  void set_prefix(const PrefixRoute& route);
  void remove_prefix(std::string_view prefix);
  void remove_prefix(const Name& prefix) { remove_prefix(std::string_view(prefix.text())); }
  // A hint: these prefixes will be set or removed soon. Brings what that touches towards the cache,
  // for all of them at a time; no other effect.
  void foresee(std::span<const std::string_view> prefixes) const;
  // Likewise a group of next hops that nodes may point at until drop_next_hops().
  NextHopGroup* add_next_hops(std::span<const NextHop> next_hops,
                              const std::optional<NextHop>& alternate);
  void drop_next_hops(NextHopGroup* group);
  void set_node(NodeId node, std::uint32_t distance, NextHopGroup& ways);
  void set_node(NodeId node, const NodeWays& route);
  void remove_node(NodeId node);
  void set_label(LabelEntry entry);
  void remove_label(PathLabel label);
  // The whole set of explicit paths in use here; a few, since each is a policy.
  void set_paths(std::vector<PathUse> paths);
  // A link lost or back: takes effect for every prefix at once, before SPF has run. Its cost is
  // that of the set of dead links.
  void set_link_alive(std::uint32_t link, bool alive);
  // Forgets the prefixes that were removed before the last call; so they are withdrawn() for one to two
  // of its intervals.
  void age_withdrawn();

  // Reader side: any thread between quiescent points; lock-free, no allocation.
  // The longest prefix that serves `name`: the name itself, or a covering prefix above it (one that
  // does not cover is passed over, as a host route is). Any bytes are allowed.
  Match match(std::string_view name) const;
  Match find(std::string_view prefix) const;  // exact
  NodeRoute node(NodeId node) const;
  const LabelEntry* label(PathLabel label) const;
  // The label of the longest prefix with a path to `egress`; 0 = none, follow SPF.
  PathLabel path_label(NodeId egress, std::string_view destination) const;
  bool link_alive(std::uint32_t link) const;
  // For a name that does not match: one that served it was removed a short while ago (WithdrawnNames).
  bool withdrawn(std::string_view name) const;
  // out[i] = match(names[i]), for any number of names (out is as long). The memory reads of up to
  // 32 look-ups overlap, so in a large FIB each costs a fraction of a match() alone.
  void match_batch(std::span<const std::string_view> names, std::span<Match> out) const;

  const crypto::Key16& key() const;
  std::size_t prefix_count() const;
  std::size_t node_count() const;
  std::size_t label_count() const;
  // For show commands; writer thread only. Sorted by prefix, node id, label.
  void for_each_prefix(
      const std::function<void(std::string_view prefix, const InstanceGroup&)>& visit) const;
  void for_each_node(const std::function<void(NodeId, const NodeRoute&)>& visit) const;
  void for_each_label(const std::function<void(const LabelEntry&)>& visit) const;
  const FibWork& work() const;
  FibMemory memory() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmsc::forwarding
