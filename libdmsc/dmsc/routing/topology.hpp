// The graph that SPF runs on: nodes interned to dense indices, directed edges kept only when both
// ends advertise the same link (two-way check). Fed with decoded Node LSA bodies, owned by one
// thread; copyable, so a copy can be computed on elsewhere.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "dmsc/core/ids.hpp"
#include "dmsc/wire/lsa.hpp"

namespace dmsc::routing {

struct Edge {
  std::uint32_t to = 0;      // node index
  std::uint32_t metric = 0;  // >= 1
  std::uint32_t link = 0;    // the sender's link id
};

// What a Node LSA changed for SPF. Converts to bool: SPF must run.
struct TopologyChange {
  bool changed = false;
  bool bad_news = false;  // an edge went or got dearer, or a node left transit: SPF must not wait
  operator bool() const { return changed; }  // NOLINT: implicit on purpose
};

// All usable edges in compressed rows: those out of node i are edges[first[i]] ..
// edges[first[i+1]-1], by neighbour's node id, then link id.
struct Graph {
  std::vector<std::uint32_t> first;
  std::vector<Edge> edges;
  std::vector<std::uint8_t> transit;  // 1 = paths may pass through
};

class Topology {
 public:
  // Replaces everything `origin` said in that fragment of its Node LSA. Fragment 0 alone carries
  // the node's attributes.
  TopologyChange set(NodeId origin, std::uint16_t fragment, const wire::NodeBody& body);
  TopologyChange remove(NodeId origin, std::uint16_t fragment);

  // Indices run from 0 and stay with their node for good; a removed node has no edges.
  std::size_t node_count() const { return nodes_.size(); }
  std::uint32_t index(NodeId node) const;  // kNone if never seen
  NodeId node(std::uint32_t index) const { return nodes_[index].id; }
  // Two-way checked edges out of a node.
  std::vector<Edge> edges(std::uint32_t index) const;
  // Neither overloaded nor no_transit; a node without fragment 0 is no transit.
  bool transit_allowed(std::uint32_t index) const { return nodes_[index].transit; }
  const wire::NodeBody* attributes(NodeId node) const;  // fragment 0, nullptr if not held

  // The graph as SPF wants it, built when first asked for after a change.
  const Graph& graph() const;

  static constexpr std::uint32_t kNone = ~0U;

 private:
  struct NodeEntry {
    NodeId id;
    bool transit = false;
    std::map<std::uint16_t, wire::NodeBody> fragments;
    std::vector<wire::Adjacency> adjacencies;  // usable ones of all fragments, sorted
  };
  std::uint32_t intern(NodeId node);
  void gather(NodeEntry& entry);
  bool two_way(NodeId from, const wire::Adjacency& adjacency) const;
  TopologyChange apply(std::uint32_t index, const wire::NodeBody* body, std::uint16_t fragment);

  std::vector<NodeEntry> nodes_;
  std::vector<std::uint32_t> index_by_id_;
  mutable Graph graph_;
  mutable bool graph_current_ = false;
};

}  // namespace dmsc::routing
