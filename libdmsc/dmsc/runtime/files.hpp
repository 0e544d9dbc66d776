// Files that survive a crash whole: written beside, synced, renamed.
#pragma once
#include <string>
#include <string_view>

#include "dmsc/core/result.hpp"

namespace dmsc::runtime {

// The whole file, at most `max_bytes`. Errors: not_found, denied, limit, internal; each names it.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes = 64 << 20);
// Replaces `path` by `content` so that after a crash either the old or the new file is there,
// whole. `mode` is exact, whatever the umask.
Status write_file_atomically(const std::string& path, std::string_view content,
                             unsigned mode = 0600);
// Makes the directory and its parents if missing; `mode` applies to those it makes.
Status make_directory(const std::string& path, unsigned mode = 0700);

// Small named files below a daemon's state_dir.
class StateDir {
 public:
  // Makes the directory (0700) if missing, and checks that this process may write there.
  static Result<StateDir> open(std::string path);
  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Error not_found if it was never written.
  Result<std::string> read(std::string_view name) const { return read_file(file(name)); }
  Status write(std::string_view name, std::string_view content, unsigned mode = 0600) const {
    return write_file_atomically(file(name), content, mode);
  }

 private:
  explicit StateDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace dmsc::runtime
