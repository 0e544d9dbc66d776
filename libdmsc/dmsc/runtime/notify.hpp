// The service manager's notification protocol (sd_notify(3)). Every call does nothing when
// NOTIFY_SOCKET is not set, and works with any receiver: systemd, or the lab's supervisor.
// Any thread.
#pragma once
#include <optional>
#include <string>

#include "dmsc/core/time.hpp"

namespace dmsc::runtime::notify {

// True if somebody listens.
bool active();
void ready();
// One line for people: what the daemon does, or what it still waits for.
void status(const std::string& text);
// Before a reload; ready() ends it, whatever its outcome.
void reloading();
void stopping();
// "I am alive". To be sent at least every watchdog_limit() / 2.
void watchdog();
// How long the service manager waits for a watchdog() before it kills us; none = no watchdog.
std::optional<Duration> watchdog_limit();

}  // namespace dmsc::runtime::notify
