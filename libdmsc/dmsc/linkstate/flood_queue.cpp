#include "dmsc/linkstate/flood_queue.hpp"

#include <algorithm>

namespace dmsc::linkstate {
namespace {
constexpr Duration kFirstTimeout = milliseconds(100);  // before any round trip was measured
constexpr Duration kMinTimeout = milliseconds(30), kMaxTimeout = seconds(2);
constexpr Duration kAckDelayAllowance = milliseconds(20);  // the receiver batches acknowledgements
// Round trips longer than the shortest by this are a queue at the receiver: then the window shrinks,
// so that a slow neighbour is never more than moments behind and keepalives never wait long.
constexpr Duration kQueueTarget = milliseconds(50);
constexpr Duration kBasePeriod = seconds(10);              // the shortest of this and the last period
}  // namespace

Duration FloodQueue::timeout() const {
  if (rtt_ == Duration::zero()) return kFirstTimeout;
  // Three quarters of a round trip at least: a queue at the neighbour grows by whole datagrams.
  Duration spread = std::max<Duration>(4 * rtt_var_, rtt_ * 3 / 4);
  return std::clamp(rtt_ + spread + kAckDelayAllowance, kMinTimeout, kMaxTimeout);
}

std::size_t FloodQueue::window() const {
  return std::min<std::size_t>(window_, std::max<std::size_t>(peer_window_, 1));
}

void FloodQueue::enqueue(std::uint64_t key, bool urgent) {
  (urgent ? urgent_ : normal_).push_back(key);
}

void FloodQueue::push(std::uint64_t key, std::uint64_t hash, bool urgent) {
  auto [it, fresh] = slots_.try_emplace(key);
  Slot& slot = it->second;
  if (fresh) {
    slot.urgent = urgent;
    enqueue(key, urgent);
  } else if (slot.tries != 0 && slot.hash != hash) {  // what was sent is out of date
    if (slot.in_flight) {
      land(key, slot);
      enqueue(key, slot.urgent);
    }
    slot.tries = 0;
  }
}

void FloodQueue::land(std::uint64_t key, Slot& slot) {
  flight_.erase({slot.deadline, key});
  slot.in_flight = false;
}

void FloodQueue::drop(std::uint64_t key) {
  auto it = slots_.find(key);
  if (it == slots_.end()) return;
  if (it->second.in_flight) land(key, it->second);
  slots_.erase(it);
}

bool FloodQueue::acknowledged(Time now, const wire::LsaRef& ref) {
  std::uint64_t key = wire::key_number(ref.key);
  auto it = slots_.find(key);
  // tries: also a copy that was given up for lost a moment ago.
  if (it == slots_.end() || it->second.tries == 0 || it->second.hash != ref.hash) return false;
  bool limited = flight_.size() * 2 >= window();
  bool queueing = false;
  if (it->second.tries == 1 && it->second.in_flight) {  // Karn: a repeated LSA's round trip is ambiguous
    queueing = measure(now, std::max<Duration>(now - it->second.sent, microseconds(1)));
  }
  drop(key);
  if (queueing) {
    shrink(now);
  } else if (limited) {
    grow();
  }
  return true;
}

// True if the neighbour is falling behind.
bool FloodQueue::measure(Time now, Duration sample) {
  backoff_ = 0;
  if (measured_at_ == now && measured_ == sample) return queueing_;  // the same datagrams
  measured_at_ = now;
  measured_ = sample;
  if (rtt_ == Duration::zero()) {
    rtt_ = base_ = base_before_ = sample;
    rtt_var_ = sample / 2;
    base_since_ = now;
  } else {
    Duration error = sample > rtt_ ? sample - rtt_ : rtt_ - sample;
    rtt_var_ += (error - rtt_var_) / 4;
    rtt_ += (sample - rtt_) / 8;
  }
  if (now >= base_since_ + kBasePeriod) {
    base_since_ = now;
    base_before_ = std::exchange(base_, sample);
  }
  base_ = std::min(base_, sample);
  queueing_ = sample > std::min(base_, base_before_) + kQueueTarget;
  return queueing_;
}

void FloodQueue::grow() {
  if (window_ < threshold_) {
    ++window_;
  } else if (++grown_ >= window_) {
    grown_ = 0;
    ++window_;
  }
  window_ = std::min(window_, kMaxWindow);
}

void FloodQueue::skip_gone() {
  for (auto* queue : {&urgent_, &normal_}) {
    while (!queue->empty()) {
      auto it = slots_.find(queue->front());
      if (it != slots_.end() && !it->second.in_flight) break;
      queue->pop_front();
    }
  }
}

std::optional<std::uint64_t> FloodQueue::peek(Time now) {
  if (burst_start_ && *burst_start_ != now && now < *burst_start_ + kBurstPeriod) {
    return std::nullopt;
  }
  if (burst_start_ != now) burst_used_ = 0;
  if (burst_used_ >= kBurst || flight_.size() >= window()) return std::nullopt;
  skip_gone();
  if (!urgent_.empty()) return urgent_.front();
  if (!normal_.empty()) return normal_.front();
  return std::nullopt;
}

bool FloodQueue::sent(Time now, std::uint64_t key, std::uint64_t hash) {
  auto it = slots_.find(key);
  if (it == slots_.end()) return false;
  Slot& slot = it->second;
  slot.in_flight = true;
  slot.hash = hash;
  slot.sent = now;
  Duration wait = timeout();
  for (unsigned i = 0; i < std::max(slot.tries, backoff_) && wait < kMaxTimeout; ++i) wait *= 2;
  ++slot.tries;
  slot.deadline = now + std::min(wait, kMaxTimeout);
  flight_.insert({slot.deadline, key});
  return slot.tries > 1;
}

// Multiplicative decrease, at most once per round trip. By a quarter: most losses on a link are noise, not
// queues, and a queue is told by the round trips.
void FloodQueue::shrink(Time now) {
  if (now < shrink_again_) return;
  shrink_again_ = now + timeout();
  threshold_ = std::max(std::min(window_, window()) * 3 / 4, kMinWindow);
  window_ = threshold_;
}

void FloodQueue::expire(Time now) {
  bool lost = false;
  while (!flight_.empty() && flight_.begin()->first <= now) {
    std::uint64_t key = flight_.begin()->second;
    Slot& slot = slots_.at(key);
    land(key, slot);
    (slot.urgent ? urgent_ : normal_).push_front(key);  // it has waited longest
    lost = true;
  }
  if (!lost) return;
  // RFC 6298, 5.5: what was repeated measures nothing, so the timeout itself must grow until an LSA is
  // acknowledged that was sent once; else a slow neighbour would have everything twice.
  if (now >= backoff_again_) {
    backoff_again_ = now + timeout();
    backoff_ = std::min(backoff_ + 1, kMaxBackoff);
  }
  shrink(now);
}

std::optional<Time> FloodQueue::next_deadline(Time now) const {
  std::optional<Time> due;
  if (!flight_.empty()) due = flight_.begin()->first;
  if (queued() != 0 && flight_.size() < window()) {
    Time next = burst_start_ ? std::max(*burst_start_ + kBurstPeriod, now) : now;
    if (!due || next < *due) due = next;
  }
  return due;
}

void FloodQueue::clear() { *this = FloodQueue(); }

}  // namespace dmsc::linkstate
