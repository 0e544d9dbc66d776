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

// Distances and next hops. An unknown root reaches nothing. Time O(E log N), no more with many
// equal-cost paths. A sum of metrics of 2^32 - 1 or more counts as unreachable.
SpfResult run_spf(const Topology& topology, NodeId root);
// Adds alternates to a result of the same topology (runs one SPF per neighbour of the root).
void add_alternates(const Topology& topology, SpfResult& result);
// Node ids of one deterministic shortest path root..target, both included; empty if unreachable. Of
// equal ones, each node is reached from the lowest node id.
std::vector<NodeId> shortest_path(const Topology& topology, NodeId from, NodeId to);
// Distances alone, by node index.
std::vector<std::uint32_t> distances_from(const Topology& topology, NodeId root);

}  // namespace dmsc::routing
