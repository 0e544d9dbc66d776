// The topics every node has (docs/operations.md, "Looking at a node"). Each function makes the rows or
// the value of one; the node registers them.
#pragma once
#include "dmsc/node/node_impl.hpp"

namespace dmsc::node::inspect {

using Arguments = std::vector<std::string>;

Json neighbors(const NodeImpl& node, const linkstate::Engine& engine);
Json neighbor(const NodeImpl& node, const linkstate::NeighbourView& view, const LinkRecord& link);
Json discovery(const NodeImpl& node);
Json links(const NodeImpl& node);
Json counters(const NodeImpl& node, linkstate::Engine& engine, dataplane::DataPlane& plane);

// Without arguments one row per LSA; with ORIGIN [TYPE [FRAGMENT]] those LSAs with their bodies. The
// origin is a name or an id.
Result<Json> lsdb(const NodeImpl& node, linkstate::Engine& engine, const Arguments& arguments);
// The decoded body of any LSA.
Json lsa_body(const Node& node, const wire::Lsa& lsa);

Json routes(const NodeImpl& node);
Json fib(dataplane::DataPlane& plane, const NodeImpl& node);
Json paths(const NodeImpl& node);
Json labels(const NodeImpl& node);

Json trust(const NodeImpl& node);
Json grants(const NodeImpl& node);

Result<Json> explain(NodeImpl& node, dataplane::DataPlane& plane, const Arguments& arguments);

void ping(NodeImpl& node, const Arguments& arguments, TopicReply reply);
void trace(NodeImpl& node, const Arguments& arguments, TopicReply reply);
// NAME [PROBES-A-SECOND [SECONDS]]: a stream of probes; the value says how many were lost and when.
void stream(NodeImpl& node, const Arguments& arguments, TopicReply reply);

// ---- shared by them -------------------------------------------------------------------------------
inline double ms(Duration d) { return static_cast<double>(d / microseconds(1)) / 1000.0; }
// "sr-2 over to-sr-2"
std::string via(const NodeImpl& node, std::uint32_t link, NodeId neighbour);
std::string link_name(const NodeImpl& node, LinkId link);
// By name or by decimal id; 0 = neither known.
NodeId node_argument(const Node& node, const std::string& text);
// What probes go to: a service name, or a node's: "node:sr-2" or just its name if nothing announces
// such a prefix.
Result<dataplane::ProbeSpec> probe_target(const Node& node, const Arguments& arguments);
Json names_of(const Node& node, const std::vector<NodeId>& ids);

}  // namespace dmsc::node::inspect
