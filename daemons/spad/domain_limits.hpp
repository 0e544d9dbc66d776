// The domain's limits (docs/protocol.md, "Limits") as the writer's configuration has them. The root signs
// them as DomainParameters; `show parameters` prints what is signed, under the keys of the file.
#pragma once
#include "dmsc/runtime/config.hpp"
#include "spad/view.hpp"

namespace dmsc::spad {

// Reads the section "limits"; keys left out have the defaults. The header is left empty.
wire::DomainParameters read_limits(const runtime::ConfigNode& section);

// The same but for the header.
bool same_limits(const wire::DomainParameters& a, const wire::DomainParameters& b);

// {"serial","issued_at","isolate_for_s","prefixes":{"action",...},...}: one object for each limit.
Json limits_json(const wire::DomainParameters& parameters);

}  // namespace dmsc::spad
