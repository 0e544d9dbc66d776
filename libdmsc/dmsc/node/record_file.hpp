// The file a live node records its engine's inputs into (linkstate/input_log.hpp, "record:" in the
// configuration). The control thread only copies into memory; a thread of the file's own writes.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "dmsc/linkstate/input_log.hpp"

namespace dmsc::node {

class RecordFile final : public linkstate::InputSink {
 public:
  // Makes `path` anew, mode 0600; what was there becomes PATH.old, for a record is wanted most after a
  // crash and the restart that follows it. Recording ends, and says so, before `limit` bytes are passed.
  static Result<std::unique_ptr<RecordFile>> open(const std::string& path, std::uint64_t limit);
  // Writes what waits, then closes.
  ~RecordFile() override;

  void write(ByteView entry) override;   // control thread; never waits for the disk
  void flush();                          // hands over what was written so far; control thread
  void stop();                           // takes no more entries

  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t limit() const { return limit_; }
  // Empty while it records; else why it does not.
  std::string stopped() const;

 private:
  RecordFile(std::string path, int fd, std::uint64_t limit);
  void run();
  bool write_all(const std::string& block);

  std::string path_;
  int fd_;
  std::uint64_t limit_;
  std::string block_;                    // control thread's
  std::uint64_t bytes_ = 0;
  std::string why_stopped_;
  std::atomic<int> error_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string waiting_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace dmsc::node
