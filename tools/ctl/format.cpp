#include "format.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <set>

namespace dmsc::ctl {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

struct UnitSuffix {
  const char* suffix;
  std::string (*format)(double);
};

std::string number(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

std::string percent(double value) { return number(value, 3) + "%"; }
std::string share(double value) { return number(value * 100, 3) + "%"; }

constexpr std::array kUnits{
    UnitSuffix{"_ns", [](double v) { return human_duration(v / 1e9); }},
    UnitSuffix{"_us", [](double v) { return human_duration(v / 1e6); }},
    UnitSuffix{"_ms", [](double v) { return human_duration(v / 1e3); }},
    UnitSuffix{"_s", [](double v) { return human_duration(v); }},
    UnitSuffix{"_seconds", [](double v) { return human_duration(v); }},
    UnitSuffix{"_bps", human_rate},
    UnitSuffix{"_bytes", human_bytes},
    UnitSuffix{"_percent", percent},
    UnitSuffix{"_share", share},
    UnitSuffix{"_ppm", [](double v) { return number(v / 1e4, 3) + "%"; }},
};

const UnitSuffix* unit_of(const std::string& key) {
  for (const UnitSuffix& u : kUnits) {
    if (ends_with(key, u.suffix)) return &u;
  }
  return nullptr;
}

// Words daemons use for how things are. Only cells that are exactly such a word get a colour.
Tone tone_of(const std::string& word) {
  static const std::set<std::string> good{"up",      "ready",     "granted", "healthy", "yes",
                                          "applied", "active",    "ok",      "usable",  "verified",
                                          "serving", "reachable", "answered"};
  static const std::set<std::string> warn{"init",    "two-way",    "two_way", "starting",
                                          "pending", "draining",   "waiting", "stopping",
                                          "unknown", "unverified", "standby"};
  static const std::set<std::string> bad{
      "down",  "failing",   "refused", "failed",  "revoked",        "expired",
      "error", "withdrawn", "dead",    "timeout", "data path dead", "no reachable instance"};
  if (good.count(word)) return Tone::good;
  if (warn.count(word)) return Tone::warn;
  if (bad.count(word)) return Tone::bad;
  return Tone::plain;
}

// Thousands are kept together: 1234567 -> 1,234,567. Ids and ports are not quantities.
std::string integer_text(const std::string& key, const Json& value) {
  std::string digits = value.dump();
  static const std::set<std::string> names{"id",     "node_id", "instance", "label", "port",
                                           "serial", "epoch",   "pid",      "flow",  "issuer"};
  if (digits.size() < 6 || digits[0] == '-' || names.count(key) || ends_with(key, "_id"))
    return digits;
  for (std::size_t at = digits.size() - 3;; at -= 3) {
    digits.insert(at, ",");
    if (at <= 3) return digits;
  }
}

// Keys whose value is a moment, in seconds since the Unix epoch.
bool is_moment(const std::string& key, const Json& value) {
  static const std::set<std::string> keys{"valid_until", "not_after", "not_before", "domain_time",
                                          "time",        "at",        "expires",    "wall_time",
                                          "created",     "issued_at"};
  return keys.count(key) != 0 && value.is_number_integer() && value > 1'000'000'000;
}

std::string moment_text(const Json& value) {
  auto at = static_cast<std::time_t>(value.get<std::int64_t>());
  std::tm local{};
  localtime_r(&at, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

std::string text_of(const std::string& key, const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) {
    std::string text = printable(value.get<std::string>());
    return text.empty() ? "-" : text;
  }
  if (is_moment(key, value)) return moment_text(value);
  if (value.is_number()) {
    if (const UnitSuffix* unit = unit_of(key)) return unit->format(value.get<double>());
    return value.is_number_float() ? number(value.get<double>(), 6) : integer_text(key, value);
  }
  std::string out;
  for (const auto& item : value.items()) {
    if (!out.empty())
      out += value.is_object() || !(key == "path" || ends_with(key, "_path")) ? " " : " \u2192 ";
    if (value.is_object()) out += printable(header_of(item.key())) + "=";
    out += text_of(value.is_object() ? item.key() : key, item.value());
  }
  return out.empty() ? "-" : out;
}

std::string two_units(double seconds, double big, const char* big_name, double small,
                      const char* small_name) {
  auto whole = static_cast<long long>(seconds / big);
  auto rest = static_cast<long long>((seconds - static_cast<double>(whole) * big) / small);
  char text[64];
  std::snprintf(text, sizeof text, "%lld%s%02lld%s", whole, big_name, rest, small_name);
  return text;
}

std::string scaled(double value, double step, std::initializer_list<const char*> names) {
  auto name = names.begin();
  while (std::fabs(value) >= step && name + 1 != names.end()) {
    value /= step;
    ++name;
  }
  return number(value, 4) + *name;
}

}  // namespace

std::string header_of(const std::string& key) {
  std::string out = key;
  if (const UnitSuffix* unit = unit_of(key)) {
    out.resize(out.size() - std::char_traits<char>::length(unit->suffix));
  }
  for (char& c : out) {
    if (c == '_') c = ' ';
  }
  return out;
}

Cell cell_of(const std::string& key, const Json& value) {
  Cell cell{text_of(key, value), Tone::plain};
  if (value.is_null()) {
    cell.tone = Tone::dim;
  } else if (value.is_string()) {
    cell.tone = tone_of(cell.text);
  }
  return cell;
}

std::string human_duration(double seconds) {
  if (seconds < 0) return "-" + human_duration(-seconds);
  if (seconds == 0) return "0s";
  if (seconds < 999.5e-9) return number(seconds * 1e9, 3) + "ns";
  if (seconds < 999.5e-6) return number(seconds * 1e6, 3) + "us";
  if (seconds < 0.9995) return number(seconds * 1e3, 3) + "ms";
  if (seconds < 59.95) return number(seconds, 3) + "s";
  if (seconds < 3600) return two_units(seconds, 60, "m", 1, "s");
  if (seconds < 86400) return two_units(seconds, 3600, "h", 60, "m");
  return two_units(seconds, 86400, "d", 3600, "h");
}

std::string human_rate(double bps) {
  return scaled(bps, 1000, {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"});
}

std::string human_bytes(double bytes) {
  return scaled(bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB"});
}

}  // namespace dmsc::ctl
