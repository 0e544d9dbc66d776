// Structured log lines on stderr: an event word that stays the same from release to release, then
// key=value fields (logfmt). Under systemd each line starts with its journal priority ("<6>"), else
// with time and level.
//
//   log::info("adjacency-up", {{"link", link.name}, {"neighbour", id.value}, {"rtt", rtt}});
//
// Any thread. Secrets never go into a field.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"

namespace dmsc::runtime::log {

enum class Level { debug, info, warning, error };
const char* to_string(Level level);
// "debug", "info", "warning" or "error".
Result<Level> parse_level(std::string_view text);

struct Field {
  std::string_view key;
  std::string value;
  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "yes" : "no") {}
  Field(std::string_view k, double v);
  Field(std::string_view k, Duration v);  // in the largest unit that keeps it exact
  template <class Int,
            std::enable_if_t<std::is_integral_v<Int> && !std::is_same_v<Int, bool>, int> = 0>
  Field(std::string_view k, Int v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, const Error& e) : key(k), value(e.message) {}
};
using Fields = std::initializer_list<Field>;

// Lines below `level` are not written. Default: info.
void set_level(Level level);
Level level();
inline bool enabled(Level at) { return at >= level(); }

void write(Level level, std::string_view event, Fields fields);
inline void debug(std::string_view event, Fields fields = {}) {
  if (enabled(Level::debug)) write(Level::debug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) { write(Level::info, event, fields); }
inline void warning(std::string_view event, Fields fields = {}) {
  write(Level::warning, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) {
  write(Level::error, event, fields);
}

// The text of a line without time, level or priority: "event key=value key=\"two words\"".
std::string format(std::string_view event, Fields fields);
// Every line written from now on also goes to `observer`, on the writing thread; null ends it.
void observe(std::function<void(Level, std::string_view event, const std::string& line)> observer);

// Token bucket: at most `burst` at once and one per `interval` in the long run. Not thread-safe.
class RateLimiter {
 public:
  RateLimiter(Duration interval, unsigned burst)
      : interval_(interval), burst_(burst), tokens_(burst) {}
  // True if one more may pass at `now`; else counts it as suppressed.
  bool allow(Time now);
  // How many were refused since the last call of this function.
  std::uint64_t take_suppressed() { return std::exchange(suppressed_, 0); }

 private:
  Duration interval_;
  unsigned burst_;
  unsigned tokens_;
  Time filled_{};
  std::uint64_t suppressed_ = 0;
};

}  // namespace dmsc::runtime::log
