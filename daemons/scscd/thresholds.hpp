// The thresholds of the draft (section 5-3) per prefix, and the machines of one measured thing.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/measure/quality.hpp"
#include "dmsc/measure/threshold.hpp"
#include "dmsc/name/name.hpp"

namespace dmsc::scscd {

enum class Metric { bandwidth, delay, jitter, loss, availability };
const char* to_string(Metric metric);

struct Level {
  double trip = 0, clear = 0;
};

// Levels in bit/s, microseconds, ppm. A metric without a level never trips; availability always
// does, on the target's own "no".
struct ThresholdSet {
  Name prefix;                       // empty = every name
  std::map<Metric, Level> levels;
  Duration window = seconds(3);
  Duration dwell = seconds(5);
  std::size_t floor = 1;             // fewest healthy instances to leave in use
};

// The set of the longest prefix that covers `name`; sets without a match give nothing.
const ThresholdSet* thresholds_for(const std::vector<ThresholdSet>& sets, const Name& name);

// All machines of one target or link.
class Watchdog {
 public:
  explicit Watchdog(const ThresholdSet& set);
  // Feeds the known parts of `quality`. Returns true if any state changed.
  bool observe(Time now, const measure::Quality& quality);
  void reconfigure(const ThresholdSet& set);
  bool tripped() const;
  bool tripped(Metric metric) const;
  // "delay 72.0 ms >= 50.0 ms", joined by ", "; empty if nothing tripped.
  std::string reason(Time now) const;

 private:
  std::map<Metric, measure::ThresholdMachine> machines_;
};

}  // namespace dmsc::scscd
