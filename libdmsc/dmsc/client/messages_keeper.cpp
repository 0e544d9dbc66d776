// The keeper: makes the connection and makes it again, ends calls that the gateway left without an
// answer, and writes on when the socket was full. It sleeps otherwise.
#include <poll.h>

#include <cerrno>
#include <cstring>

#include "dmsc/client/messages.hpp"

namespace dmsc::client {
namespace {

constexpr milliseconds kFirstRetry{50}, kLastRetry{250};
constexpr std::chrono::seconds kLongWait{10};

}  // namespace

Gateway::Messages::Messages(const Options& options, TaskPool& tasks)
    : options_(options), tasks_(tasks) {
  socket_.watch(kick_, stop_);
  Lock lock(mutex_);
  start_readers(1);
  keeper_ = std::thread([this] { keep(); });
}

Gateway::Messages::~Messages() { stop(); }

void Gateway::Messages::stop() {
  {
    Lock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  bound_changed_.notify_all();
  stop_.raise();
  wake_keeper();
  keeper_.join();
  for (std::thread& thread : readers_) thread.join();
}

void Gateway::Messages::wake_keeper() { keeper_wake_.raise(); }

void Gateway::Messages::keep() {
  Lock lock(mutex_);
  while (!stopping_ || connected_) {
    if (stopping_ && !broken_) break_connection("the client was closed");
    if (broken_ && !reading_) {
      disconnect(why_broken_, lock);
      continue;
    }
    // A call does not wait for the next try: it is told at once whether there is a gateway.
    if (wanted_ && !connected_ && (!calls_.empty() || Clock::now() >= next_try_)) {
      connect_now(lock);
      continue;
    }
    pollfd fds[2] = {{keeper_wake_.get(), POLLIN, 0}, {socket_.get(), POLLOUT, 0}};
    const nfds_t count = write_blocked_ && connected_ && !broken_ ? 2 : 1;
    const int wait = keeper_wait_ms();
    lock.unlock();
    ::poll(fds, count, wait);
    if ((fds[0].revents & POLLIN) != 0) keeper_wake_.clear();
    lock.lock();
    keeper_until_ = {};
    if (count == 2 && fds[1].revents != 0) {
      write_blocked_ = false;
      flush();
    }
    expire();
    if (!completions_.empty()) kick();
  }
  disconnect("the client was closed", lock);
}

int Gateway::Messages::keeper_wait_ms() {
  auto until = Clock::now() + kLongWait;
  for (const auto& [id, call] : calls_) until = std::min(until, call.give_up);
  if (!connected_ && wanted_) until = std::min(until, next_try_);
  keeper_until_ = until;
  auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

void Gateway::Messages::expire() {
  const auto now = Clock::now();
  std::vector<std::uint64_t> late;
  for (const auto& [id, call] : calls_) {
    if (call.give_up <= now) late.push_back(id);
  }
  for (std::uint64_t id : late) {
    finish(id, make_error(Errc::deadline, "deadline: the gateway did not answer"));
  }
}

// ---- the connection -----------------------------------------------------------------------------

void Gateway::Messages::connect_now(Lock& lock) {
  const std::string path = options_.socket_dir + "/message.sock";
  if (int error = socket_.connect(path); error != 0) {
    return disconnect("no gateway at " + path + ": " + std::strerror(error), lock);
  }
  connected_ = armed_ = true;
  hangup_armed_ = false;
  ++connection_;
  retry_ = kFirstRetry;
  // Calls that were made meanwhile go after hello and the bindings.
  wire::PodFrameQueue waiting = std::exchange(outgoing_, {});
  push(wire::PodHello{options_.client.substr(0, 255)});
  for (const auto& [prefix, handler] : handlers_) bind(prefix);
  outgoing_.append(std::move(waiting));
  flush();
}

// Somebody may be reading: the keeper closes the socket when the role is free.
void Gateway::Messages::break_connection(const std::string& why) {
  if (broken_ || !connected_) return;
  broken_ = true;
  why_broken_ = why;
  socket_.shut();
  wake_keeper();
}

// By the keeper alone. What calls are open ends here, under the role, as every completion.
void Gateway::Messages::disconnect(const std::string& why, Lock& lock) {
  socket_.close();
  connected_ = broken_ = write_blocked_ = armed_ = hangup_armed_ = false;
  outgoing_.clear();
  serving_.clear();
  requests_.clear();
  binding_.clear();
  bound_.clear();
  wanted_ = !handlers_.empty();
  next_try_ = Clock::now() + retry_;
  retry_ = std::min(retry_ * 2, kLastRetry);
  std::set<std::uint64_t> open;
  for (const auto& [id, call] : calls_) open.insert(id);
  for (std::uint64_t id : open) finish(id, make_error(Errc::unavailable, why));
  if (reading_) return;  // only without a connection: he runs them
  reading_ = true;
  run_completions(lock);
  reading_ = false;
}

// ---- writing ------------------------------------------------------------------------------------

void Gateway::Messages::push(const wire::PodIpcMessage& message) {
  (void)outgoing_.push(message);  // sizes were checked by whoever made the message
}

void Gateway::Messages::flush() {
  if (!connected_ || broken_ || write_blocked_) return;
  while (!outgoing_.empty()) {
    int error = socket_.send(outgoing_.front());
    if (error == EAGAIN || error == ENOBUFS) {
      write_blocked_ = true;
      return wake_keeper();
    }
    if (error != 0) {
      return break_connection(std::string("the gateway went away: ") + std::strerror(error));
    }
    outgoing_.pop();
  }
}

}  // namespace dmsc::client
