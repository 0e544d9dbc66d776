// One run as a plain value with everything per destination: what the RIB takes until it reads Spf
// directly, and what tests compare.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "dmsc/routing/spf.hpp"

namespace dmsc::routing {

struct Destination {
  std::uint32_t distance = kUnreachable;
  std::vector<FirstHop> next_hops;    // sorted, no duplicates, at most kMaxEcmp; root: none
  std::optional<FirstHop> alternate;  // used when every next hop is lost; never one of them
  Protection protection = Protection::none;
  friend bool operator==(const Destination&, const Destination&) = default;
};

// Result of one run, indexed by Topology node index.
struct SpfResult {
  NodeId root;
  std::vector<Destination> destinations;
  std::uint64_t nodes_settled = 0;
};

// Distances and next hops. An unknown root reaches nothing.
SpfResult run_spf(const Topology& topology, NodeId root);
// Adds alternates to a result of the same topology.
void add_alternates(const Topology& topology, SpfResult& result);
// What `spf` says of every node.
SpfResult expand(const Topology& topology, const Spf& spf);

}  // namespace dmsc::routing
