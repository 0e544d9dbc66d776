#include "dmsc/linkstate/flood_queue.hpp"

#include <algorithm>

namespace dmsc::linkstate {
namespace {
constexpr Duration kFirstTimeout = milliseconds(100);  // before any round trip was measured
constexpr Duration kMinTimeout = milliseconds(30), kMaxTimeout = seconds(2);
constexpr Duration kAckDelayAllowance = milliseconds(20);  // the receiver batches acknowledgements
}  // namespace

Duration FloodQueue::timeout() const {
  if (rtt_ == Duration::zero()) return kFirstTimeout;
  return std::clamp(rtt_ + 4 * rtt_var_ + kAckDelayAllowance, kMinTimeout, kMaxTimeout);
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
  } else if (slot.in_flight && slot.hash != hash) {
    land(key, slot);
    slot.tries = 0;
    enqueue(key, slot.urgent);
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
  if (it == slots_.end() || !it->second.in_flight || it->second.hash != ref.hash) return false;
  if (it->second.tries == 1) {  // Karn: a repeated LSA's round trip is ambiguous
    Duration sample = std::max<Duration>(now - it->second.sent, microseconds(1));
    if (rtt_ == Duration::zero()) {
      rtt_ = sample;
      rtt_var_ = sample / 2;
    } else {
      Duration error = sample > rtt_ ? sample - rtt_ : rtt_ - sample;
      rtt_var_ += (error - rtt_var_) / 4;
      rtt_ += (sample - rtt_) / 8;
    }
  }
  drop(key);
  if (window_ < threshold_) {
    ++window_;
  } else if (++grown_ >= window_) {
    grown_ = 0;
    window_ = std::min(window_ + 1, kMaxWindow);
  }
  return true;
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

void FloodQueue::sent(Time now, std::uint64_t key, std::uint64_t hash) {
  auto it = slots_.find(key);
  if (it == slots_.end()) return;
  Slot& slot = it->second;
  slot.in_flight = true;
  slot.hash = hash;
  slot.sent = now;
  Duration wait = timeout();
  for (unsigned i = 0; i < slot.tries && wait < kMaxTimeout; ++i) wait *= 2;
  ++slot.tries;
  slot.deadline = now + std::min(wait, kMaxTimeout);
  flight_.insert({slot.deadline, key});
}

// Multiplicative decrease, at most once per round trip.
void FloodQueue::shrink(Time now) {
  if (now < shrink_again_) return;
  shrink_again_ = now + timeout();
  threshold_ = std::max(window_ / 2, kMinWindow);
  window_ = threshold_;
}

std::size_t FloodQueue::expire(Time now) {
  std::size_t count = 0;
  while (!flight_.empty() && flight_.begin()->first <= now) {
    std::uint64_t key = flight_.begin()->second;
    Slot& slot = slots_.at(key);
    land(key, slot);
    enqueue(key, slot.urgent);
    ++count;
  }
  if (count != 0) shrink(now);
  return count;
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
