// Inside the inspect server: the topic registry and the calls in progress. Included only by
// inspect_*.cpp.
#pragma once
#include <grpcpp/alarm.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "dmsc/runtime/inspect_server.hpp"

namespace dmsc::runtime {

inline constexpr Duration kHandlerLimit = seconds(2);
inline constexpr Duration kAdminLimit = seconds(8);  // some wait for the disk
inline constexpr std::size_t kEventsKept = 256;

// One question from outside, answered exactly once: by its work, by its alarm or by stop().
class Question : public std::enable_shared_from_this<Question> {
 public:
  using Answer = std::function<void(Result<std::string>)>;
  explicit Question(Answer answer) : answer_(std::move(answer)) {}
  // Calls `expired` after `limit`, unless answered before. Call once, before anybody can answer.
  void expire_after(Duration limit, std::function<void()> expired);
  // Any thread; every call after the first does nothing.
  void answer(Result<std::string> result);
  bool answered() const { return answered_; }

 private:
  Answer answer_;
  std::atomic<bool> answered_{false};
  grpc::Alarm alarm_;
};

// Something that watches a topic (an open Watch call).
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual const std::string& topic() const = 0;
  // Asks again; false if the last answer is still under way. io_context's thread.
  virtual bool look() = 0;
  virtual void end(const Error& why) = 0;  // any thread
  // Looked at with every tick, not only after news of its topic.
  virtual bool eager() const { return topic() == "events"; }
  Time last_look{};                        // io_context's thread
};

struct InspectServer::Core : std::enable_shared_from_this<InspectServer::Core> {
  struct Topic {
    Duration limit;
    AsyncHandler handler;
  };
  Core(boost::asio::io_context& context, std::string daemon_name, std::string node_name)
      : io(context), daemon(std::move(daemon_name)), node(std::move(node_name)) {
    timer.emplace(context);
  }

  // Runs `work` on the io_context's thread and answers with what it passes to its argument, or with
  // an error after `limit`. Any thread. `answer` is called exactly once, on any thread.
  void ask(Duration limit, std::string what, Question::Answer answer,
           std::function<void(std::function<void(Result<std::string>)>)> work);
  // Asks a topic; the answer is the whole JSON document. Any thread.
  void show(const std::string& topic, const Arguments& arguments, Question::Answer answer);
  std::string document(const std::string& topic, const Json& content) const;

  void add_watcher(const std::shared_ptr<Watcher>& watcher);  // any thread
  void remove_watcher(const Watcher* watcher);                // any thread
  void notify_changed(std::string_view topic);                // io_context's thread
  void tick();                                                // io_context's thread
  void arm();

  void post(std::function<void()> work);                      // any thread
  Feed* feed(const std::string& topic);                       // io_context's thread; null: none
  std::string feed_names();                                   // io_context's thread

  // Events with a number above `after`, and the last number. Any thread.
  std::pair<Json, std::uint64_t> events_after(std::uint64_t after);
  void stop(const Error& why);

  boost::asio::io_context& io;
  const std::string daemon, node;
  AdminHandlers admin;  // io_context's thread
  std::map<std::string, std::unique_ptr<Feed>> feeds;  // io_context's thread

  std::atomic<bool> stopped{false};  // set under `lock`
  std::mutex lock;                   // all below
  std::map<std::string, Topic, std::less<>> topics;
  std::set<std::shared_ptr<Question>> questions;
  std::map<const Watcher*, std::shared_ptr<Watcher>> watchers;
  std::deque<Json> events;
  std::uint64_t event_count = 0;

  std::optional<boost::asio::steady_timer> timer;  // io_context's thread: all below; none once stopped
  bool armed = false;
  std::set<std::string, std::less<>> changed;
};

// The service Inspect over a Core. `core` outlives the service's server.
std::unique_ptr<grpc::Service> make_inspect_service(std::shared_ptr<InspectServer::Core> core);
std::unique_ptr<grpc::Service> make_admin_service(std::shared_ptr<InspectServer::Core> core);

}  // namespace dmsc::runtime
