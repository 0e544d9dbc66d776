#include "dmsc/runtime/startup_memory.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

using namespace dmsc::runtime;

namespace {
std::size_t resident_bytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}
}  // namespace

TEST_CASE("startup memory: what only start-up touched is given back, and all of it still works") {
  std::size_t before = resident_bytes();
  std::size_t released = release_startup_memory();
  std::size_t after = resident_bytes();
  CHECK(released > 0);
  CHECK(before - after >= released / 2);  // some comes back while this runs
  // Code and constants come back where they are used.
  CHECK(std::stod("2.5") == 2.5);
  CHECK(release_startup_memory() <= released);
}
