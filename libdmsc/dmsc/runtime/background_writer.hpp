// Writes small files on a thread of its own: a sync to a busy disk takes hundreds of milliseconds,
// which a control thread that answers keepalives does not have.
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace dmsc::runtime {

class BackgroundWriter {
 public:
  BackgroundWriter();
  // Writes what is still waiting, then ends.
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;
  // Replaces `path` as write_file_atomically() does, mode 0600; only the newest content of a path that
  // waits is written. Failures are logged. Any thread; never waits for the disk.
  void write(std::string path, std::string content);
  // The same; `stored` runs on the writer's thread once this content, or a newer one, is on disk (true)
  // or could not be written (false).
  void write(std::string path, std::string content, std::function<void(bool)> stored);
  // Removes the file; one that is not there is no error.
  void remove(std::string path);
  // Returns when everything asked for before is on disk.
  void flush();

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  struct Task {
    std::optional<std::string> content;  // nullopt = remove
    std::vector<std::function<void(bool)>> stored;
  };
  std::map<std::string, Task> waiting_;
  bool busy_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace dmsc::runtime
