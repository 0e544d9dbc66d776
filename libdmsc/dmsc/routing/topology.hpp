// The graph that SPF runs on: nodes interned to dense indices, directed edges kept only when both
// ends advertise the link (two-way check). Fed with decoded Node LSA bodies, owned by one thread.
#pragma once
#include <unordered_map>
#include <vector>

#include "dmsc/core/ids.hpp"
#include "dmsc/wire/lsa.hpp"

namespace dmsc::routing {

struct Edge {
  std::uint32_t to = 0;       // node index
  std::uint32_t metric = 0;
  std::uint32_t link = 0;     // the sender's link id
};

class Topology {
 public:
  // Replaces everything `origin` said in that fragment of its Node LSA. Returns true if any usable
  // edge, metric, overload or transit flag changed (then SPF must run).
  bool set(NodeId origin, std::uint16_t fragment, const wire::NodeBody& body);
  bool remove(NodeId origin, std::uint16_t fragment);

  std::size_t node_count() const;
  std::uint32_t index(NodeId node) const;    // kNone if unknown
  NodeId node(std::uint32_t index) const;
  // Two-way checked edges out of a node.
  std::vector<Edge> edges(std::uint32_t index) const;
  bool transit_allowed(std::uint32_t index) const;  // not overloaded, not no_transit
  const wire::NodeBody* attributes(NodeId node) const;  // fragment 0

  static constexpr std::uint32_t kNone = ~0U;

 private:
  struct NodeEntry;
};

}  // namespace dmsc::routing
