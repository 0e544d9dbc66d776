// What must hold after quiet, computed from the simulated network itself (which nodes live, which
// links carry packets, what was configured and announced), never from what a node believes.
#pragma once
#include <string>

#include "tests/sim/world.hpp"

namespace dmsc::sim {

// Empty if every invariant holds now; else the first that does not, in words.
std::string check_invariants(World& world);

// After quiet, and after the search of every link that became wider (ten minutes): every node's path MTUs
// (docs/protocol.md, PM1 and PM2) are those of the links as they are. Empty if so; `narrow`, if given, is
// raised by the number of paths that carry less than others.
std::string check_path_mtus(const World& world, std::size_t* narrow = nullptr);

// Sampled at any time, also in the middle of faults: a packet for `name` may only be handed to a pod
// whose gateway is granted the name. Empty if so.
std::string check_walk_safety(World& world, Rng& rng);

}  // namespace dmsc::sim
