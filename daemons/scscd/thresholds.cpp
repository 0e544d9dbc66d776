#include "scscd/thresholds.hpp"

#include <array>
#include <cstdio>

namespace dmsc::scscd {
namespace {

measure::ThresholdConfig machine_config(const ThresholdSet& set, Metric metric, Level level) {
  measure::ThresholdConfig c;
  bool low_is_bad = metric == Metric::bandwidth || metric == Metric::availability;
  c.direction = low_is_bad ? measure::Direction::at_most : measure::Direction::at_least;
  c.trip = level.trip;
  c.clear = level.clear;
  c.window = set.window;
  c.dwell = set.dwell;
  return c;
}

std::string show(Metric metric, double value) {
  std::array<char, 48> text{};
  switch (metric) {
    case Metric::bandwidth: std::snprintf(text.data(), text.size(), "%.3g Mbit/s", value / 1e6); break;
    case Metric::delay:
    case Metric::jitter: std::snprintf(text.data(), text.size(), "%.1f ms", value / 1e3); break;
    case Metric::loss: std::snprintf(text.data(), text.size(), "%.1f %%", value / 1e4); break;
    case Metric::availability: return value > 0.5 ? "up" : "down";
  }
  return text.data();
}

std::optional<double> part(const measure::Quality& q, Metric metric) {
  auto number = [](const auto& v) {
    return v ? std::optional<double>(static_cast<double>(*v)) : std::nullopt;
  };
  switch (metric) {
    case Metric::bandwidth: return number(q.bandwidth_bps);
    case Metric::delay: return number(q.delay_us);
    case Metric::jitter: return number(q.jitter_us);
    case Metric::loss: return number(q.loss_ppm);
    case Metric::availability:
      return q.available ? std::optional<double>(*q.available ? 1.0 : 0.0) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

const char* to_string(Metric metric) {
  switch (metric) {
    case Metric::bandwidth: return "bandwidth";
    case Metric::delay: return "delay";
    case Metric::jitter: return "jitter";
    case Metric::loss: return "loss";
    case Metric::availability: return "availability";
  }
  return "unknown";
}

const ThresholdSet* thresholds_for(const std::vector<ThresholdSet>& sets, const Name& name) {
  const ThresholdSet* best = nullptr;
  for (const ThresholdSet& set : sets) {
    if (!set.prefix.empty() && !set.prefix.covers(name)) continue;
    if (best == nullptr || set.prefix.text().size() > best->prefix.text().size()) best = &set;
  }
  return best;
}

Watchdog::Watchdog(const ThresholdSet& set) { reconfigure(set); }

void Watchdog::reconfigure(const ThresholdSet& set) {
  std::map<Metric, Level> levels = set.levels;
  levels[Metric::availability] = {0.5, 0.5};
  std::erase_if(machines_, [&](const auto& entry) { return levels.count(entry.first) == 0; });
  for (const auto& [metric, level] : levels) {
    auto config = machine_config(set, metric, level);
    auto [it, added] = machines_.try_emplace(metric, config);
    if (!added) it->second.reconfigure(config);
  }
}

bool Watchdog::observe(Time now, const measure::Quality& quality) {
  bool changed = false;
  for (auto& [metric, machine] : machines_) {
    std::optional<double> value = part(quality, metric);
    changed = (value ? machine.add(now, *value) : machine.tick(now)) || changed;
  }
  return changed;
}

bool Watchdog::tripped() const {
  for (const auto& [metric, machine] : machines_) {
    if (machine.tripped()) return true;
  }
  return false;
}

bool Watchdog::tripped(Metric metric) const {
  auto it = machines_.find(metric);
  return it != machines_.end() && it->second.tripped();
}

std::string Watchdog::reason(Time now) const {
  std::string text;
  for (const auto& [metric, machine] : machines_) {
    if (!machine.tripped()) continue;
    if (!text.empty()) text += ", ";
    text += to_string(metric);
    if (auto value = machine.median(now)) text += " " + show(metric, *value);
    if (metric != Metric::availability) {
      bool low = machine.config().direction == measure::Direction::at_most;
      text += (low ? " <= " : " >= ") + show(metric, machine.config().trip);
    }
  }
  return text;
}

}  // namespace dmsc::scscd
