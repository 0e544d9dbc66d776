#include "dmsc/runtime/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "dmsc/runtime/units.hpp"

namespace dmsc::runtime::log {
namespace {

std::atomic<Level> current{Level::info};

std::mutex observer_lock;
std::function<void(Level, std::string_view, const std::string&)> the_observer;

// JOURNAL_STREAM names the journal's stream; it is ours only if stderr still is that stream.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat st {};
  if (!stream || fstat(STDERR_FILENO, &st) != 0) return false;
  return std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino) == stream;
}

spdlog::logger& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("dmsc", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);  // our own level decides
    made->set_pattern(stderr_is_journal() ? "%v" : "%Y-%m-%d %H:%M:%S.%e %v");
    return made;
  }();
  return *instance;
}

const char* priority(Level level) {
  switch (level) {
    case Level::debug:
      return "<7>";
    case Level::info:
      return "<6>";
    case Level::warning:
      return "<4>";
    case Level::error:
      return "<3>";
  }
  return "<3>";
}

bool plain(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  });
}

void append_value(std::string& out, std::string_view value) {
  if (plain(value)) {
    out += value;
    return;
  }
  out += '"';
  for (char c : value) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < ' ' || byte == 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", byte);
      out += hex;
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

const char* to_string(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "error";
}

Result<Level> parse_level(std::string_view text) {
  for (Level l : {Level::debug, Level::info, Level::warning, Level::error}) {
    if (text == to_string(l)) return l;
  }
  return make_error(Errc::invalid, "'", std::string(text),
                    "' is no log level: debug, info, warning or error");
}

Field::Field(std::string_view k, double v) : key(k) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", v);
  value = text;
}

Field::Field(std::string_view k, Duration v) : key(k), value(format_duration(v)) {}

void set_level(Level level) { current = level; }
Level level() { return current; }

std::string format(std::string_view event, Fields fields) {
  std::string line(event);
  for (const Field& f : fields) {
    line += ' ';
    line += f.key;
    line += '=';
    append_value(line, f.value);
  }
  return line;
}

void write(Level level, std::string_view event, Fields fields) {
  if (!enabled(level)) return;
  std::string line = format(event, fields);
  static const bool journal = stderr_is_journal();
  if (journal) {
    logger().log(spdlog::level::info, spdlog::string_view_t(priority(level) + line));
  } else {
    std::string word = to_string(level);
    word.resize(8, ' ');
    logger().log(spdlog::level::info, spdlog::string_view_t(word + line));
  }
  std::lock_guard hold(observer_lock);
  if (the_observer) the_observer(level, event, line);
}

void observe(std::function<void(Level, std::string_view, const std::string&)> observer) {
  std::lock_guard hold(observer_lock);
  the_observer = std::move(observer);
}

bool RateLimiter::allow(Time now) {
  if (filled_ == Time{}) filled_ = now;
  auto earned = (now - filled_) / interval_;
  if (earned > 0) {
    filled_ += earned * interval_;
    tokens_ = static_cast<unsigned>(std::min<std::int64_t>(burst_, tokens_ + earned));
  }
  if (tokens_ == 0) {
    ++suppressed_;
    return false;
  }
  --tokens_;
  return true;
}

}  // namespace dmsc::runtime::log
