// The scheduling center's inspect topics.
#pragma once
#include "dmsc/runtime/inspect_server.hpp"
#include "scscd/center.hpp"

namespace dmsc::scscd {

// Registers status details aside: nodes, services, quality, links, policies, thresholds, history, paths,
// counters, probe NAME, explain NAME. `center` must outlive the server.
void register_topics(runtime::InspectServer& server, Center& center);

}  // namespace dmsc::scscd
