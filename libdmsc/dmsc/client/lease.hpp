// The gRPC half of Gateway: the stream on pod.sock that is the lease of the announcements. One thread
// keeps it open and reads; whoever announces writes. Only for the client's own sources.
#pragma once
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "dmsc/client/gateway.hpp"
#include "dmsc/client/task_pool.hpp"

namespace dmsc::client {

class Gateway::Lease {
 public:
  // `on_lease` hears the lease id after every welcome.
  Lease(const Options& options, TaskPool& tasks, std::function<void(const std::string&)> on_lease);
  ~Lease();
  void announce(Announcement announcement);
  void withdraw(const std::string& prefix);
  Result<AnnouncementStatus> wait_granted(const std::string& prefix, Duration timeout);
  void on_status(std::function<void(const AnnouncementStatus&)> callback);
  void on_check(CheckHandler handler);
  void on_drain(std::function<void(const std::string&)> callback);
  std::optional<Session> session() const;
  // Withdraws everything and waits up to a second for the stream to end.
  void close();

 private:
  struct Entry {
    Announcement announcement;
    AnnouncementStatus status;
  };
  struct Stream;  // one gRPC call
  void run();
  void session_of(const std::shared_ptr<Stream>& stream);
  void set_status(AnnouncementStatus status);
  void run_check(std::uint64_t id, const std::string& prefix, const Check& check);

  const Options options_;
  TaskPool& tasks_;
  const std::function<void(const std::string&)> on_lease_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;
  std::function<void(const AnnouncementStatus&)> status_callback_;
  std::function<void(const std::string&)> drain_callback_;
  CheckHandler check_handler_;
  std::optional<Session> session_;
  std::shared_ptr<Stream> stream_;   // null while not welcomed
  std::shared_ptr<Stream> current_;  // the one being tried or in use
  std::string unconnected_reason_ = "not connected yet";
  bool closing_ = false, ended_ = false;
  std::thread thread_;
};

}  // namespace dmsc::client
