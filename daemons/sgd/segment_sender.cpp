#include "sgd/segment_sender.hpp"

#include <algorithm>

namespace dmsc::sgd {

void RoundTrip::sample(Duration rtt) {
  rtt = std::max(rtt, Duration(1));
  if (smoothed_ == Duration{}) {
    smoothed_ = rtt;
    variation_ = rtt / 2;
    return;
  }
  Duration error = smoothed_ > rtt ? smoothed_ - rtt : rtt - smoothed_;
  variation_ = (variation_ * 3 + error) / 4;
  smoothed_ = (smoothed_ * 7 + rtt) / 8;
}

Duration RoundTrip::timeout() const {
  if (smoothed_ == Duration{}) return kInitialTimeout;
  return std::clamp(smoothed_ + variation_ * 4, kMinTimeout, kMaxTimeout);
}

SegmentSender::SegmentSender(std::size_t total, std::size_t segment_bytes)
    : total_(total), segment_bytes_(std::max<std::size_t>(segment_bytes, 1)) {
  segments_.resize(std::max<std::size_t>((total_ + segment_bytes_ - 1) / segment_bytes_, 1));
}

std::uint32_t SegmentSender::size_of(std::size_t index) const {
  return static_cast<std::uint32_t>(std::min(segment_bytes_, total_ - index * segment_bytes_));
}

void SegmentSender::send(Time now, std::size_t index,
                         const std::function<void(std::uint32_t, std::uint32_t)>& emit) {
  Segment& segment = segments_[index];
  if (segment.sends > 0) {
    retransmitted_ = true;
    ++retransmissions_;
  }
  if (segment.sends < 255) ++segment.sends;
  segment.sent = now;
  if (segment.lost) --lost_count_;
  segment.lost = false;
  if (!segment.acked) ++in_flight_;
  emit(static_cast<std::uint32_t>(index * segment_bytes_), size_of(index));
}

void SegmentSender::poll(Time now, const RoundTrip& rtt,
                         const std::function<void(std::uint32_t, std::uint32_t)>& emit) {
  if (in_flight_ > 0 && now >= timeout_at_) expire(now);
  const bool idle = in_flight_ == 0;
  for (std::size_t i = 0; lost_count_ > 0 && i < next_ && in_flight_ < window_; ++i) {
    if (segments_[i].lost) send(now, i, emit);
  }
  while (lost_count_ == 0 && next_ < segments_.size() && in_flight_ < window_) {
    send(now, next_++, emit);
  }
  if (idle && in_flight_ > 0) {
    Duration wait = rtt.timeout() * (1U << std::min(backoff_, 4U));
    timeout_at_ = now + std::min<Duration>(wait, RoundTrip::kMaxTimeout);
  }
}

// The timer ran out: everything in flight is taken as lost, the window shrinks, the timer backs off.
void SegmentSender::expire(Time now) {
  for (std::size_t i = 0; i < next_; ++i) {
    Segment& segment = segments_[i];
    if (segment.acked || segment.lost) continue;
    segment.lost = true;
    ++lost_count_;
  }
  in_flight_ = 0;
  window_ = std::max(window_ / 2, kMinWindow);
  ever_cut_ = true;
  last_cut_ = now;
  ++backoff_;
}

void SegmentSender::mark_acked(Time now, std::size_t index, RoundTrip& rtt) {
  Segment& segment = segments_[index];
  if (segment.acked || segment.sends == 0) return;
  if (segment.sends == 1) rtt.sample(now - segment.sent);
  if (segment.lost) {
    segment.lost = false;
    --lost_count_;
  } else if (in_flight_ > 0) {
    --in_flight_;
  }
  segment.acked = true;
  ++acked_count_;
  window_ = std::min(window_ + 1, kMaxWindow);
}

void SegmentSender::acknowledge(Time now, const wire::ByteRanges& held, RoundTrip& rtt) {
  std::size_t highest = 0;
  const std::size_t before = acked_count_;
  for (const auto& [from, to] : held.ranges()) {
    // Whole segments inside the range; the last one ends at the message's end.
    std::size_t first = (from + segment_bytes_ - 1) / segment_bytes_;
    std::size_t last = to >= total_ ? segments_.size() : to / segment_bytes_;
    for (std::size_t i = first; i < last && i < next_; ++i) mark_acked(now, i, rtt);
    if (last > first) highest = std::max(highest, std::min(last, next_));
  }
  if (acked_count_ > before) {
    backoff_ = 0;
    timeout_at_ = now + rtt.timeout();
    find_losses(now, highest, rtt);
  }
}

void SegmentSender::acknowledge_all(Time now, RoundTrip& rtt) {
  for (std::size_t i = 0; i < next_; ++i) mark_acked(now, i, rtt);
  backoff_ = 0;
}

// A segment is lost if three later ones arrived and a round trip has passed since it was sent.
void SegmentSender::find_losses(Time now, std::size_t highest, const RoundTrip& rtt) {
  bool any = false;
  const Duration wait = rtt.round_trip_limit();
  for (std::size_t i = 0; i + kReorderSegments < highest; ++i) {
    Segment& segment = segments_[i];
    if (segment.acked || segment.lost || now - segment.sent < wait) continue;
    segment.lost = any = true;
    ++lost_count_;
    if (in_flight_ > 0) --in_flight_;
  }
  if (!any || (ever_cut_ && now - last_cut_ < wait)) return;
  window_ = std::max(window_ * 3 / 4, kMinWindow);
  ever_cut_ = true;
  last_cut_ = now;
}

void SegmentSender::nudge() {
  Segment& segment = segments_.back();
  if (!segment.acked) return;
  segment.acked = false;
  --acked_count_;
  segment.lost = true;
  ++lost_count_;
}

std::optional<Time> SegmentSender::deadline() const {
  if (done()) return std::nullopt;
  if (in_flight_ == 0) return Time{};  // something can be sent at once
  if (in_flight_ < window_ && (lost_count_ > 0 || next_ < segments_.size())) return Time{};
  return timeout_at_;
}

}  // namespace dmsc::sgd
