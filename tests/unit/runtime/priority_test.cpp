#include "dmsc/runtime/priority.hpp"

#include <catch2/catch.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

TEST_CASE("priority: a preferred thread and those it starts run ahead, the others as before") {
  int mine = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  int preferred = 0, child = 0;
  std::thread([&] {
    preferred = dmsc::runtime::prefer_this_thread();
    std::thread([&] { child = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }).join();
  }).join();
  CHECK(child == preferred);
  CHECK(preferred == (geteuid() == 0 ? -10 : mine));
  CHECK(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())) == mine);
}

TEST_CASE("priority: a session is raised by its leader alone") {
  if (geteuid() != 0 || access("/proc/self/autogroup", W_OK) != 0) return;  // needs root and autogroups
  CHECK_FALSE((getsid(0) != getpid() && dmsc::runtime::prefer_this_session()));
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    setsid();
    bool done = dmsc::runtime::prefer_this_session();
    std::string group;
    std::ifstream("/proc/self/autogroup") >> group >> group >> group;  // "/autogroup-N nice V"
    _exit(done && group == "-10" ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
}
