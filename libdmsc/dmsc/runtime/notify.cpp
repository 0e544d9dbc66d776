#include "dmsc/runtime/notify.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>

#include "dmsc/runtime/clock.hpp"

namespace dmsc::runtime::notify {

bool active() { return std::getenv("NOTIFY_SOCKET") != nullptr; }

void ready() { sd_notify(0, "READY=1"); }

void status(const std::string& text) {
  std::string line = "STATUS=" + text;
  std::replace(line.begin(), line.end(), '\n', ' ');  // a line break would start a new assignment
  sd_notify(0, line.c_str());
}

void reloading() {
  auto usec = std::chrono::duration_cast<microseconds>(now().time_since_epoch()).count();
  sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec)).c_str());
}

void stopping() { sd_notify(0, "STOPPING=1"); }

void watchdog() { sd_notify(0, "WATCHDOG=1"); }

std::optional<Duration> watchdog_limit() {
  std::uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
  return microseconds(usec);
}

}  // namespace dmsc::runtime::notify
