#include "dmsc/node/record_file.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "dmsc/runtime/files.hpp"

namespace dmsc::node {
namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/dmsc-record-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

constexpr std::uint64_t kPlenty = 1 << 20;

}  // namespace

TEST_CASE("records: the file holds every entry, in order, for its owner alone") {
  Folder folder;
  std::string path = folder.path + "/record", expected;
  {
    auto file = RecordFile::open(path, kPlenty);
    REQUIRE(file.ok());
    for (int i = 0; i < 30000; ++i) {
      std::string entry = std::to_string(i) + ";";
      (*file)->write(as_bytes(entry));
      if (i % 1000 == 0) (*file)->flush();
      expected += entry;
    }
    CHECK((*file)->bytes() == expected.size());
  }
  CHECK(*runtime::read_file(path) == expected);
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
}

TEST_CASE("records: recording ends before the limit, at the end of an entry") {
  Folder folder;
  std::string path = folder.path + "/record";
  {
    auto file = RecordFile::open(path, 10);
    REQUIRE(file.ok());
    for (const char* entry : {"abcd", "efgh", "ijkl", "m"}) (*file)->write(as_bytes(entry));
    CHECK((*file)->stopped() == "limit reached");
  }
  CHECK(*runtime::read_file(path) == "abcdefgh");
}

TEST_CASE("records: the last life's is kept beside the new one") {
  Folder folder;
  std::string path = folder.path + "/record";
  for (const char* life : {"first", "second", "third"}) {
    auto file = RecordFile::open(path, kPlenty);
    REQUIRE(file.ok());
    (*file)->write(as_bytes(life));
  }
  CHECK(*runtime::read_file(path) == "third");
  CHECK(*runtime::read_file(path + ".old") == "second");
}

TEST_CASE("records: a place that cannot be written is an error that names it") {
  auto file = RecordFile::open("/nonexistent/record", kPlenty);
  REQUIRE_FALSE(file.ok());
  CHECK(file.error().message.find("/nonexistent/record") != std::string::npos);
}

TEST_CASE("records: one that was stopped takes no more") {
  Folder folder;
  std::string path = folder.path + "/record";
  auto file = RecordFile::open(path, kPlenty);
  REQUIRE(file.ok());
  (*file)->write(as_bytes("kept"));
  (*file)->stop();
  (*file)->write(as_bytes("lost"));
  CHECK((*file)->stopped() == "configuration");
  file->reset();
  CHECK(*runtime::read_file(path) == "kept");
}

}  // namespace dmsc::node
