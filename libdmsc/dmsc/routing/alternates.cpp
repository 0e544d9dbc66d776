#include "dmsc/routing/alternates.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include "dmsc/routing/spf.hpp"

namespace dmsc::routing {
namespace {
constexpr std::uint64_t kLinkOnly = std::uint64_t{1} << 40;  // above any length
}

void Alternates::restart() { state_ = State::stale; }

void Alternates::start(const Topology& topology, const Spf& spf) {
  links_.clear();
  neighbours_.clear();
  const AdjacencyRows& rows = topology.rows();
  const AdjacencyRows::Row& row = rows.rows()[spf.root_index_];
  for (std::uint32_t i = row.begin; i < row.begin + row.edges; ++i) {
    std::uint32_t to = rows.arcs()[i].to;
    links_.push_back({{rows.infos()[i].link, topology.node(to)}, rows.arcs()[i].metric, to});
  }
  auto order = [](const OwnLink& l) { return std::tuple(l.hop.neighbour, l.metric, l.hop.link); };
  std::sort(links_.begin(), links_.end(),
            [&](const OwnLink& a, const OwnLink& b) { return order(a) < order(b); });
  best_.assign(spf.tree_.labels().size(), Best{});  // a node heard of since has no label yet
  verdicts_.assign(spf.sets_.limit(), Verdict{});
  for (std::uint32_t i = 0; i < links_.size(); ++i) {
    if (i == 0 || links_[i].to != links_[i - 1].to) neighbours_.push_back(i);
  }
  // Trees of nodes that are no neighbours any more.
  for (auto it = kept_.begin(); it != kept_.end();) {
    bool stays = std::any_of(links_.begin(), links_.end(),
                             [&](const OwnLink& l) { return l.to == it->first; });
    it = stays ? std::next(it) : kept_.erase(it);
  }
  next_ = 0;
  state_ = State::stepping;
}

void Alternates::run_or_repair(const Topology& topology, std::uint32_t neighbour, Kept& kept) {
  scratch_.heads.clear();
  bool small = kept.valid && topology.changed_since(kept.version, scratch_.heads);
  kept.version = topology.version();
  kept.valid = true;
  if (small) {
    bool repaired = kept.tree.repair(topology.rows(), {}, scratch_, 64 + topology.node_count() / 8);
    Tree::done(scratch_);
    if (repaired) return;
  }
  kept.tree.run(topology.rows(), neighbour, {}, scratch_);
}

const Alternates::Tree& Alternates::tree_of(const Topology& topology, std::uint32_t neighbour) {
  auto it = kept_.find(neighbour);
  std::size_t fit = budget_ / (sizeof(DistanceLabel) * topology.node_count());
  if (it == kept_.end() && kept_.size() < fit) it = kept_.try_emplace(neighbour).first;
  Kept& kept = it == kept_.end() ? spare_ : it->second;
  if (&kept == &spare_) spare_.valid = false;
  run_or_repair(topology, neighbour, kept);
  return kept.tree;
}

const Alternates::OwnLink* Alternates::own_link(const FirstHop& hop) const {
  auto at = std::lower_bound(
      links_.begin(), links_.end(), hop.neighbour,
      [](const OwnLink& l, NodeId neighbour) { return l.hop.neighbour < neighbour; });
  while (at != links_.end() && at->hop.neighbour == hop.neighbour && at->hop != hop) ++at;
  return at != links_.end() && at->hop == hop ? &*at : nullptr;
}

const Alternates::Verdict& Alternates::verdict(const Spf& spf, std::uint32_t set,
                                               std::size_t neighbour, const Tree& tree) {
  Verdict& v = verdicts_[set];
  if (v.neighbour == neighbour) return v;
  v = {neighbour, std::numeric_limits<std::int64_t>::max(), Topology::kNone};
  std::vector<FirstHop> members = spf.sets_.members(set, kMaxEcmp);
  NodeId id = links_[neighbours_[neighbour]].hop.neighbour;
  for (const FirstHop& hop : members) {
    const OwnLink* link = own_link(hop);
    std::uint32_t there = tree.labels()[link->to].distance;
    if (there == kUnreachable) continue;
    v.threshold = std::min(v.threshold, std::int64_t{there} - std::int64_t{link->metric});
  }
  for (std::uint32_t i = neighbours_[neighbour];
       i < links_.size() && links_[i].hop.neighbour == id && v.link == Topology::kNone; ++i) {
    if (!std::binary_search(members.begin(), members.end(), links_[i].hop)) v.link = i;
  }
  return v;
}

// What one neighbour can do for every node.
void Alternates::offer(const Topology& topology, const Spf& spf, std::size_t neighbour,
                       const Tree& tree) {
  std::uint32_t root = spf.root_index_, self = links_[neighbours_[neighbour]].to;
  bool transit = topology.transit_allowed(self);
  std::uint32_t to_root = tree.labels()[root].distance;
  bool comes_back = topology.transit_allowed(root) && to_root != kUnreachable;
  for (std::uint32_t node = 0; node < best_.size(); ++node) {
    const HopLabel& label = spf.tree_.labels()[node];
    std::uint32_t there = tree.labels()[node].distance;
    if (label.set == HopSets::kEmpty || there == kUnreachable) continue;
    if (!transit && node != self) continue;
    if (comes_back && there >= std::uint64_t{to_root} + label.distance) continue;
    const Verdict& v = verdict(spf, label.set, neighbour, tree);
    if (v.link == Topology::kNone) continue;
    Best& best = best_[node];
    bool protects_nodes = std::int64_t{there} - std::int64_t{label.distance} < v.threshold;
    std::uint64_t rank = std::uint64_t{links_[v.link].metric} + there;
    if (!protects_nodes) rank += kLinkOnly;
    if (rank >= best.rank) continue;
    best.rank = rank;
    best.hop = v.link;
  }
}

void Alternates::finish(Spf& spf) {
  spf.changed_.clear();
  spf.groups_.begin();
  for (std::uint32_t node = 0; node < best_.size(); ++node) {
    const Best& best = best_[node];
    std::uint32_t set = spf.tree_.labels()[node].set;
    GroupId group = kNoGroup;
    if (best.rank == ~std::uint64_t{0}) {
      group = spf.groups_.plain(spf.sets_, set);
    } else {
      Protection protection = best.rank < kLinkOnly ? Protection::node : Protection::link;
      const NextHopGroup& held = spf.groups_[spf.group_[node]];
      bool same = spf.groups_.set_of(spf.group_[node]) == set && held.protection == protection &&
                  held.alternate == links_[best.hop].hop;
      group = same ? spf.group_[node]
                   : spf.groups_.with(spf.sets_, set, links_[best.hop].hop, protection);
    }
    if (group == spf.group_[node]) continue;
    spf.assign(node, group);
    spf.changed_.push_back(node);
  }
  spf.groups_.end();
  ++spf.steps_;
  best_ = {};
  verdicts_ = {};
  spare_.tree.clear();
  state_ = State::current;
}

void Alternates::step(const Topology& topology, Spf& spf) {
  if (state_ == State::stale) start(topology, spf);
  if (next_ < neighbours_.size()) {
    const Tree& tree = tree_of(topology, links_[neighbours_[next_]].to);
    offer(topology, spf, next_, tree);
    ++next_;
  }
  if (next_ >= neighbours_.size()) finish(spf);
}

std::size_t Alternates::bytes() const {
  std::size_t bytes = links_.capacity() * sizeof(OwnLink) + best_.capacity() * sizeof(Best) +
                      verdicts_.capacity() * sizeof(Verdict) + scratch_.bytes() +
                      spare_.tree.bytes();
  for (const auto& [node, kept] : kept_) bytes += kept.tree.bytes() + sizeof(Kept);
  return bytes;
}

}  // namespace dmsc::routing
