// Figures, for people and as lines of JSON for tools/soak and tools/test.
#pragma once
#include <cstdio>
#include <optional>
#include <string>

namespace dmsc::sim {

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<double> at_most;   // the goal
  const char* merge = "max";       // how figures of several runs become one
  bool good() const { return !at_most || value <= *at_most; }
};

inline void print(const Figure& f, bool json) {
  if (json) {
    std::printf("{\"case\": \"%s\", \"value\": %.10g, \"unit\": \"%s\", \"merge\": \"%s\"", f.name.c_str(),
                f.value, f.unit.c_str(), f.merge);
    if (f.at_most) std::printf(", \"at_most\": %.10g", *f.at_most);
    std::printf("}\n");
    return;
  }
  std::printf("%s: %.6g %s", f.name.c_str(), f.value, f.unit.c_str());
  if (f.at_most) std::printf(" (at most %g)%s", *f.at_most, f.good() ? "" : " NOT OK");
  std::printf("\n");
}

}  // namespace dmsc::sim
