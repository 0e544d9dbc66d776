// Path MTU from this node to every other, from what Node LSAs tell of links (wire/link_mtu.hpp): the
// least over all that may carry a packet from here, which is
//   - every branch of equal cost, at every hop,
//   - this node's own loop-free alternates, and the shortest paths they lead to,
//   - the explicit paths it uses (their links are given by the caller).
// Alternates of nodes on the way are not foreseen: they last until SPF has run, and who drops a packet
// there says what would pass.
//
// While no link tells anything, which is the rule, this costs nothing: no graph is looked at.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "dmsc/routing/spf.hpp"
#include "dmsc/wire/link_mtu.hpp"

namespace dmsc::routing {

// Immutable once made; shared between threads.
struct PathMtuTable {
  std::uint16_t others = wire::kUntoldLinkMtu;  // to nodes not in `by_node`
  std::vector<std::uint16_t> by_node;           // index = node id; 0 = as `others`
  // Bytes of the largest datagram (service header and payload, sealed if it is) on every path.
  std::uint16_t to(NodeId node) const {
    std::uint16_t own = node.value < by_node.size() ? by_node[node.value] : 0;
    return own != 0 ? own : others;
  }
  friend bool operator==(const PathMtuTable&, const PathMtuTable&) = default;
};
using PathMtuTablePtr = std::shared_ptr<const PathMtuTable>;

class LinkMtus {
 public:
  // What `origin` says in that fragment of its Node LSA replaces what it said there; true if any link
  // carries something else now. A body that does not decode counts as telling nothing.
  bool set(NodeId origin, std::uint16_t fragment, const wire::NodeBody& body);
  bool remove(NodeId origin, std::uint16_t fragment);
  // Of one direction of a link.
  std::uint16_t of(NodeId origin, std::uint32_t link) const;
  // Of the narrowest link from `from` to `to`; kUntoldLinkMtu without one.
  std::uint16_t between(const Topology& topology, NodeId from, NodeId to) const;
  // No link of the domain carries anything but kUntoldLinkMtu.
  bool all_untold() const { return told_.empty(); }

 private:
  using Told = std::vector<wire::LinkMtu>;  // by link; those that are told
  bool replace(const std::pair<NodeId, std::uint16_t>& key, Told told);
  std::map<std::pair<NodeId, std::uint16_t>, Told> told_;  // none is empty
};

// An explicit path of this node, ingress first.
struct LabelledPath {
  NodeId egress;
  const std::vector<NodeId>* nodes = nullptr;
};

// `spf` is up to date with `topology`, alternates as far as it has them.
PathMtuTable path_mtus(const Topology& topology, const Spf& spf, const LinkMtus& links,
                       const std::vector<LabelledPath>& paths);

}  // namespace dmsc::routing
