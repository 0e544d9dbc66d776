#include "dmsc/routing/spf.hpp"

#include <algorithm>

#include "dmsc/routing/alternates.hpp"

namespace dmsc::routing {
namespace {

// A repair that looks at more nodes than this costs about as much as a full run.
std::size_t repair_limit(std::size_t nodes) { return 64 + nodes / 8; }

bool passes(const Topology& topology, std::uint32_t node, std::uint32_t root) {
  return node == root || topology.transit_allowed(node);
}

// Backwards from the target, always to the lowest-numbered predecessor on a shortest path.
template <class Distance>
std::vector<NodeId> walk_back(const Topology& topology, std::uint32_t root, std::uint32_t target,
                              Distance distance) {
  if (distance(target) == kUnreachable) return {};
  const AdjacencyRows& rows = topology.rows();
  std::vector<NodeId> path{topology.node(target)};
  for (std::uint32_t at = target; at != root;) {
    const AdjacencyRows::Row& row = rows.rows()[at];
    std::uint32_t best = Topology::kNone;
    for (std::uint32_t i = row.begin; i < row.begin + row.edges && best == Topology::kNone; ++i) {
      std::uint32_t from =
          rows.arcs()[i].to;  // rows are sorted by node id: the first is the lowest
      if (!passes(topology, from, root) || distance(from) == kUnreachable) continue;
      if (std::uint64_t{distance(from)} + rows.infos()[i].back == distance(at)) best = from;
    }
    if (best == Topology::kNone) return {};  // the distances are of another topology
    at = best;
    path.push_back(topology.node(at));
  }
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace

Spf::Spf(NodeId root) : root_(root), alternates_(std::make_unique<Alternates>()) {}
Spf::~Spf() = default;
Spf::Spf(Spf&&) noexcept = default;
Spf& Spf::operator=(Spf&&) noexcept = default;

void Spf::take_over_hops(const Topology& topology) {
  std::vector<FirstHop> hops;
  for (const Edge& edge : topology.edges(root_index_)) {
    hops.push_back({edge.link, topology.node(edge.to)});
  }
  sets_.set_hops(std::move(hops));
}

void Spf::assign(std::uint32_t node, GroupId group) {
  groups_.join(group);
  groups_.leave(group_[node]);
  group_[node] = group;
}

void Spf::note(std::uint32_t node, const HopLabel& was) {
  const HopLabel& label = tree_.labels()[node];
  if (label == was) return;
  changed_.push_back(node);
  if (label.set != was.set) assign(node, groups_.plain(sets_, label.set));
}

bool Spf::repair(const Topology& topology, const RootHops& hops) {
  if (!tree_.repair(topology.rows(), hops, scratch_, repair_limit(topology.node_count()))) {
    tree_.undo(scratch_);
    tree_.done(scratch_);
    return false;
  }
  last_work_ = scratch_.touched.size();
  group_.resize(topology.node_count(), kNoGroup);
  for (const auto& touched : scratch_.touched) note(touched.node, touched.was);
  tree_.done(scratch_);
  ++repairs_;
  return true;
}

void Spf::run_full(const Topology& topology, const RootHops& hops) {
  std::vector<HopLabel> was = tree_.labels();
  last_work_ = tree_.run(topology.rows(), root_index_, hops, scratch_);
  was.resize(topology.node_count());
  group_.resize(topology.node_count(), kNoGroup);
  for (std::uint32_t node = 0; node < was.size(); ++node) note(node, was[node]);
  ++full_runs_;
}

// Sets that neither a node nor a group has any more.
void Spf::sweep_sets() {
  std::vector<std::uint8_t> in_use(sets_.limit(), 0);
  for (const HopLabel& label : tree_.labels()) in_use[label.set] = 1;
  for (GroupId id = 0; id < groups_.limit(); ++id) in_use[groups_.set_of(id)] = 1;
  sets_.sweep(std::move(in_use));
}

Spf::Run Spf::update(const Topology& topology) {
  root_index_ = topology.index(root_);
  if (root_index_ == Topology::kNone) return Run::none;
  changed_.clear();
  groups_.begin();
  scratch_.heads.clear();
  bool small = valid_ && topology.changed_since(version_, scratch_.heads);
  version_ = topology.version();
  if (small && scratch_.heads.empty() && topology.node_count() == tree_.labels().size()) {
    groups_.end();
    return Run::none;
  }
  alternates_->restart();
  if (sets_.wants_sweep()) sweep_sets();
  if (!small || std::count(scratch_.heads.begin(), scratch_.heads.end(), root_index_) != 0) {
    take_over_hops(topology);
  }
  RootHops hops{sets_, topology};
  bool repaired = small && repair(topology, hops);
  if (!repaired) run_full(topology, hops);
  valid_ = true;
  groups_.end();
  ++steps_;
  return repaired ? Run::repair : Run::full;
}

bool Spf::update_alternates(const Topology& topology, std::size_t neighbours) {
  if (!valid_ || topology.version() != version_) return false;
  while (!alternates_->current() && neighbours-- > 0) alternates_->step(topology, *this);
  return alternates_->current();
}

bool Spf::alternates_current() const { return alternates_->current(); }
void Spf::set_alternates_budget(std::size_t bytes) { alternates_->set_budget(bytes); }

Spf::Protected Spf::count_protected() const {
  Protected out;
  for (GroupId id = 1; id < groups_.limit(); ++id) {
    switch (groups_[id].protection) {
      case Protection::none:
        out.none += groups_.users(id);
        break;
      case Protection::link:
        out.link += groups_.users(id);
        break;
      case Protection::node:
        out.node += groups_.users(id);
        break;
    }
  }
  return out;
}

std::vector<NodeId> Spf::path_to(const Topology& topology, NodeId target) const {
  std::uint32_t index = topology.index(target);
  if (index == Topology::kNone || !valid_) return {};
  return walk_back(topology, root_index_, index, [this](std::uint32_t i) { return distance(i); });
}

std::size_t Spf::result_bytes() const {
  return tree_.bytes() + sets_.bytes() + groups_.bytes() + group_.capacity() * sizeof(GroupId) +
         changed_.capacity() * sizeof(std::uint32_t);
}

std::size_t Spf::scratch_bytes() const { return scratch_.bytes() + alternates_->bytes(); }

std::vector<std::uint32_t> distances_from(const Topology& topology, NodeId root_id) {
  std::vector<std::uint32_t> distance(topology.node_count(), kUnreachable);
  std::uint32_t root = topology.index(root_id);
  if (root == Topology::kNone) return distance;
  ShortestTree<DistanceLabel, NoHops> tree;
  TreeScratch<DistanceLabel> scratch;
  tree.run(topology.rows(), root, {}, scratch);
  for (std::uint32_t i = 0; i < distance.size(); ++i) distance[i] = tree.labels()[i].distance;
  return distance;
}

std::vector<NodeId> shortest_path(const Topology& topology, NodeId from, NodeId to) {
  std::uint32_t root = topology.index(from), target = topology.index(to);
  if (root == Topology::kNone || target == Topology::kNone) return {};
  std::vector<std::uint32_t> distance = distances_from(topology, from);
  return walk_back(topology, root, target, [&](std::uint32_t i) { return distance[i]; });
}

}  // namespace dmsc::routing
