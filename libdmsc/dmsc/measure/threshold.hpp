// When a measured value trips a threshold and when it is over (draft section 5-3; DESIGN section 9).
//
//            median meets trip, dwell over
//      ┌────┐ ────────────────────────────► ┌─────────┐
//      │ ok │                               │ tripped │
//      └────┘ ◄──────────────────────────── └─────────┘
//            median passes clear, dwell over
//
// Thresholds are inclusive: bandwidth <= trip, delay >= trip, jitter >= trip. The median of a window
// is compared, so one outlier moves nothing. No sample in the window: unknown, the state stays.
#pragma once
#include <cstdint>
#include <deque>
#include <optional>

#include "dmsc/core/time.hpp"

namespace dmsc::measure {

enum class Direction { at_least, at_most };  // which side of the trip level is bad

struct ThresholdConfig {
  Direction direction = Direction::at_least;
  double trip = 0;
  double clear = 0;               // on the good side of trip; reaching it clears
  Duration window = seconds(3);
  Duration dwell = seconds(5);    // least time between two changes
  Duration max_dwell = minutes(5);
  std::size_t samples = 3;        // fewest in the window before anything trips
};

class ThresholdMachine {
 public:
  explicit ThresholdMachine(ThresholdConfig config) : config_(config) {}
  // Adds one sample and moves the state. Returns true if the state changed.
  bool add(Time now, double value);
  // Moves the state without a new sample (the window slides). Returns true if it changed.
  bool tick(Time now);
  bool tripped() const { return tripped_; }
  // Median of the window; nullopt if it is empty.
  std::optional<double> median(Time now) const;
  // The present dwell: doubles with every trip that follows a change within ten dwells, up to
  // max_dwell, and falls back with a trip after a longer quiet time.
  Duration dwell() const { return dwell_ == Duration{} ? config_.dwell : dwell_; }
  const ThresholdConfig& config() const { return config_; }
  // New levels from a reload: samples and state stay.
  void reconfigure(ThresholdConfig config) { config_ = config; }

 private:
  void drop_old(Time now);
  bool meets_trip(double value) const;
  bool meets_clear(double value) const;
  void change(Time now, bool tripped);

  struct Sample {
    Time at;
    double value;
  };
  ThresholdConfig config_;
  std::deque<Sample> samples_;
  bool tripped_ = false;
  std::optional<Time> changed_;
  Duration dwell_{};
};

}  // namespace dmsc::measure
