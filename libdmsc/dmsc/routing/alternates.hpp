// Loop-free alternates (RFC 5286) for the case that every next hop of a destination is lost.
//
// S is the root, N a neighbour, E each primary neighbour, D the destination, d() distances under
// the transit rule, w(E) the metric of the own link to E. With d(N,D) < d(N,S) + d(S,D) no shortest
// path of N to D comes back through S, so N protects against loss of the links. With d(N,D) <
// d(N,E) + d(E,D) for every E as well, none passes a primary neighbour: N protects against their
// loss too. Since E is primary, d(E,D) = d(S,D) - w(E); so one tree per N is enough, and all nodes
// of the same next hops are judged by one threshold per N:
//
//   d(N,D) - d(S,D)  <  min over E of d(N,E) - w(E)
//
// which never holds where N or D is an E itself.
//
// One step() deals with one N. Trees are kept and repaired while they fit the budget.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "dmsc/routing/shortest_tree.hpp"
#include "dmsc/routing/topology.hpp"

namespace dmsc::routing {

class Spf;

class Alternates {
 public:
  // The topology or the root's labels changed: all is to be done again.
  void restart();
  bool current() const { return state_ == State::current; }
  // One neighbour of the root of `spf`; after the last one gives every node its group. `spf` is up
  // to date with `topology` and the same in all steps since restart().
  void step(const Topology& topology, Spf& spf);
  void set_budget(std::size_t bytes) { budget_ = bytes; }
  std::size_t bytes() const;

 private:
  using Tree = ShortestTree<DistanceLabel, NoHops>;
  struct OwnLink {
    FirstHop hop;
    std::uint32_t metric = 0;
    std::uint32_t to = 0;  // node index
  };
  struct Kept {
    Tree tree;
    std::uint64_t version = 0;
    bool valid = false;
  };
  // The best way found so far; of the same rank the first, which is over the lowest neighbour id.
  struct Best {
    std::uint64_t rank = ~std::uint64_t{0};  // not node-protecting, then length
    std::uint32_t hop = 0;                   // index into links_
  };
  // What N means for all nodes with one set of next hops.
  struct Verdict {
    std::size_t neighbour = ~std::size_t{0};  // for which N this was computed
    std::int64_t threshold = 0;
    std::uint32_t link = Topology::kNone;  // index into links_: the best one that is no next hop
  };
  enum class State { stale, stepping, current };

  void start(const Topology& topology, const Spf& spf);
  const Tree& tree_of(const Topology& topology, std::uint32_t neighbour);
  void run_or_repair(const Topology& topology, std::uint32_t neighbour, Kept& kept);
  void offer(const Topology& topology, const Spf& spf, std::size_t neighbour, const Tree& tree);
  const Verdict& verdict(const Spf& spf, std::uint32_t set, std::size_t neighbour,
                         const Tree& tree);
  const OwnLink* own_link(const FirstHop& hop) const;
  void finish(Spf& spf);

  State state_ = State::stale;
  std::size_t budget_ = std::size_t{2} << 20;
  std::vector<OwnLink> links_;             // by neighbour id, metric, link
  std::vector<std::uint32_t> neighbours_;  // begin of each neighbour in links_
  std::size_t next_ = 0;                   // index into neighbours_
  std::vector<Best> best_;                 // by node, while stepping
  std::vector<Verdict> verdicts_;          // by set, while stepping
  std::map<std::uint32_t, Kept> kept_;     // by node index
  Kept spare_;
  TreeScratch<DistanceLabel> scratch_;
};

}  // namespace dmsc::routing
