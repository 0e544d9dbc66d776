// Figures, for people and as lines of JSON for tools/soak and tools/test.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

namespace dmsc::sim {

using Histogram = std::map<std::uint64_t, std::uint64_t>;  // value -> how often

inline std::uint64_t total(const Histogram& h) {
  std::uint64_t sum = 0;
  for (const auto& [value, n] : h) sum += n;
  return sum;
}

// What a share `q` does not exceed; 0 of nothing.
inline double quantile(const Histogram& h, double q) {
  auto wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total(h))));
  std::uint64_t seen = 0;
  for (const auto& [value, n] : h) {
    seen += n;
    if (seen >= wanted && seen > 0) return static_cast<double>(value);
  }
  return 0;
}

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<double> at_most;  // the goal
  const char* merge = "max";      // how figures of several runs become one
  // Not empty: `value` is its quantile `q`, and of several runs that of all their values together.
  Histogram histogram = {};
  double q = 0;
  bool good() const { return !at_most || value <= *at_most; }
};

inline Figure quantile_figure(std::string name, const Histogram& h, double q, std::string unit,
                              std::optional<double> at_most = {}) {
  return {std::move(name), quantile(h, q), std::move(unit), at_most, "quantile", h, q};
}

inline void print(const Figure& f, bool json) {
  if (json) {
    std::printf("{\"case\": \"%s\", \"value\": %.10g, \"unit\": \"%s\", \"merge\": \"%s\"",
                f.name.c_str(), f.value, f.unit.c_str(), f.merge);
    if (f.at_most) std::printf(", \"at_most\": %.10g", *f.at_most);
    if (f.q > 0) {
      std::printf(", \"q\": %g, \"histogram\": [", f.q);
      const char* comma = "";
      for (const auto& [value, n] : f.histogram) {
        std::printf("%s[%llu, %llu]", comma, static_cast<unsigned long long>(value),
                    static_cast<unsigned long long>(n));
        comma = ", ";
      }
      std::printf("]");
    }
    std::printf("}\n");
    return;
  }
  std::printf("%s: %.6g %s", f.name.c_str(), f.value, f.unit.c_str());
  if (f.at_most) std::printf(" (at most %g)%s", *f.at_most, f.good() ? "" : " NOT OK");
  std::printf("\n");
}

}  // namespace dmsc::sim
