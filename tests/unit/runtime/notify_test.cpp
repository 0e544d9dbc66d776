#include "dmsc/runtime/notify.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/runtime/notify_socket.hpp"

using namespace dmsc;
using namespace dmsc::runtime;

TEST_CASE("notify: each call is one datagram to NOTIFY_SOCKET") {
  NotifySocket manager;
  CHECK(notify::active());
  notify::ready();
  CHECK(manager.next() == "READY=1");
  notify::status("two\nlines");
  CHECK(manager.next() == "STATUS=two lines");
  notify::reloading();
  CHECK(manager.next().rfind("RELOADING=1\nMONOTONIC_USEC=", 0) == 0);
  notify::stopping();
  CHECK(manager.next() == "STOPPING=1");
  notify::watchdog();
  CHECK(manager.next() == "WATCHDOG=1");
}

TEST_CASE("notify: without a service manager nothing happens") {
  ::unsetenv("NOTIFY_SOCKET");
  CHECK_FALSE(notify::active());
  notify::ready();
  ::unsetenv("WATCHDOG_USEC");
  CHECK_FALSE(notify::watchdog_limit().has_value());
}

TEST_CASE("notify: the watchdog's limit is ours only if it names this process") {
  ::setenv("WATCHDOG_USEC", "3000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  CHECK(notify::watchdog_limit() == seconds(3));
  ::setenv("WATCHDOG_PID", "1", 1);
  CHECK_FALSE(notify::watchdog_limit().has_value());
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");
}
