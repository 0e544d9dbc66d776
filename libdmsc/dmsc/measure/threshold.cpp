#include "dmsc/measure/threshold.hpp"

#include <algorithm>
#include <vector>

namespace dmsc::measure {

bool ThresholdMachine::meets_trip(double v) const {
  return config_.direction == Direction::at_least ? v >= config_.trip : v <= config_.trip;
}

bool ThresholdMachine::meets_clear(double v) const {
  return config_.direction == Direction::at_least ? v <= config_.clear : v >= config_.clear;
}

void ThresholdMachine::drop_old(Time now) {
  while (!samples_.empty() && samples_.front().at + config_.window < now) samples_.pop_front();
}

std::optional<double> ThresholdMachine::median(Time now) const {
  std::vector<double> values;
  for (const Sample& s : samples_) {
    if (s.at + config_.window >= now) values.push_back(s.value);
  }
  if (values.empty()) return std::nullopt;
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool ThresholdMachine::add(Time now, double value) {
  samples_.push_back({now, value});
  return tick(now);
}

bool ThresholdMachine::tick(Time now) {
  drop_old(now);
  if (samples_.size() < config_.samples) return false;
  if (changed_ && now < *changed_ + dwell()) return false;
  double value = *median(now);
  if (!tripped_ && meets_trip(value)) {
    change(now, true);
    return true;
  }
  if (tripped_ && meets_clear(value)) {
    change(now, false);
    return true;
  }
  return false;
}

void ThresholdMachine::change(Time now, bool tripped) {
  if (tripped) {
    bool flapping = changed_ && now < *changed_ + dwell() * 10;
    dwell_ = flapping ? std::min(dwell() * 2, config_.max_dwell) : config_.dwell;
  }
  tripped_ = tripped;
  changed_ = now;
}

}  // namespace dmsc::measure
