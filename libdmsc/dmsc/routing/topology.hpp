// The graph that SPF runs on: nodes interned to dense indices, directed edges kept only when both
// ends advertise the same link (two-way check). Fed with decoded Node LSA bodies and patched where
// they differ; owned by one thread; copyable, so a copy can be computed on elsewhere.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "dmsc/routing/adjacency_rows.hpp"
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

// What fragment 0 of a Node LSA says about the node itself.
struct NodeAttributes {
  std::string name;
  wire::NodeRole role = wire::NodeRole::router;
  bool overload = false;
  bool no_transit = false;
};

class Topology {
 public:
  // Replaces everything `origin` said in that fragment of its Node LSA. Fragment 0 alone carries
  // the node's attributes. Costs the node's degree, whatever the size of the domain.
  TopologyChange set(NodeId origin, std::uint16_t fragment, const wire::NodeBody& body);
  TopologyChange remove(NodeId origin, std::uint16_t fragment);

  // Indices run from 0 and stay with their node for good; a removed node has no edges.
  std::size_t node_count() const { return nodes_.size(); }
  std::uint32_t index(NodeId node) const;  // kNone if it never had a Node LSA
  NodeId node(std::uint32_t index) const { return nodes_[index].id; }
  // Two-way checked edges out of a node, by neighbour's node id, then link id.
  std::vector<Edge> edges(std::uint32_t index) const;
  std::size_t edge_count() const { return rows_.edge_count(); }
  // Neither overloaded nor no_transit; a node without fragment 0 is no transit.
  bool transit_allowed(std::uint32_t index) const { return rows_.transit(index); }
  const NodeAttributes* attributes(NodeId node) const;  // nullptr if fragment 0 is not held

  // The edges as shortest-path runs read them. Valid until the next set() or remove().
  const AdjacencyRows& rows() const { return rows_; }

  // Counts changes. A computation that was up to date at `version` is brought up to date by looking
  // at the nodes changed_since() appends to `heads`: those an edge into which came, went, changed
  // its metric, or whose sender changed its transit; a node may be named more than once. False if
  // that is so long ago, or so much, that only a full run helps; `heads` is untouched then.
  std::uint64_t version() const { return forgotten_ + heads_.size(); }
  bool changed_since(std::uint64_t version, std::vector<std::uint32_t>& heads) const;

  // Heap memory in use, in bytes, names beyond 15 bytes not counted.
  std::size_t bytes() const;

  static constexpr std::uint32_t kNone = ~0U;

 private:
  struct NodeEntry {
    NodeId id;
    bool described = false;  // fragment 0 is held
    NodeAttributes attributes;
  };
  std::uint32_t intern(NodeId node);
  void find_edges(std::uint32_t index, std::vector<Advertised>& entries) const;
  TopologyChange apply(std::uint32_t index, const wire::NodeBody* body, std::uint16_t fragment);
  TopologyChange patch_neighbours(std::uint32_t index, const std::vector<Advertised>& was,
                                  const std::vector<Advertised>& is);
  void link_lost(std::uint32_t index, const Advertised& edge);
  void link_gained(std::uint32_t index, const Advertised& edge);
  bool describe(std::uint32_t index, const wire::NodeBody* body);
  void touch(std::uint32_t head);

  std::vector<NodeEntry> nodes_;
  std::vector<std::uint32_t> index_by_id_;
  AdjacencyRows rows_;
  std::vector<std::uint32_t> heads_;
  std::uint64_t forgotten_ = 0;  // heads dropped from the front of the list
};

}  // namespace dmsc::routing
