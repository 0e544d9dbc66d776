#include "dmsc/runtime/background_writer.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::runtime {
namespace {

bool perform(const std::string& path, const std::optional<std::string>& content) {
  if (content) {
    auto written = write_file_atomically(path, *content);
    if (!written) log::error("state-write-failed", {{"error", written.error()}});
    return written.ok();
  }
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return true;
  log::error("state-remove-failed", {{"path", path}, {"error", std::strerror(errno)}});
  return false;
}

}  // namespace

BackgroundWriter::BackgroundWriter() : thread_([this] { run(); }) {}

BackgroundWriter::~BackgroundWriter() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void BackgroundWriter::write(std::string path, std::string content) {
  write(std::move(path), std::move(content), nullptr);
}

void BackgroundWriter::write(std::string path, std::string content,
                             std::function<void(bool)> stored) {
  {
    std::lock_guard lock(mutex_);
    Task& task = waiting_[std::move(path)];
    task.content = std::move(content);
    if (stored) task.stored.push_back(std::move(stored));
  }
  wake_.notify_one();
}

void BackgroundWriter::remove(std::string path) {
  {
    std::lock_guard lock(mutex_);
    waiting_[std::move(path)].content.reset();
  }
  wake_.notify_one();
}

void BackgroundWriter::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return waiting_.empty() && !busy_; });
}

void BackgroundWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto batch = std::exchange(waiting_, {});
    busy_ = true;
    lock.unlock();
    for (const auto& [path, task] : batch) {
      bool good = perform(path, task.content);
      for (const auto& stored : task.stored) stored(good);
    }
    lock.lock();
    busy_ = false;
    idle_.notify_all();
  }
}

}  // namespace dmsc::runtime
