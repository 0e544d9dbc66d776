#include "dmsc/routing/topology.hpp"

#include <algorithm>
#include <tuple>

namespace dmsc::routing {
namespace {

auto place(const wire::Adjacency& a) { return std::tie(a.neighbour, a.link, a.neighbour_link); }
bool before(const wire::Adjacency& a, const wire::Adjacency& b) { return place(a) < place(b); }

// Carries data, and its sender is synchronised.
bool in_use(const wire::Adjacency& a) {
  return (a.flags & wire::kAdjacencyUsable) != 0 && (a.flags & wire::kAdjacencyStarting) == 0 &&
         a.metric != 0;
}

// Both sorted by place. Bad news: an edge of `was` is missing from `is` or dearer there.
TopologyChange compare(const std::vector<wire::Adjacency>& was,
                       const std::vector<wire::Adjacency>& is) {
  TopologyChange change;
  auto old = was.begin(), now = is.begin();
  while (old != was.end() || now != is.end()) {
    if (now == is.end() || (old != was.end() && before(*old, *now))) {
      return {true, true};
    }
    if (old == was.end() || before(*now, *old)) {
      change.changed = true;
      ++now;
      continue;
    }
    if (now->metric != old->metric) change.changed = true;
    if (now->metric > old->metric) change.bad_news = true;
    ++old, ++now;
  }
  return change;
}

}  // namespace

std::uint32_t Topology::index(NodeId node) const {
  return node.value < index_by_id_.size() ? index_by_id_[node.value] : kNone;
}

std::uint32_t Topology::intern(NodeId node) {
  if (node.value >= index_by_id_.size()) index_by_id_.resize(node.value + 1, kNone);
  std::uint32_t& index = index_by_id_[node.value];
  if (index == kNone) {
    index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back({node, false, {}, {}});
  }
  return index;
}

void Topology::gather(NodeEntry& entry) {
  entry.adjacencies.clear();
  for (const auto& [fragment, body] : entry.fragments) {
    for (const wire::Adjacency& a : body.adjacencies) {
      if (in_use(a) && a.neighbour != entry.id) entry.adjacencies.push_back(a);
    }
  }
  auto& list = entry.adjacencies;
  std::stable_sort(list.begin(), list.end(), before);
  auto same = [](const auto& a, const auto& b) { return place(a) == place(b); };
  list.erase(std::unique(list.begin(), list.end(), same), list.end());
  auto attributes = entry.fragments.find(0);
  entry.transit = attributes != entry.fragments.end() && !attributes->second.overload &&
                  !attributes->second.no_transit;
}

bool Topology::two_way(NodeId from, const wire::Adjacency& adjacency) const {
  std::uint32_t peer = index(adjacency.neighbour);
  if (peer == kNone) return false;
  wire::Adjacency back;
  back.neighbour = from;
  back.link = adjacency.neighbour_link;
  back.neighbour_link = adjacency.link;
  const auto& list = nodes_[peer].adjacencies;
  return std::binary_search(list.begin(), list.end(), back, before);
}

TopologyChange Topology::apply(std::uint32_t index, const wire::NodeBody* body,
                               std::uint16_t fragment) {
  auto usable = [&] {
    std::vector<wire::Adjacency> out;
    for (const wire::Adjacency& a : nodes_[index].adjacencies) {
      if (two_way(nodes_[index].id, a)) out.push_back(a);
    }
    return out;
  };
  NodeEntry& entry = nodes_[index];
  bool transit_was = entry.transit;
  std::vector<wire::Adjacency> was = usable();
  if (body != nullptr) {
    entry.fragments[fragment] = *body;
  } else {
    entry.fragments.erase(fragment);
  }
  gather(entry);
  TopologyChange change = compare(was, usable());
  if (transit_was != entry.transit && !(was.empty() && !change.changed)) {
    change.changed = true;
    change.bad_news = change.bad_news || transit_was;
  }
  if (change.changed || transit_was != entry.transit) graph_current_ = false;
  return change;
}

TopologyChange Topology::set(NodeId origin, std::uint16_t fragment, const wire::NodeBody& body) {
  if (!origin || origin.value > kMaxNodeId) return {};
  std::size_t known = nodes_.size();
  std::uint32_t index = intern(origin);
  if (nodes_.size() != known) graph_current_ = false;
  return apply(index, &body, fragment);
}

TopologyChange Topology::remove(NodeId origin, std::uint16_t fragment) {
  std::uint32_t index = this->index(origin);
  if (index == kNone || nodes_[index].fragments.count(fragment) == 0) return {};
  return apply(index, nullptr, fragment);
}

std::vector<Edge> Topology::edges(std::uint32_t index) const {
  const Graph& g = graph();
  return {g.edges.begin() + g.first[index], g.edges.begin() + g.first[index + 1]};
}

const wire::NodeBody* Topology::attributes(NodeId node) const {
  std::uint32_t index = this->index(node);
  if (index == kNone) return nullptr;
  auto it = nodes_[index].fragments.find(0);
  return it == nodes_[index].fragments.end() ? nullptr : &it->second;
}

const Graph& Topology::graph() const {
  if (graph_current_) return graph_;
  graph_.first.assign(1, 0);
  graph_.edges.clear();
  graph_.transit.clear();
  for (const NodeEntry& entry : nodes_) {
    for (const wire::Adjacency& a : entry.adjacencies) {
      if (two_way(entry.id, a)) graph_.edges.push_back({index(a.neighbour), a.metric, a.link});
    }
    graph_.first.push_back(static_cast<std::uint32_t>(graph_.edges.size()));
    graph_.transit.push_back(entry.transit ? 1 : 0);
  }
  graph_current_ = true;
  return graph_;
}

}  // namespace dmsc::routing
