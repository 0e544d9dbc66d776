// What must hold after quiet, computed from the simulated network itself (which nodes live, which
// links carry packets, what was configured and announced), never from what a node believes.
#pragma once
#include <string>

#include "tests/sim/world.hpp"

namespace dmsc::sim {

// Empty if every invariant holds now; else the first that does not, in words.
std::string check_invariants(World& world);

// Sampled at any time, also in the middle of faults: a packet for `name` may only be handed to a pod
// whose gateway is granted the name. Empty if so.
std::string check_walk_safety(World& world, Rng& rng);

}  // namespace dmsc::sim
