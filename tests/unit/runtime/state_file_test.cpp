#include "dmsc/runtime/state_file.hpp"

#include <catch2/catch.hpp>

#include "dmsc/runtime/files.hpp"
#include "tests/unit/runtime/temporary.hpp"

using namespace dmsc;
using namespace dmsc::runtime;

namespace {
void store(StateFile& file, const std::string& content) {
  auto copy = file.next(content);
  REQUIRE(write_file_atomically(copy.path, copy.content));
}
}  // namespace

TEST_CASE("state file: the newest counts, and the one before stays beside it") {
  TemporaryDirectory dir;
  StateFile file(dir.path() + "/s");
  CHECK_FALSE(file.load().content);
  for (const char* content : {"one", "", "three\nlines\n\n"}) {
    store(file, content);
    auto loaded = StateFile(dir.path() + "/s").load();
    CHECK(loaded.content == std::string(content));
    CHECK(loaded.damaged.empty());
  }
  CHECK(dir.entries() == std::vector<std::string>{"s.a", "s.b"});
}

TEST_CASE("state file: every cut, every flipped bit, every byte too many is noticed") {
  TemporaryDirectory dir;
  StateFile file(dir.path() + "/s");
  store(file, "old");
  store(file, "new");
  std::string path = dir.path() + "/s.b", whole = *read_file(path);
  auto is_old = [&](const std::string& damaged) {
    REQUIRE(write_file_atomically(path, damaged));
    auto loaded = StateFile(dir.path() + "/s").load();
    REQUIRE(loaded.content == std::string("old"));
    REQUIRE(loaded.damaged.size() == 1);
    REQUIRE(loaded.damaged[0].find(path + ": ") == 0);
  };
  for (std::size_t size = 0; size < whole.size(); ++size) is_old(whole.substr(0, size));
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    is_old(flipped);
  }
  is_old(whole + "x");
  REQUIRE(write_file_atomically(path, whole));
  CHECK(StateFile(dir.path() + "/s").load().content == std::string("new"));
}

TEST_CASE("state file: both copies damaged is no state, and both are named") {
  TemporaryDirectory dir;
  REQUIRE(write_file_atomically(dir.path() + "/s.a", ""));
  REQUIRE(write_file_atomically(dir.path() + "/s.b", "garbage"));
  StateFile file(dir.path() + "/s");
  auto loaded = file.load();
  CHECK_FALSE(loaded.content);
  CHECK(loaded.damaged.size() == 2);
  store(file, "again");
  CHECK(StateFile(dir.path() + "/s").load().content == std::string("again"));
}
