#include "scscd/config.hpp"

#include <set>

namespace dmsc::scscd {
namespace {

using runtime::ConfigNode;

constexpr Duration kNever{};

// `low_is_bad`: clear must lie above trip, else below it.
template <class Read>
void read_level(const ConfigNode& set, const char* key, Metric metric, bool low_is_bad, Read read,
                ThresholdSet& out) {
  if (!set.has(key)) return;
  ConfigNode level = set.section(key);
  Level value{read(level, "trip"), read(level, "clear")};
  bool right = low_is_bad ? value.clear > value.trip : value.clear < value.trip;
  if (!right) {
    level.error(std::string("clear must be ") + (low_is_bad ? "above" : "below") + " trip");
  }
  out.levels[metric] = value;
}

double read_rate(const ConfigNode& level, const char* key) {
  return static_cast<double>(level.required<std::uint64_t>(key, runtime::parse_bit_rate));
}
double read_microseconds(const ConfigNode& level, const char* key) {
  return std::chrono::duration<double, std::micro>(
             level.required<Duration>(key, runtime::parse_duration))
      .count();
}
double read_ppm(const ConfigNode& level, const char* key) {
  return level.required<double>(key, runtime::parse_percent) * 1e6;
}

ThresholdSet read_set(const ConfigNode& node) {
  ThresholdSet set;
  std::string prefix = node.text("prefix", "");
  if (!prefix.empty()) {
    auto name = Name::parse(prefix);
    if (name) set.prefix = *name;
    else node.error("prefix", name.error().message);
  }
  read_level(node, "bandwidth", Metric::bandwidth, true, read_rate, set);
  read_level(node, "delay", Metric::delay, false, read_microseconds, set);
  read_level(node, "jitter", Metric::jitter, false, read_microseconds, set);
  read_level(node, "loss", Metric::loss, false, read_ppm, set);
  set.window = node.duration("window", {milliseconds(500), seconds(3), minutes(10)});
  set.dwell = node.duration("dwell", {kNever, seconds(5), minutes(60)});
  set.floor = node.integer("floor", {1, 1, 1000});
  return set;
}

ThresholdSet default_set() {
  ThresholdSet set;
  set.levels = {{Metric::bandwidth, {1e6, 2e6}},
                {Metric::delay, {50'000, 40'000}},
                {Metric::jitter, {20'000, 15'000}},
                {Metric::loss, {50'000, 20'000}}};
  return set;
}

}  // namespace

Config read_config(const ConfigNode& root) {
  Config config;
  config.node = runtime::read_node_section(root, "scscd");
  config.enrol = runtime::read_enrol_section(root);
  runtime::read_log_section(root);
  config.listen = root.text("listen", "0.0.0.0:7420");
  if (auto endpoint = runtime::parse_address_endpoint(config.listen, runtime::kScscPort)) {
    config.listen = runtime::to_string(*endpoint);
  } else {
    root.error("listen", endpoint.error().message);
  }
  config.report_interval =
      root.duration("report_interval", {milliseconds(100), seconds(1), minutes(1)});
  config.spa = root.endpoints("spa", runtime::kSpaPort);
  std::set<Name> seen;
  for (const ConfigNode& node : root.list("thresholds")) {
    ThresholdSet set = read_set(node);
    if (!seen.insert(set.prefix).second) {
      node.error("prefix", "'" + set.prefix.text() + "' has thresholds already");
    }
    config.decider.thresholds.push_back(std::move(set));
  }
  if (seen.count(Name{}) == 0) config.decider.thresholds.push_back(default_set());
  return config;
}

}  // namespace dmsc::scscd
