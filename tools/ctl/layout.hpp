// The columns of the topics this program knows. Keys a daemon does not send are passed over.
#pragma once
#include <string>
#include <vector>

namespace dmsc::ctl {

struct Layout {
  std::vector<std::string> first;   // leftmost columns, in this order
  std::vector<std::string> hidden;  // shown only with --wide
  std::vector<std::string> sort;    // by these keys, ascending; none = the daemon's order
  std::string group;                // a key whose repetition in the next row is left blank
};

// An empty layout for a topic it does not know.
const Layout& layout_of(const std::string& topic);

// The head of a column: a short word for some keys, else the key itself in words, without its unit.
std::string column_header(const std::string& key);

// sr-2 before sr-10, B/4 before B/12: runs of digits compare as numbers.
bool natural_less(const std::string& a, const std::string& b);

}  // namespace dmsc::ctl
