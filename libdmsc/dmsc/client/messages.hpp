// The message half of Gateway: one SEQPACKET connection to message.sock, kept by one thread that reads,
// writes and watches deadlines; handlers run on the task pool. Only for the client's own sources.
#pragma once
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "dmsc/client/gateway.hpp"
#include "dmsc/client/task_pool.hpp"

namespace dmsc::client {

class Gateway::Messages {
 public:
  Messages(const Options& options, TaskPool& tasks);
  ~Messages();
  void call_async(const std::string& name, ByteView payload, const CallOptions& options,
                  std::function<void(Result<Reply>)> done);
  void serve(const std::string& prefix, Handler handler);
  void stop_serving(const std::string& prefix);
  // The lease under which served prefixes are announced. Blocks, at most kBindWait, until the gateway
  // knows this program as the server of them, so that no request comes before.
  void set_lease(const std::string& lease);
  // Until the gateway knows us as the server of `prefix`, if it is served at all.
  void wait_bound(const std::string& prefix, Duration limit);
  // Ends the thread; open calls end with `unavailable`.
  void stop();

 private:
  using Done = std::function<void(Result<Reply>)>;
  using Clock = std::chrono::steady_clock;
  static constexpr milliseconds kBindWait{500};
  struct OpenCall {
    Done done;
    Clock::time_point give_up;   // the gateway answers before; this is if it does not
  };

  void run();
  void wake();
  bool connect_now();            // thread; false = failed, calls that waited are ended
  void disconnect(const std::string& why);
  void read_ready();
  void write_ready();
  void on(wire::PodReply& reply);
  void on(wire::PodFailure& failure);
  void on(wire::PodBound& bound);
  void on(wire::PodRequest& request);
  void on(wire::PodCancel& cancel);
  void serve_request(const Handler& handler, std::uint64_t id, std::uint64_t connection,
                     const Request& request, Clock::time_point until);
  void enqueue(const wire::PodIpcMessage& message);            // mutex_ held
  void bind(const std::string& prefix);                        // mutex_ held
  void finish(std::uint64_t id, Result<Reply> result);
  void expire();
  int wait_ms();

  const Options options_;
  TaskPool& tasks_;
  std::mutex mutex_;             // guards everything below but what the thread alone uses
  std::map<std::uint64_t, OpenCall> calls_;
  std::map<std::string, Handler> handlers_;
  std::set<std::uint64_t> serving_;     // requests given to handlers
  std::string lease_;
  std::map<std::uint64_t, std::string> binding_;   // bind id -> prefix, not answered yet
  std::set<std::string> bound_;
  std::condition_variable bound_changed_;
  std::deque<Bytes> outgoing_;
  bool connected_ = false, stopping_ = false, wanted_ = false;
  std::uint64_t next_id_ = 1, connection_ = 0;
  // The thread's own.
  int fd_ = -1, wake_fd_ = -1;
  wire::PodFrameReader reader_;
  Clock::time_point next_try_{};
  milliseconds retry_{50};
  std::thread thread_;
};

}  // namespace dmsc::client
