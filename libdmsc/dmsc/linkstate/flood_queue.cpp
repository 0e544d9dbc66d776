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
constexpr Duration kFirstCopyAfter = milliseconds(3), kUnknownTrip = milliseconds(10);
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

std::deque<std::uint64_t>& FloodQueue::queue_of(const Slot& slot) {
  return slot.news ? news_ : slot.urgent ? urgent_ : normal_;
}

void FloodQueue::push(std::uint64_t key, std::uint64_t hash, bool urgent, bool news) {
  auto [it, fresh] = slots_.try_emplace(key);
  Slot& slot = it->second;
  bool told_anew = news && !slot.news;
  if (told_anew) ++news_pending_;
  slot.news = slot.news || news;  // until the neighbour has it, news stays news, whatever follows
  if (fresh) {
    slot.urgent = urgent;
    queue_of(slot).push_back(key);
  } else if (slot.tries != 0 && slot.hash != hash) {  // what was sent is out of date
    if (slot.in_flight) {
      land(key, slot);
      queue_of(slot).push_back(key);
    } else if (told_anew) {
      news_.push_back(key);
    }
    slot.tries = slot.copies = 0;
  } else if (told_anew && !slot.in_flight) {
    news_.push_back(key);  // what is left in the other queue is passed over once this is sent
  }
}

// How long news waits for its acknowledgement; zero: as long as anything else. The first wait is short
// whatever the round trip, so that one loss costs a moment; the later ones are of a round trip.
Duration FloodQueue::news_wait(const Slot& slot) const {
  if (!slot.news || slot.copies == kNewsCopies || news_pending_ > kNewsAtOnce) return Duration::zero();
  Duration trip = least_ == Duration::zero() ? kUnknownTrip : least_;
  Duration wait = std::max<Duration>(trip * 5 / 4 + milliseconds(1), milliseconds(2));
  return slot.copies == 0 ? std::min<Duration>(wait, kFirstCopyAfter) : wait;
}

void FloodQueue::land(std::uint64_t key, Slot& slot) {
  flight_.erase({slot.deadline, key});
  slot.in_flight = false;
}

void FloodQueue::drop(std::uint64_t key) {
  auto it = slots_.find(key);
  if (it == slots_.end()) return;
  if (it->second.in_flight) land(key, it->second);
  if (it->second.news) --news_pending_;
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
  for (auto* queue : {&news_, &urgent_, &normal_}) {
    while (!queue->empty()) {
      auto it = slots_.find(queue->front());
      if (it != slots_.end() && !it->second.in_flight) break;
      queue->pop_front();
    }
  }
}

std::optional<std::uint64_t> FloodQueue::peek(Time now) {
  skip_gone();
  bool paced = in_burst(now);
  if (paced && burst_used_ >= kBurst) return std::nullopt;
  if (!news_.empty()) return news_.front();
  if ((paced && burst_start_ != now) || flight_.size() >= window()) return std::nullopt;
  if (!urgent_.empty()) return urgent_.front();
  if (!normal_.empty()) return normal_.front();
  return std::nullopt;
}

void FloodQueue::datagram_sent(Time now) {
  if (!in_burst(now)) {
    burst_start_ = now;
    burst_used_ = 0;
  }
  ++burst_used_;
}

bool FloodQueue::sent(Time now, std::uint64_t key, std::uint64_t hash) {
  auto it = slots_.find(key);
  if (it == slots_.end()) return false;
  Slot& slot = it->second;
  slot.in_flight = true;
  slot.hash = hash;
  slot.sent = now;
  Duration wait = news_wait(slot);
  slot.early = wait > Duration::zero();
  if (slot.early) {
    ++slot.copies;
  } else {
    wait = timeout();
    unsigned doublings = std::max(slot.tries - slot.copies, backoff_);
    for (unsigned i = 0; i < doublings && wait < kMaxTimeout; ++i) wait *= 2;
  }
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
    queue_of(slot).push_front(key);    // it has waited longest
    lost = lost || !slot.early;        // an early copy is no sign of a loss
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
  if (!news_.empty() || (queued() != 0 && flight_.size() < window())) {
    Time next = burst_start_ ? std::max(*burst_start_ + kBurstPeriod, now) : now;
    if (!due || next < *due) due = next;
  }
  return due;
}

void FloodQueue::clear() { *this = FloodQueue(); }

}  // namespace dmsc::linkstate
