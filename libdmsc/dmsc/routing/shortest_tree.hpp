// Least distances from one root to every node, by a full run (Dijkstra) or by repairing an earlier
// result where edges changed (in the manner of Ramalingam and Reps: only nodes whose label changes,
// and their neighbours, are looked at). Both give the same labels, bit for bit.
//
// With Hops, each label also has the set of first hops of all equal-cost paths, as a number of
// HopSets. Metrics are positive, so every edge on a shortest path leads to a greater distance:
// taken in the order of distance, whatever a node inherits from its predecessors is final when it
// is looked at.
#pragma once
#include <cstdint>
#include <vector>

#include "dmsc/routing/adjacency_rows.hpp"
#include "dmsc/routing/hop_sets.hpp"
#include "dmsc/routing/quad_heap.hpp"

namespace dmsc::routing {

inline constexpr std::uint32_t kUnreachable = ~0U;

struct DistanceLabel {
  std::uint32_t distance = kUnreachable;
  friend bool operator==(const DistanceLabel&, const DistanceLabel&) = default;
};
struct HopLabel {
  std::uint32_t distance = kUnreachable;
  std::uint32_t set = HopSets::kEmpty;
  friend bool operator==(const HopLabel&, const HopLabel&) = default;
};

// For trees with DistanceLabel. For those with HopLabel: set(link, node index) is the set of that
// one first hop, unite(a, b) the union of two.
struct NoHops {};

// What runs need besides the labels; trees of one topology may share it.
template <class Label>
struct TreeScratch {
  struct Touched {
    std::uint32_t node = 0;
    Label was;             // before the repair
    bool listed = false;   // is, or was, in the queue of those that may have lost their distance
    bool lost = false;     // had no label for a while; what depended on it has none either
    bool settled = false;  // the new label is final
  };
  QuadHeap heap;
  std::vector<std::uint32_t> heads;  // see ShortestTree::repair()
  std::vector<std::uint32_t> mark;   // by node: place in `touched` + 1; all 0 between runs
  std::vector<Touched> touched;
  std::size_t bytes() const {
    return heap.bytes() + (heads.capacity() + mark.capacity()) * sizeof(std::uint32_t) +
           touched.capacity() * sizeof(Touched);
  }
};

template <class Label, class Hops>
class ShortestTree {
 public:
  using Scratch = TreeScratch<Label>;
  static constexpr bool kHops = sizeof(Label) > sizeof(DistanceLabel);

  const std::vector<Label>& labels() const { return labels_; }
  std::uint32_t root() const { return root_; }

  // Everything anew. Returns how many nodes were settled.
  std::size_t run(const AdjacencyRows& rows, std::uint32_t root, const Hops& hops,
                  Scratch& scratch);

  // Brings the labels up to date with `rows` after a run() or repair() for the same root, where
  // scratch.heads are all nodes with a changed edge into them (or of whose sender the transit
  // changed). Then scratch.touched says what the labels were of the nodes looked at, until done().
  // False if more than `limit` nodes were about to be looked at: labels are useless then, run() is
  // quicker.
  bool repair(const AdjacencyRows& rows, const Hops& hops, Scratch& scratch, std::size_t limit);
  static void done(Scratch& scratch);

  // Takes a repair that gave up back: the labels are again what they were before it.
  void undo(const Scratch& scratch) {
    for (const auto& t : scratch.touched) labels_[t.node] = t.was;
  }
  void clear() { labels_ = {}; }
  std::size_t bytes() const { return labels_.capacity() * sizeof(Label); }

 private:
  using Touched = typename Scratch::Touched;
  struct View {
    const AdjacencyRows::Row* rows;
    const Arc* arcs;
    const ArcInfo* infos;
    explicit View(const AdjacencyRows& r) : rows(r.rows()), arcs(r.arcs()), infos(r.infos()) {}
  };
  void settle_from_root(const View& g, const Hops& hops, Scratch& scratch);
  static void prefetch(const View& g, const QuadHeap& heap);
  std::size_t touch(std::uint32_t node, Scratch& scratch) const;
  void suspect(std::uint32_t node, Scratch& scratch) const;
  bool supported(const View& g, std::uint32_t node) const;
  std::uint64_t nearest(const View& g, std::uint32_t node) const;
  std::uint32_t inherited(const View& g, std::uint32_t node, const Hops& hops) const;
  bool unlabel_the_lost(const View& g, Scratch& scratch, std::size_t limit);
  void offer_what_is_left(const View& g, Scratch& scratch);
  bool settle(const View& g, const Hops& hops, Scratch& scratch, std::size_t limit);
  void pass_on(const View& g, std::uint32_t node, Scratch& scratch);

  std::uint32_t root_ = 0;
  std::vector<Label> labels_;
};

// ---- full run -------------------------------------------------------------------------------

template <class Label, class Hops>
void ShortestTree<Label, Hops>::settle_from_root(const View& g, const Hops& hops,
                                                 Scratch& scratch) {
  const auto& row = g.rows[root_];
  for (std::uint32_t i = row.begin; i < row.begin + row.edges; ++i) {
    Label& label = labels_[g.arcs[i].to];
    std::uint32_t metric = g.arcs[i].metric;
    if (metric > label.distance || metric == kUnreachable) continue;
    if constexpr (kHops) {
      std::uint32_t set = hops.set(g.infos[i].link, g.arcs[i].to);
      label.set = metric < label.distance ? set : hops.unite(label.set, set);
    }
    if (metric < label.distance) scratch.heap.push(metric, g.arcs[i].to);
    label.distance = metric;
  }
}

// Nodes are settled in an order that memory does not follow: a large graph waits for its cache
// misses (100,000 nodes take a fifth longer without this).
template <class Label, class Hops>
void ShortestTree<Label, Hops>::prefetch(const View& g, const QuadHeap& heap) {
  std::size_t size = heap.size() < 5 ? heap.size() : 5;
  if (size > 0) __builtin_prefetch(g.arcs + g.rows[heap.peek(0)].begin);
  for (std::size_t i = 1; i < size; ++i) __builtin_prefetch(g.rows + heap.peek(i));
}

template <class Label, class Hops>
std::size_t ShortestTree<Label, Hops>::run(const AdjacencyRows& rows, std::uint32_t root,
                                           const Hops& hops, Scratch& scratch) {
  View g(rows);
  root_ = root;
  labels_.assign(rows.size(), Label{});
  labels_[root].distance = 0;
  scratch.heap.clear();
  settle_from_root(g, hops, scratch);
  Label* const labels = labels_.data();
  std::size_t settled = 1;
  while (!scratch.heap.empty()) {
    auto [distance, at] = scratch.heap.pop();
    prefetch(g, scratch.heap);
    const Label here = labels[at];
    if (distance != here.distance) continue;  // a shorter way was found after this was queued
    ++settled;
    const auto row = g.rows[at];
    if (row.transit == 0) continue;  // reached, never passed
    for (const Arc *arc = g.arcs + row.begin, *end = arc + row.edges; arc < end; ++arc) {
      Label& there = labels[arc->to];
      std::uint64_t through = std::uint64_t{distance} + arc->metric;
      if (through > there.distance || through >= kUnreachable) continue;
      if (through < there.distance) {
        there = here;
        there.distance = static_cast<std::uint32_t>(through);
        scratch.heap.push(there.distance, arc->to);
      } else if constexpr (kHops) {
        if (there.set != here.set) there.set = hops.unite(there.set, here.set);
      }
    }
  }
  return settled;
}

// ---- repair ---------------------------------------------------------------------------------

template <class Label, class Hops>
std::size_t ShortestTree<Label, Hops>::touch(std::uint32_t node, Scratch& scratch) const {
  std::uint32_t& mark = scratch.mark[node];
  if (mark == 0) {
    scratch.touched.push_back({node, labels_[node], false, false, false});
    mark = static_cast<std::uint32_t>(scratch.touched.size());
  }
  return mark - 1;
}

template <class Label, class Hops>
void ShortestTree<Label, Hops>::done(Scratch& scratch) {
  for (const Touched& t : scratch.touched) scratch.mark[t.node] = 0;
  scratch.touched.clear();
}

// Queues a node that may have lost its distance.
template <class Label, class Hops>
void ShortestTree<Label, Hops>::suspect(std::uint32_t node, Scratch& scratch) const {
  if (node == root_) return;
  Touched& t = scratch.touched[touch(node, scratch)];
  if (t.listed) return;
  t.listed = true;
  if (labels_[node].distance != kUnreachable) scratch.heap.push(labels_[node].distance, node);
}

// The least distance over the labels of the predecessors as they are now.
template <class Label, class Hops>
std::uint64_t ShortestTree<Label, Hops>::nearest(const View& g, std::uint32_t node) const {
  std::uint64_t best = kUnreachable;
  const auto row = g.rows[node];
  for (std::uint32_t i = row.begin; i < row.begin + row.edges; ++i) {
    std::uint32_t from = g.arcs[i].to;
    if (g.rows[from].transit == 0 && from != root_) continue;
    if (labels_[from].distance == kUnreachable) continue;
    std::uint64_t through = std::uint64_t{labels_[from].distance} + g.infos[i].back;
    if (through < best) best = through;
  }
  return best;
}

template <class Label, class Hops>
bool ShortestTree<Label, Hops>::supported(const View& g, std::uint32_t node) const {
  return nearest(g, node) <= labels_[node].distance;
}

// The union over all predecessors on shortest paths.
template <class Label, class Hops>
std::uint32_t ShortestTree<Label, Hops>::inherited(const View& g, std::uint32_t node,
                                                   const Hops& hops) const {
  std::uint32_t set = HopSets::kEmpty;
  if constexpr (kHops) {
    const auto row = g.rows[node];
    for (std::uint32_t i = row.begin; i < row.begin + row.edges; ++i) {
      std::uint32_t from = g.arcs[i].to;
      if (g.rows[from].transit == 0 && from != root_) continue;
      if (labels_[from].distance == kUnreachable ||
          std::uint64_t{labels_[from].distance} + g.infos[i].back != labels_[node].distance) {
        continue;
      }
      set = hops.unite(set,
                       from == root_ ? hops.set(g.infos[i].their_link, node) : labels_[from].set);
    }
  }
  return set;
}

// Step 1: by rising old distance, every node none of whose predecessors gives it that distance any
// more loses its label, and its successors on old shortest paths become suspects.
template <class Label, class Hops>
bool ShortestTree<Label, Hops>::unlabel_the_lost(const View& g, Scratch& scratch,
                                                 std::size_t limit) {
  scratch.heap.clear();
  for (std::uint32_t head : scratch.heads) suspect(head, scratch);
  while (!scratch.heap.empty()) {
    auto [distance, at] = scratch.heap.pop();
    if (supported(g, at)) continue;
    labels_[at].distance = kUnreachable;
    scratch.touched[scratch.mark[at] - 1].lost = true;
    const auto row = g.rows[at];
    if (row.transit == 0) continue;
    for (std::uint32_t i = row.begin; i < row.begin + row.edges; ++i) {
      std::uint64_t through = std::uint64_t{distance} + g.arcs[i].metric;
      if (labels_[g.arcs[i].to].distance == through) suspect(g.arcs[i].to, scratch);
    }
    if (scratch.touched.size() > limit) return false;
  }
  return true;
}

// Step 2: what the neighbours that kept their labels offer to each node looked at so far.
template <class Label, class Hops>
void ShortestTree<Label, Hops>::offer_what_is_left(const View& g, Scratch& scratch) {
  for (const Touched& t : scratch.touched) {
    std::uint64_t best = nearest(g, t.node);
    Label& label = labels_[t.node];
    bool better = best < label.distance;
    if (better) label.distance = static_cast<std::uint32_t>(best);
    if (label.distance != kUnreachable && (kHops || better)) {
      scratch.heap.push(label.distance, t.node);
    }
  }
}

// The new label of `node` is final: what it means for its successors.
template <class Label, class Hops>
void ShortestTree<Label, Hops>::pass_on(const View& g, std::uint32_t node, Scratch& scratch) {
  const auto row = g.rows[node];
  if (row.transit == 0) return;
  std::uint64_t distance = labels_[node].distance;
  for (std::uint32_t i = row.begin; i < row.begin + row.edges; ++i) {
    std::uint32_t to = g.arcs[i].to;
    std::uint64_t through = distance + g.arcs[i].metric;
    if (to == root_ || through > labels_[to].distance || through >= kUnreachable) continue;
    bool better = through < labels_[to].distance;
    if (!better && !kHops) continue;
    std::size_t known = scratch.touched.size();
    bool queued =
        touch(to, scratch) < known && !better;  // whoever was looked at is, with its label
    labels_[to].distance = static_cast<std::uint32_t>(through);
    if (!queued) scratch.heap.push(static_cast<std::uint32_t>(through), to);
  }
}

// Step 3: Dijkstra over the nodes looked at and those that they improve or give another set.
template <class Label, class Hops>
bool ShortestTree<Label, Hops>::settle(const View& g, const Hops& hops, Scratch& scratch,
                                       std::size_t limit) {
  while (!scratch.heap.empty()) {
    auto [distance, at] = scratch.heap.pop();
    Touched& t = scratch.touched[scratch.mark[at] - 1];
    if (t.settled || distance != labels_[at].distance) continue;
    t.settled = true;
    if constexpr (kHops) labels_[at].set = inherited(g, at, hops);
    if (t.lost || !(labels_[at] == t.was)) pass_on(g, at, scratch);
    if (scratch.touched.size() > limit) return false;
  }
  if constexpr (kHops) {
    for (const Touched& t : scratch.touched) {
      if (labels_[t.node].distance == kUnreachable) labels_[t.node].set = HopSets::kEmpty;
    }
  }
  return true;
}

template <class Label, class Hops>
bool ShortestTree<Label, Hops>::repair(const AdjacencyRows& rows, const Hops& hops,
                                       Scratch& scratch, std::size_t limit) {
  View g(rows);
  labels_.resize(rows.size());
  scratch.mark.resize(rows.size());
  if (!unlabel_the_lost(g, scratch, limit)) return false;
  offer_what_is_left(g, scratch);
  return settle(g, hops, scratch, limit);
}

}  // namespace dmsc::routing
