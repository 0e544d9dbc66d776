#include "dmsc/routing/topology.hpp"

#include <algorithm>
#include <tuple>

namespace dmsc::routing {
namespace {

auto place(const Advertised& a) { return std::tie(a.neighbour, a.link, a.their_link); }

bool before(const Advertised& a, const Advertised& b) {
  return std::tie(a.neighbour, a.link, a.their_link, a.fragment) <
         std::tie(b.neighbour, b.link, b.their_link, b.fragment);
}

// Carries data, and its sender is synchronised.
bool in_use(const wire::Adjacency& a) {
  return (a.flags & wire::kAdjacencyUsable) != 0 && (a.flags & wire::kAdjacencyStarting) == 0 &&
         a.metric != 0;
}

void add_fragment(std::vector<Advertised>& entries, NodeId origin, const wire::NodeBody& body,
                  std::uint16_t fragment) {
  for (const wire::Adjacency& a : body.adjacencies) {
    if (!in_use(a) || a.neighbour == origin) continue;
    entries.push_back({a.neighbour, a.link, a.neighbour_link, a.metric, fragment, 0, 0, false});
  }
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
    // By a quarter, as the rows grow: doubling would waste half of the memory of a large domain.
    if (nodes_.size() == nodes_.capacity()) nodes_.reserve(nodes_.size() + nodes_.size() / 4 + 16);
    nodes_.push_back({node, false, {}});
    rows_.add_row();
  }
  return index;
}

void Topology::touch(std::uint32_t head) {
  // Past this a full run is cheaper than looking at every head.
  if (heads_.size() >= 256 + nodes_.size() / 8) {
    forgotten_ += heads_.size();
    heads_.clear();
  }
  heads_.push_back(head);
}

bool Topology::changed_since(std::uint64_t version, std::vector<std::uint32_t>& heads) const {
  if (version < forgotten_ || version > this->version()) return false;
  auto from = static_cast<std::ptrdiff_t>(version - forgotten_);
  heads.insert(heads.end(), heads_.begin() + from, heads_.end());
  return true;
}

// Marks the entries that the far end advertises too. Of several for one link the first counts.
void Topology::find_edges(std::uint32_t index, std::vector<Advertised>& entries) const {
  NodeId self = nodes_[index].id;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    Advertised& e = entries[i];
    e.edge = false;
    std::uint32_t peer = this->index(e.neighbour);
    if (peer == kNone || (i > 0 && place(entries[i - 1]) == place(e))) continue;
    std::uint32_t at = rows_.find(peer, true, index, e.their_link, e.link);
    if (at == AdjacencyRows::kNone) at = rows_.find(peer, false, self.value, e.their_link, e.link);
    if (at == AdjacencyRows::kNone) continue;
    e.edge = true;
    e.to = peer;
    e.back = rows_.arcs()[at].metric;
  }
}

void Topology::link_lost(std::uint32_t index, const Advertised& edge) {
  auto id_of = [this](std::uint32_t i) { return nodes_[i].id; };
  std::uint32_t at = rows_.find(edge.to, true, index, edge.their_link, edge.link);
  if (at != AdjacencyRows::kNone) rows_.demote(edge.to, at, id_of);
  touch(edge.to);
  touch(index);
}

void Topology::link_gained(std::uint32_t index, const Advertised& edge) {
  auto id_of = [this](std::uint32_t i) { return nodes_[i].id; };
  std::uint32_t at = rows_.find(edge.to, false, nodes_[index].id.value, edge.their_link, edge.link);
  if (at != AdjacencyRows::kNone) rows_.promote(edge.to, at, index, edge.metric, id_of);
  touch(edge.to);
  touch(index);
}

// Both sorted. What the far ends have of the links whose edges came, went or changed their metric.
TopologyChange Topology::patch_neighbours(std::uint32_t index, const std::vector<Advertised>& was,
                                          const std::vector<Advertised>& is) {
  TopologyChange change;
  auto old = was.begin(), now = is.begin();
  while (true) {
    while (old != was.end() && !old->edge) ++old;
    while (now != is.end() && !now->edge) ++now;
    if (old == was.end() && now == is.end()) return change;
    if (now == is.end() || (old != was.end() && place(*old) < place(*now))) {
      change = {true, true};
      link_lost(index, *old++);
    } else if (old == was.end() || place(*now) < place(*old)) {
      change.changed = true;
      link_gained(index, *now++);
    } else {
      if (now->metric != old->metric) {
        change.changed = true;
        change.bad_news = change.bad_news || now->metric > old->metric;
        rows_.set_back(rows_.find(now->to, true, index, now->their_link, now->link), now->metric);
        touch(now->to);
      }
      ++old, ++now;
    }
  }
}

// Takes over the attributes; true if the node's transit changed.
bool Topology::describe(std::uint32_t index, const wire::NodeBody* body) {
  NodeEntry& entry = nodes_[index];
  entry.described = body != nullptr;
  entry.attributes = body == nullptr
                         ? NodeAttributes{}
                         : NodeAttributes{body->name, body->role, body->overload, body->no_transit};
  bool transit = body != nullptr && !body->overload && !body->no_transit;
  if (transit == rows_.transit(index)) return false;
  rows_.set_transit(index, transit);
  return true;
}

TopologyChange Topology::apply(std::uint32_t index, const wire::NodeBody* body,
                               std::uint16_t fragment) {
  std::vector<Advertised> was, is;
  rows_.read(index, was, [this](std::uint32_t i) { return nodes_[i].id; });
  std::sort(was.begin(), was.end(), before);
  for (const Advertised& a : was) {
    if (a.fragment != fragment) is.push_back(a);
  }
  if (body != nullptr) add_fragment(is, nodes_[index].id, *body, fragment);
  std::stable_sort(is.begin(), is.end(), before);
  find_edges(index, is);
  TopologyChange change;
  if (is != was) {
    change = patch_neighbours(index, was, is);
    rows_.write(index, is);
  }
  if (fragment == 0 && describe(index, body)) {
    auto edge = [](const Advertised& a) { return a.edge; };
    bool had_edges = std::any_of(was.begin(), was.end(), edge);
    for (const Advertised& a : is) {
      if (a.edge) touch(a.to);
    }
    if (had_edges || change.changed) {
      change.changed = true;
      change.bad_news = change.bad_news || !rows_.transit(index);
    }
  }
  return change;
}

TopologyChange Topology::set(NodeId origin, std::uint16_t fragment, const wire::NodeBody& body) {
  if (!origin || origin.value > kMaxNodeId) return {};
  return apply(intern(origin), &body, fragment);
}

TopologyChange Topology::remove(NodeId origin, std::uint16_t fragment) {
  std::uint32_t index = this->index(origin);
  if (index == kNone) return {};
  return apply(index, nullptr, fragment);
}

std::vector<Edge> Topology::edges(std::uint32_t index) const {
  const AdjacencyRows::Row& row = rows_.rows()[index];
  std::vector<Edge> out;
  out.reserve(row.edges);
  for (std::uint32_t i = row.begin; i < row.begin + row.edges; ++i) {
    out.push_back({rows_.arcs()[i].to, rows_.arcs()[i].metric, rows_.infos()[i].link});
  }
  return out;
}

const NodeAttributes* Topology::attributes(NodeId node) const {
  std::uint32_t index = this->index(node);
  return index == kNone || !nodes_[index].described ? nullptr : &nodes_[index].attributes;
}

std::size_t Topology::bytes() const {
  return nodes_.capacity() * sizeof(NodeEntry) + index_by_id_.capacity() * sizeof(std::uint32_t) +
         heads_.capacity() * sizeof(std::uint32_t) + rows_.bytes();
}

}  // namespace dmsc::routing
