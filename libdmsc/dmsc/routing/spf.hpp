// Shortest path first from one root: distances, up to 64 equal-cost first hops, and per destination
// a loop-free alternate (RFC 5286), node-protecting first. Deterministic for the same topology.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "dmsc/routing/topology.hpp"

namespace dmsc::routing {

inline constexpr std::uint32_t kUnreachable = ~0U;
inline constexpr std::size_t kMaxEcmp = 64;

// One way out of the root: an own link and the neighbour at its far end.
struct FirstHop {
  std::uint32_t link = 0;
  NodeId neighbour;
  friend auto operator<=>(const FirstHop&, const FirstHop&) = default;
};

enum class Protection : std::uint8_t { none, link, node };

struct Destination {
  std::uint32_t distance = kUnreachable;
  std::vector<FirstHop> next_hops;        // sorted, no duplicates
  std::optional<FirstHop> alternate;      // used when every next hop is lost
  Protection protection = Protection::none;
};

// Result of one run, indexed by Topology node index.
struct SpfResult {
  NodeId root;
  std::vector<Destination> destinations;
  std::uint64_t nodes_settled = 0;
};

SpfResult run_spf(const Topology& topology, NodeId root);
// Adds alternates to a result (needs one reverse SPF per neighbour of the root).
void add_alternates(const Topology& topology, SpfResult& result);
// Node ids of one deterministic shortest path root..target, both included; empty if unreachable.
std::vector<NodeId> shortest_path(const Topology& topology, NodeId from, NodeId to);

}  // namespace dmsc::routing
