#include "dmsc/runtime/files.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/runtime/temporary.hpp"

using namespace dmsc;
using namespace dmsc::runtime;

TEST_CASE("files: an atomic write replaces content and mode, and leaves nothing beside") {
  TemporaryDirectory dir;
  std::string path = dir.path() + "/f";
  REQUIRE(write_file_atomically(path, "one", 0644));
  REQUIRE(write_file_atomically(path, "two", 0600));
  CHECK(*read_file(path) == "two");
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(dir.entries() == std::vector<std::string>{"f"});
}

TEST_CASE("files: a failed write keeps the old file and names the path") {
  TemporaryDirectory dir;
  REQUIRE(make_directory(dir.path() + "/f/g"));
  Status written = write_file_atomically(dir.path() + "/f", "x");  // a directory is in the way
  REQUIRE_FALSE(written.ok());
  CHECK(written.error().message.find(dir.path() + "/f: ") == 0);
  CHECK(dir.entries() == std::vector<std::string>{"f"});
}

TEST_CASE("files: reading is bounded and errors are told apart") {
  TemporaryDirectory dir;
  REQUIRE(write_file_atomically(dir.path() + "/f", std::string(100, 'x')));
  CHECK(read_file(dir.path() + "/f", 99).error().code == Errc::limit);
  CHECK(read_file(dir.path() + "/none").error().code == Errc::not_found);
}

TEST_CASE("files: a state directory is made private and keeps small files") {
  TemporaryDirectory dir;
  auto state = StateDir::open(dir.path() + "/a/b");
  REQUIRE(state);
  CHECK(state->read("epoch").error().code == Errc::not_found);
  REQUIRE(state->write("epoch", "7"));
  CHECK(*state->read("epoch") == "7");
  struct stat st {};
  REQUIRE(::stat((dir.path() + "/a/b").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0700);
  REQUIRE(write_file_atomically(dir.path() + "/plain", ""));
  CHECK_FALSE(StateDir::open(dir.path() + "/plain").ok());
}
