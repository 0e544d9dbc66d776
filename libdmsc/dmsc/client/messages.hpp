// The message half of Gateway: one SEQPACKET connection to message.sock. Only for the client's own
// sources. Nothing is handed from thread to thread that need not be, as a wake-up costs more than all
// else in a call:
//
//   - whoever has something to say writes it to the socket himself;
//   - one thread at a time reads (it "has the role"): the one that epoll woke, or a program's thread
//     that waits in call(), which then takes its own answer from the socket;
//   - the thread that read a request runs its handler, after giving the role back.
//
//   messages.cpp         calls, serving; what the gateway says
//   messages_threads.cpp the threads and the role
//   messages_keeper.cpp  connection, deadlines
#pragma once
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "dmsc/client/gateway.hpp"
#include "dmsc/client/message_socket.hpp"
#include "dmsc/client/task_pool.hpp"

namespace dmsc::client {

class Gateway::Messages {
 public:
  Messages(const Options& options, TaskPool& tasks);
  ~Messages();
  Result<Reply> call(const std::string& name, ByteView payload, const CallOptions& options);
  void call_async(const std::string& name, ByteView payload, const CallOptions& options,
                  std::function<void(Result<Reply>)> done);
  void serve(const std::string& prefix, Handler handler);
  void stop_serving(const std::string& prefix);
  // The lease under which served prefixes are announced. Blocks, at most kBindWait, until the gateway
  // knows this program as the server of them, so that no request comes before.
  void set_lease(const std::string& lease);
  // Until the gateway knows us as the server of `prefix`, if it is served at all.
  void wait_bound(const std::string& prefix, Duration limit);
  // Ends the threads, after the handlers that run; open calls end with `unavailable`.
  void stop();

 private:
  using Done = std::function<void(Result<Reply>)>;
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;
  static constexpr milliseconds kBindWait{500};
  static constexpr std::size_t kMaxQueued = 16384;  // requests that wait for a thread
  struct Waiter {                // a thread in call()
    std::condition_variable answered;
    std::optional<Result<Reply>> result;
  };
  struct OpenCall {
    Done done;                   // of call_async(); empty: `waiter`
    Waiter* waiter = nullptr;
    Clock::time_point give_up;   // the gateway answers before; this is if it does not
  };
  struct Completion {
    Done done;
    Result<Reply> result;
  };
  struct Waiting {               // a request
    std::shared_ptr<const Handler> handler;
    std::uint64_t id = 0, connection = 0;
    Clock::time_point until;
    Request request;
  };

  // Unless said, with mutex_ held; a function that takes the lock gives it up meanwhile.

  // messages.cpp
  static Result<wire::PodCall> make_call(const std::string& name, ByteView payload,
                                         const CallOptions& options);
  void open_call(wire::PodCall& call, OpenCall open);
  void finish(std::uint64_t id, Result<Reply> result);
  void bind(const std::string& prefix);
  void on(wire::PodReply& reply);
  void on(wire::PodFailure& failure);
  void on(wire::PodBound& bound);
  void on(wire::PodRequest& request);
  void on(wire::PodCancel& cancel);

  // messages_threads.cpp
  void start_readers(unsigned count);
  void reader();                                   // a thread
  void release_role();
  void arm();
  void read_for(Waiter& waiter, Clock::time_point give_up, Lock& lock);
  void take_in(MessageSocket::Alive alive);
  void run_completions(Lock& lock);
  void run_requests(Lock& lock);
  Result<Bytes> run_handler(const Waiting& waiting);  // without the lock
  void kick();

  // messages_keeper.cpp
  void keep();                                     // a thread
  void connect_now(Lock& lock);
  void disconnect(const std::string& why, Lock& lock);
  void break_connection(const std::string& why);
  void push(const wire::PodIpcMessage& message);
  void flush();
  void wake_keeper();
  void expire();
  int keeper_wait_ms();

  const Options options_;
  TaskPool& tasks_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, OpenCall> calls_;
  std::size_t async_calls_ = 0;
  std::map<std::string, std::shared_ptr<const Handler>, std::less<>> handlers_;
  std::set<std::uint64_t> serving_;     // requests given to handlers, or about to be
  std::deque<Waiting> requests_;
  std::deque<Completion> completions_;  // run by who has the role
  std::string lease_;
  std::map<std::uint64_t, std::string> binding_;   // bind id -> prefix, not answered yet
  std::set<std::string> bound_;
  std::condition_variable bound_changed_;
  wire::PodFrameQueue outgoing_;
  bool connected_ = false, broken_ = false, stopping_ = false, wanted_ = false;
  bool write_blocked_ = false;          // the keeper waits for room in the socket
  bool reading_ = false;                // somebody has the role
  bool armed_ = false;                  // epoll wakes a reader for what comes,
  bool hangup_armed_ = false;           // or for the connection's end alone
  bool kicked_ = false;                 // a reader will come and look
  unsigned idle_ = 0, running_ = 0;     // readers that wait; handlers that run
  std::string why_broken_;
  std::uint64_t next_id_ = 1, connection_ = 0;
  Clock::time_point next_try_{}, keeper_until_{};
  milliseconds retry_{50};
  EventFd keeper_wake_, kick_, stop_;
  MessageSocket socket_;                // what it receives is who has the role's
  std::vector<std::thread> readers_;
  std::thread keeper_;
};

}  // namespace dmsc::client
