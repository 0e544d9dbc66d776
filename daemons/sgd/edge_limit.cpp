#include "sgd/edge_limit.hpp"

#include <algorithm>

namespace dmsc::sgd {
namespace {

constexpr std::int64_t kQuantum = 1500;       // bytes of a turn
constexpr Duration kPause = milliseconds(1);   // a wake-up for every packet is not worth it
constexpr std::size_t kLeastShare = 2 * 1500;  // or a slow limit would let nothing through

}  // namespace

FairShaper::FairShaper(std::uint64_t bits_per_second)
    : bytes_per_ns_(static_cast<double>(bits_per_second) / 8e9) {
  double burst = bytes_per_ns_ * static_cast<double>(Duration(kBurst).count());
  most_ = std::max(burst, static_cast<double>(kLeastShare));
  tokens_ = most_;
}

void FairShaper::refill(Time now) {
  if (filled_ != Time{}) {
    auto passed = std::max<std::int64_t>(0, (now - filled_).count());
    tokens_ = std::min(most_, tokens_ + static_cast<double>(passed) * bytes_per_ns_);
  }
  filled_ = now;
}

// Bytes that may wait of each sender, so that all together wait kQueue at most.
std::size_t FairShaper::share() const {
  double all = bytes_per_ns_ * static_cast<double>(Duration(kQueue).count());
  std::size_t each = static_cast<std::size_t>(all) / std::max<std::size_t>(1, senders_.size());
  return std::max(each, kLeastShare);
}

FairShaper::Answer FairShaper::offer(Time now, std::uint32_t sender, std::size_t size) {
  refill(now);
  if (senders_.empty() && tokens_ >= static_cast<double>(size)) {
    tokens_ -= static_cast<double>(size);
    return Answer::pass;
  }
  auto it = senders_.find(sender);
  std::size_t held = it == senders_.end() ? 0 : it->second.bytes;
  return held + size > share() ? Answer::drop : Answer::wait;
}

void FairShaper::push(std::uint32_t sender, Waiting packet) {
  bool first = senders_.empty();
  Sender& s = senders_[sender];
  s.bytes += packet.size;
  waiting_ += packet.size;
  s.queue.push_back(std::move(packet));
  if (first) plan();
}

void FairShaper::send_one(std::map<std::uint32_t, Sender>::iterator at,
                          const std::function<void(Waiting&)>& send) {
  Sender& s = at->second;
  Waiting packet = std::move(s.queue.front());
  s.queue.pop_front();
  s.bytes -= packet.size;
  waiting_ -= packet.size;
  s.deficit -= packet.size;
  tokens_ -= packet.size;
  if (s.queue.empty()) {
    senders_.erase(at);
    begun_ = false;
  }
  send(packet);
}

void FairShaper::release(Time now, const std::function<void(Waiting&)>& send) {
  refill(now);
  while (!senders_.empty()) {
    auto at = senders_.lower_bound(turn_);
    if (at == senders_.end()) at = senders_.begin();
    if (!begun_ || at->first != turn_) at->second.deficit += kQuantum;
    turn_ = at->first;
    begun_ = true;
    std::uint32_t size = at->second.queue.front().size;
    if (at->second.deficit < static_cast<std::int64_t>(size)) {
      ++turn_;  // the next one's; wraps by lower_bound
      begun_ = false;
      continue;
    }
    if (tokens_ < static_cast<double>(size)) break;
    send_one(at, send);
  }
  plan();
}

// When release() comes again; from now, which filled_ is.
void FairShaper::plan() {
  due_.reset();
  if (senders_.empty()) return;
  auto at = senders_.lower_bound(turn_);
  if (at == senders_.end()) at = senders_.begin();
  double missing = static_cast<double>(at->second.queue.front().size) - tokens_;
  auto wait = static_cast<std::int64_t>(std::max(0.0, missing) / bytes_per_ns_);
  due_ = filled_ + std::max(Duration(wait), kPause);
}

}  // namespace dmsc::sgd
