#include "dmsc/node/record_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "dmsc/runtime/log.hpp"

namespace dmsc::node {
namespace {

namespace log = runtime::log;

constexpr std::size_t kBlock = 64 << 10;

}  // namespace

Result<std::unique_ptr<RecordFile>> RecordFile::open(const std::string& path, std::uint64_t limit) {
  if (std::rename(path.c_str(), (path + ".old").c_str()) != 0 && errno != ENOENT) {
    return make_error(Errc::internal, "record: ", path, ".old: ", std::strerror(errno));
  }
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return make_error(Errc::internal, "record: ", path, ": ", std::strerror(errno));
  log::info("record-started", {{"file", path}, {"limit_bytes", limit}});
  return std::unique_ptr<RecordFile>(new RecordFile(path, fd, limit));
}

RecordFile::RecordFile(std::string path, int fd, std::uint64_t limit)
    : path_(std::move(path)), fd_(fd), limit_(limit), thread_([this] { run(); }) {}

RecordFile::~RecordFile() {
  flush();
  {
    std::lock_guard lock(mutex_);
    end_ = true;
  }
  wake_.notify_one();
  thread_.join();
  ::close(fd_);
}

void RecordFile::write(ByteView entry) {
  if (!why_stopped_.empty()) return;
  if (bytes_ + entry.size() > limit_) {
    why_stopped_ = "limit reached";
    log::warning("record-full", {{"file", path_}, {"limit_bytes", limit_}});
    return;
  }
  bytes_ += entry.size();
  block_.append(as_text(entry));
  if (block_.size() >= kBlock) flush();
}

void RecordFile::flush() {
  if (int error = error_.exchange(0); error != 0 && why_stopped_.empty()) {
    why_stopped_ = std::strerror(error);
    log::error("record-failed", {{"file", path_}, {"reason", why_stopped_}});
  }
  if (block_.empty()) return;
  {
    std::lock_guard lock(mutex_);
    waiting_ += block_;
  }
  block_.clear();
  wake_.notify_one();
}

void RecordFile::stop() {
  if (!why_stopped_.empty()) return;
  flush();
  why_stopped_ = "configuration";
  log::info("record-stopped", {{"file", path_}, {"bytes", bytes_}});
}

std::string RecordFile::stopped() const { return why_stopped_; }

bool RecordFile::write_all(const std::string& block) {
  for (std::size_t at = 0; at < block.size();) {
    ssize_t n = ::write(fd_, block.data() + at, block.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      error_ = errno;
      return false;
    }
    at += static_cast<std::size_t>(n);
  }
  return true;
}

void RecordFile::run() {
  for (bool good = true;;) {
    std::string block;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return end_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      block.swap(waiting_);
    }
    good = good && write_all(block);
  }
}

}  // namespace dmsc::node
