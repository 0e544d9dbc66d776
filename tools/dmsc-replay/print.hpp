// One line for each input of a record and for what came of it.
#pragma once
#include <string>
#include <vector>

#include "dmsc/linkstate/input_log.hpp"

namespace dmsc::replay {

// What an input says, without its instant.
std::string describe(const linkstate::Input& input);
// What the engine put out: packets, adjacencies, changes of the database.
std::string describe(const linkstate::Output& output);
// Packets and timers that changed nothing, of which a record is full.
bool is_routine(const linkstate::Input& input);
bool is_routine(const linkstate::Output& output);

}  // namespace dmsc::replay
