// Policies of the scheduling center (DESIGN section 9) as plain values: what scscd decides, what a
// node applies. Never an independent next hop in mid-path, so no policy can make a loop.
#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "dmsc/name/name.hpp"
#include "dmsc/routing/rib.hpp"

namespace dmsc::routing {

// Shares of new flows at one ingress gateway; an instance that is absent keeps no share.
struct InstanceWeights {
  Name prefix;
  std::map<Instance, std::uint32_t> weights;
  friend bool operator==(const InstanceWeights&, const InstanceWeights&) = default;
};

// Added to the metric of one link by the router it is issued to.
struct LinkBias {
  std::uint32_t link = 0;
  NodeId neighbour;
  std::uint32_t bias = 0;
  friend bool operator==(const LinkBias&, const LinkBias&) = default;
};

// An explicit path: INSTALL on all its nodes first, USE at the ingress when all have acknowledged.
struct ExplicitPath {
  enum class Phase { install, use };
  PathLabel label;
  Phase phase = Phase::install;
  std::vector<NodeId> nodes;  // ingress first, egress last; at least two
  Name prefix;                // what the ingress sends over it
  friend bool operator==(const ExplicitPath&, const ExplicitPath&) = default;
};

using PolicyContent = std::variant<InstanceWeights, LinkBias, ExplicitPath>;

// One policy for one node.
struct Policy {
  std::string id;      // stable over versions: "weights/B", "bias/sr-1-sr-2", "path/B/4/1048577"
  PolicyContent content;
  std::string reason;  // what was measured, in words
};

// "weights", "bias" or "path".
const char* kind_of(const PolicyContent& content);

}  // namespace dmsc::routing
