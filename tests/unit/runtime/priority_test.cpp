#include "dmsc/runtime/priority.hpp"

#include <catch2/catch.hpp>
#include <sys/resource.h>
#include <unistd.h>

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
