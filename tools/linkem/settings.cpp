// The text form of the parameters: units are required, as everywhere in DMSC.
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "impairment.hpp"

namespace linkem {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array kTimes{Unit{"ns", 1}, Unit{"us", 1e3}, Unit{"ms", 1e6}, Unit{"s", 1e9}};
constexpr std::array kRates{Unit{"bit/s", 1}, Unit{"kbit/s", 1e3}, Unit{"Mbit/s", 1e6},
                            Unit{"Gbit/s", 1e9}};
constexpr std::array kSizes{Unit{"B", 1}, Unit{"kB", 1e3}, Unit{"MB", 1e6}, Unit{"KiB", 1024},
                            Unit{"MiB", 1024 * 1024}};
constexpr std::array kShares{Unit{"%", 0.01}};

constexpr double kMostNanos = 60e9;  // a minute in flight is the most a link holds
constexpr double kMostRate = 1e12;
constexpr double kMostBytes = 1e9;

// A number of at least 0 and one of the units; nothing else may follow.
template <std::size_t N>
std::optional<double> quantity(std::string_view text, const std::array<Unit, N>& units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& known : units) {
    if (unit == known.name) return number * known.factor;
  }
  return std::nullopt;
}

std::string bad(std::string_view key, std::string_view value, std::string_view want) {
  return std::string(key) + ": '" + std::string(value) + "' is not " + std::string(want);
}

std::string set_time(std::string_view key, std::string_view value, Nanoseconds& out) {
  const auto nanos = quantity(value, kTimes);
  if (!nanos || *nanos > kMostNanos)
    return bad(key, value, "a time up to 60s with its unit: ns, us, ms, s");
  out = Nanoseconds{static_cast<std::int64_t>(*nanos)};
  return {};
}

std::string set_bytes(std::string_view key, std::string_view value, std::uint64_t& out) {
  const auto bytes = quantity(value, kSizes);
  if (!bytes || *bytes > kMostBytes)
    return bad(key, value, "a size up to 1000MB with its unit: B, kB, MB, KiB, MiB");
  out = static_cast<std::uint64_t>(*bytes);
  return {};
}

std::string set_rate(std::string_view value, std::uint64_t& out) {
  if (value == "unlimited") return out = 0, std::string{};
  const auto rate = quantity(value, kRates);
  if (!rate || *rate < 1 || *rate > kMostRate) {
    return bad("rate", value,
               "a rate with its unit (bit/s, kbit/s, Mbit/s, Gbit/s) or 'unlimited'");
  }
  out = static_cast<std::uint64_t>(*rate);
  return {};
}

std::string set_share(std::string_view key, std::string_view value, double& out) {
  const auto share = quantity(value, kShares);
  if (!share || *share > 1) return bad(key, value, "a share from 0% to 100%");
  out = *share;
  return {};
}

std::string set_switch(std::string_view key, std::string_view value, bool& out) {
  if (value != "on" && value != "off") return bad(key, value, "on or off");
  out = value == "on";
  return {};
}

std::string share_text(double share) {
  std::string text = std::to_string(share * 100);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text + "%";
}

std::string time_text(Nanoseconds time) {
  const auto nanos = time.count();
  if (nanos % 1'000'000 == 0) return std::to_string(nanos / 1'000'000) + "ms";
  if (nanos % 1000 == 0) return std::to_string(nanos / 1000) + "us";
  return std::to_string(nanos) + "ns";
}

}  // namespace

std::string apply_setting(std::string_view setting, Parameters& out) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos) return "'" + std::string(setting) + "' is not key=value";
  const std::string_view key = setting.substr(0, equals), value = setting.substr(equals + 1);
  if (key == "delay") return set_time(key, value, out.delay);
  if (key == "jitter") return set_time(key, value, out.jitter);
  if (key == "loss") return set_share(key, value, out.loss);
  if (key == "duplicate") return set_share(key, value, out.duplicate);
  if (key == "rate") return set_rate(value, out.rate_bps);
  if (key == "queue") return set_bytes(key, value, out.queue_bytes);
  if (key == "burst") return set_bytes(key, value, out.burst_bytes);
  if (key == "reorder") return set_switch(key, value, out.reorder);
  if (key == "cut") return set_switch(key, value, out.cut);
  return "unknown key '" + std::string(key) +
         "' (known: delay jitter loss duplicate rate queue burst reorder cut)";
}

std::string describe(const Parameters& p) {
  const auto on = [](bool value) { return value ? "on" : "off"; };
  return "delay=" + time_text(p.delay) + " jitter=" + time_text(p.jitter) +
         " loss=" + share_text(p.loss) + " duplicate=" + share_text(p.duplicate) +
         " rate=" + (p.rate_bps == 0 ? "unlimited" : std::to_string(p.rate_bps) + "bit/s") +
         " queue=" + std::to_string(p.queue_bytes) + "B burst=" + std::to_string(p.burst_bytes) +
         "B reorder=" + on(p.reorder) + " cut=" + on(p.cut);
}

}  // namespace linkem
