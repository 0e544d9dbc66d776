// Builds a random domain and its random bad day from the world's seed.
#pragma once
#include "tests/sim/world.hpp"

namespace dmsc::sim {

// Nodes, links and announcements alone, from the world's seed; nothing is started.
void build_topology(World& world);

// Creates nodes, links, announcements and schedules every fault. Returns the instant after which
// nothing bad happens any more (loss, duplication, reordering and corruption go on to the end).
Time build_scenario(World& world);

// The names a gateway may announce, by its specification and the revocations so far.
bool granted(const World& world, std::size_t node, const std::string& name);

}  // namespace dmsc::sim
