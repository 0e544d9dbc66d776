// What `spactl show` shows: nodes, prefixes, grants, audit, tokens, issuers, journal, revocations,
// counters, explain.
#pragma once
#include <nlohmann/json.hpp>

#include "dmsc/core/result.hpp"

namespace dmsc::runtime {
class InspectServer;
}

namespace dmsc::spad {

class Core;

// Registers all topics; `core` must outlive the server's last call.
void register_topics(runtime::InspectServer& inspect, Core& core);
// More for the topic "status".
nlohmann::ordered_json status_of(Core& core);

}  // namespace dmsc::spad
