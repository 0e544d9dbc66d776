// A small state that survives a power cut even where the disk loses the end of a file: two copies,
// PATH.a and PATH.b, written in turn, each with generation, length and SHA-256. A copy that was torn
// is told apart from a whole one, and the other copy holds the state before.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dmsc::runtime {

class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  struct Loaded {
    std::optional<std::string> content;  // of the newest whole copy; nullopt: there is none
    std::vector<std::string> damaged;    // a sentence per copy that is there and not whole
  };
  // Reads both copies. Call once, before next().
  Loaded load();

  struct Copy {
    std::string path, content;
  };
  // The file to write, atomically, to store `content`: never the one that holds the present state.
  Copy next(std::string_view content);

 private:
  std::string path_;
  char current_ = 'b';             // the copy that holds the present state
  std::uint64_t generation_ = 0;   // of it
};

}  // namespace dmsc::runtime
