#include "dmsc/runtime/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace dmsc::runtime {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int close() {
    int result = fd_ >= 0 ? ::close(fd_) : 0;
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

Error system_error(const std::string& path, int number) {
  Errc code = number == ENOENT                      ? Errc::not_found
              : number == EACCES || number == EPERM ? Errc::denied
                                                    : Errc::internal;
  return make_error(code, path, ": ", std::strerror(number));
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return system_error(path, errno);
  std::string content;
  char buffer[65536];
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, errno);
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
    if (content.size() > max_bytes) {
      return make_error(Errc::limit, path, ": larger than ", std::to_string(max_bytes), " bytes");
    }
  }
}

Status write_file_atomically(const std::string& path, std::string_view content, unsigned mode) {
  std::string temporary = path + ".XXXXXX";
  Fd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (fd.get() < 0) return system_error(path, errno);
  bool written = fchmod(fd.get(), mode) == 0 && write_all(fd.get(), content) &&
                 fsync(fd.get()) == 0 && fd.close() == 0 &&
                 std::rename(temporary.c_str(), path.c_str()) == 0;
  if (!written) {
    Error error = system_error(path, errno);
    ::unlink(temporary.c_str());
    return error;
  }
  // The rename itself is durable only once the directory is.
  std::string folder = std::filesystem::path(path).parent_path().string();
  Fd directory(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) return system_error(path, errno);
  return Ok{};
}

Status make_directory(const std::string& path, unsigned mode) {
  if (path.empty()) return make_error(Errc::invalid, "a directory has no name");
  for (std::size_t end = path.find('/', 1); true; end = path.find('/', end + 1)) {
    std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return system_error(part, errno);
    if (end == std::string::npos) break;
  }
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return system_error(path, errno);
  if (!S_ISDIR(st.st_mode)) return make_error(Errc::invalid, path, ": is not a directory");
  return Ok{};
}

Result<StateDir> StateDir::open(std::string path) {
  if (auto made = make_directory(path, 0700); !made) return made.error();
  if (::access(path.c_str(), W_OK | X_OK) != 0) return system_error(path, errno);
  return StateDir(std::move(path));
}

}  // namespace dmsc::runtime
