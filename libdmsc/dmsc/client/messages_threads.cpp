// The threads that read and run handlers. There is always one more of them than handlers may run, so
// that somebody is left to read whatever the handlers wait for.
#include "dmsc/client/messages.hpp"

namespace dmsc::client {

void Gateway::Messages::start_readers(unsigned count) {
  while (readers_.size() < count) readers_.emplace_back([this] { reader(); });
}

void Gateway::Messages::reader() {
  Lock lock(mutex_);
  while (!stopping_) {
    ++idle_;
    lock.unlock();
    const MessageSocket::Woken woken = socket_.wait();
    lock.lock();
    --idle_;
    if (woken == MessageSocket::Woken::kick) kicked_ = false;
    if (woken == MessageSocket::Woken::socket) armed_ = hangup_armed_ = false;
    flush();  // what a thread left to us that now runs a handler
    const bool readable = woken == MessageSocket::Woken::socket && connected_ && !broken_;
    // Somebody else has the role: he arms the socket again when he gives it back.
    if (!reading_ && (readable || !completions_.empty())) {
      reading_ = true;
      if (readable) {
        lock.unlock();
        MessageSocket::Alive alive = socket_.receive(false);
        lock.lock();
        take_in(std::move(alive));
      }
      run_completions(lock);
      release_role();
    }
    run_requests(lock);
  }
}

void Gateway::Messages::release_role() {
  reading_ = false;
  if (broken_ || stopping_) return wake_keeper();
  arm();
  if (!completions_.empty()) kick();
}

// Lets epoll wake a reader. For a program that only waits in call() there is nothing to wake for but
// the end of the connection, and who calls next finds the role free without a system call.
void Gateway::Messages::arm() {
  if (reading_ || armed_ || !connected_ || broken_) return;
  if (hangup_armed_ && handlers_.empty() && calls_.empty() && binding_.empty()) return;
  socket_.arm();
  armed_ = true;
  hangup_armed_ = false;
}

// The role for a thread in call(): it reads until its own answer is there.
void Gateway::Messages::read_for(Waiter& waiter, Clock::time_point give_up, Lock& lock) {
  reading_ = true;
  if (!hangup_armed_) socket_.disarm();
  hangup_armed_ = true;
  armed_ = false;
  while (!waiter.result && !broken_ && !stopping_ && completions_.empty()) {
    lock.unlock();
    MessageSocket::Alive alive = socket_.receive(true);
    lock.lock();
    take_in(std::move(alive));
    if (!requests_.empty()) kick();
    if (Clock::now() >= give_up) expire();
  }
  release_role();
}

void Gateway::Messages::take_in(MessageSocket::Alive alive) {
  for (wire::PodIpcMessage& message : socket_.inbox()) {
    std::visit([&](auto& m) { if constexpr (requires { this->on(m); }) on(m); }, message);
  }
  socket_.inbox().clear();
  if (!alive.alive) break_connection(alive.why);
}

// Wakes a reader that waits, if there is one and none is on its way.
void Gateway::Messages::kick() {
  if (kicked_ || idle_ == 0) return;
  kicked_ = true;
  kick_.raise();
}

void Gateway::Messages::run_requests(Lock& lock) {
  const unsigned most = std::max(options_.handler_threads, 1U);
  while (!requests_.empty() && running_ < most && !stopping_) {
    Waiting waiting = std::move(requests_.front());
    requests_.pop_front();
    const bool wanted = serving_.count(waiting.id) != 0 && waiting.connection == connection_;
    if (!wanted || Clock::now() >= waiting.until) continue;
    if (!requests_.empty()) kick();  // handlers run side by side, and one may take its time
    ++running_;
    lock.unlock();
    Result<Bytes> result = run_handler(waiting);
    lock.lock();
    --running_;
    if (serving_.erase(waiting.id) == 0 || waiting.connection != connection_ || !connected_) continue;
    if (result && result->size() <= wire::kMaxMessageBytes) {
      push(wire::PodResponse{waiting.id, std::move(*result)});
    } else {
      push(wire::PodRefusal{waiting.id, result ? "the reply is over 1 MiB"
                                               : result.error().message.substr(0, 1000)});
    }
    // With another one on its way who will write them, answers may wait for each other.
    const bool joined = kicked_ && !requests_.empty();
    if (!joined || outgoing_.bytes() >= wire::PodFrameQueue::kJoinedMax) flush();
  }
  flush();
}

Result<Bytes> Gateway::Messages::run_handler(const Waiting& waiting) {
  try {
    return (*waiting.handler)(waiting.request);
  } catch (const std::exception& e) {
    return make_error(Errc::internal, "the handler failed: ", e.what());
  }
}

}  // namespace dmsc::client
