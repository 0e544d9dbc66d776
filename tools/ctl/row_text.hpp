// A row of a streamed topic (watch lsdb|routes|paths|neighbors) as a line for people: what it is, what it
// says, and what has changed in it.
#pragma once
#include "format.hpp"

namespace dmsc::ctl {

// What the row is about: "sg-4 prefix 0", "B/4". The daemon's own key if the topic is not known.
std::string row_label(const std::string& topic, const std::string& key, const Json& row);

// "epoch 1795359615, sequence 4": all it says beyond its label; nested parts only if `wide`.
std::string row_fields(const std::string& topic, const Json& row, bool wide);

// "sequence 4 → 5, adjacencies sr-2 metric 10 → 20, adjacencies + sr-3". Elements of lists are told apart by
// their first member, so one that goes is not told as a change of all behind it. Empty if nothing differs.
std::string row_changes(const Json& before, const Json& after);

}  // namespace dmsc::ctl
