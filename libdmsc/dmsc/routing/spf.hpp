// Shortest path first from one root, kept up to date with a Topology: distances, the group of
// equal-cost next hops of every node, and, as a step of its own, loop-free alternates (RFC 5286). A
// change of a few edges is repaired where it matters; what comes out is the same as of a full run,
// bit for bit.
//
//   Topology ──► update() ──► distance(), group() ──► publish ──► update_alternates() ──► publish
//   again
//
// Convergence waits for update() alone. Deterministic; owned by one thread.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dmsc/routing/next_hop_groups.hpp"
#include "dmsc/routing/shortest_tree.hpp"
#include "dmsc/routing/topology.hpp"

namespace dmsc::routing {

class Alternates;

// First hops as ShortestTree asks for them.
struct RootHops {
  HopSets& sets;
  const Topology& topology;
  std::uint32_t set(std::uint32_t link, std::uint32_t neighbour) const {
    return sets.single({link, topology.node(neighbour)});
  }
  std::uint32_t unite(std::uint32_t a, std::uint32_t b) const { return sets.unite(a, b); }
};

class Spf {
 public:
  explicit Spf(NodeId root);
  ~Spf();
  Spf(Spf&&) noexcept;
  Spf& operator=(Spf&&) noexcept;

  NodeId root() const { return root_; }

  enum class Run { none, repair, full };
  // Step 1: distances and next hops as of `topology`, which has to be the same object, or a copy of
  // it as it was, in every call. A node whose set of next hops stays keeps its alternate until
  // step 2. An unknown root reaches nothing. Says how it was done.
  Run update(const Topology& topology);
  // The next update() is a full run.
  void forget() { valid_ = false; }
  // Step 2: alternates for the same topology. Works on at most `neighbours` neighbours of the root
  // (one shortest-path run each, or a repair); true when all are done, and only then group() and
  // changed() show the outcome. After a change of the topology: update() first, which starts step 2
  // anew.
  bool update_alternates(const Topology& topology, std::size_t neighbours = ~std::size_t{0});
  bool alternates_current() const;

  // By Topology node index; kUnreachable and kNoGroup for what is beyond the last update().
  std::uint32_t distance(std::uint32_t node) const {
    return node < tree_.labels().size() ? tree_.labels()[node].distance : kUnreachable;
  }
  GroupId group(std::uint32_t node) const { return node < group_.size() ? group_[node] : kNoGroup; }
  const NextHopGroups& groups() const { return groups_; }
  // Nodes whose distance or group the last finished step changed, each once; groups().added() and
  // retired() belong to the same step.
  const std::vector<std::uint32_t>& changed() const { return changed_; }
  // Steps finished so far: who follows changed() sees from it whether one was missed. An update()
  // that had nothing to do is none.
  std::uint64_t steps() const { return steps_; }

  // Destinations by how their alternate protects them. Costs the number of groups.
  struct Protected {
    std::size_t none = 0, link = 0, node = 0;
  };
  Protected count_protected() const;

  // Node ids of one shortest path to `target`, both ends included; empty if unreachable. Of equal
  // ones, each node is reached from the lowest node id. Costs the length of the path.
  std::vector<NodeId> path_to(const Topology& topology, NodeId target) const;

  std::uint64_t full_runs() const { return full_runs_; }
  std::uint64_t repairs() const { return repairs_; }
  // Nodes settled or looked at by the last update().
  std::size_t last_work() const { return last_work_; }
  // Heap memory in use, in bytes: the result, and what runs need besides.
  std::size_t result_bytes() const;
  std::size_t scratch_bytes() const;
  // Trees of neighbours are kept for repair up to that much memory; the others are computed anew
  // every time. Default 2 MiB: 50 neighbours at 10,000 nodes.
  void set_alternates_budget(std::size_t bytes);

 private:
  friend class Alternates;

  void take_over_hops(const Topology& topology);
  bool repair(const Topology& topology, const RootHops& hops);
  void run_full(const Topology& topology, const RootHops& hops);
  void note(std::uint32_t node, const HopLabel& was);
  void assign(std::uint32_t node, GroupId group);
  void sweep_sets();

  NodeId root_;
  std::uint32_t root_index_ = Topology::kNone;
  std::uint64_t version_ = 0;
  bool valid_ = false;  // the labels belong to version_
  HopSets sets_;
  NextHopGroups groups_;
  ShortestTree<HopLabel, RootHops> tree_;
  TreeScratch<HopLabel> scratch_;
  std::vector<GroupId> group_;
  std::vector<std::uint32_t> changed_;
  std::unique_ptr<Alternates> alternates_;
  std::uint64_t full_runs_ = 0, repairs_ = 0, steps_ = 0;
  std::size_t last_work_ = 0;
};

// Node ids of one shortest path, as Spf::path_to() gives it.
std::vector<NodeId> shortest_path(const Topology& topology, NodeId from, NodeId to);
// Distances alone, by node index. A sum of metrics of 2^32 - 1 or more counts as unreachable.
std::vector<std::uint32_t> distances_from(const Topology& topology, NodeId root);

}  // namespace dmsc::routing
