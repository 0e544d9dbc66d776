// A JSON value as a person reads it. The key's last word says its unit (DESIGN section 10,
// "versioned schema"; docs/operations.md): rtt_ms, size_bytes, capacity_bps, loss_percent,
// uptime_ms ...
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "table.hpp"

namespace dmsc::ctl {

using Json = nlohmann::ordered_json;

// "rtt_ms" -> "rtt"; "last_down_reason" -> "last down reason".
std::string header_of(const std::string& key);
// One line. null is "-", true "yes", lists are joined by spaces, objects "a=1 b=2"; states get a
// tone.
Cell cell_of(const std::string& key, const Json& value);

// "3d04h", "2h07m", "5m10s", "12.3s", "4.21ms", "310us", "0".
std::string human_duration(double seconds);
// "1.5Gbit/s".
std::string human_rate(double bits_per_second);
// "1.4KiB".
std::string human_bytes(double bytes);

}  // namespace dmsc::ctl
