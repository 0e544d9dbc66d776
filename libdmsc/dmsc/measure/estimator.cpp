#include "dmsc/measure/estimator.hpp"

#include <algorithm>
#include <cmath>

namespace dmsc::measure {
namespace {

// The peer's stamps are bytes it chose: any two of them, so the difference must not overflow.
std::int64_t apart(std::int64_t from, std::int64_t to) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(to) -
                                   static_cast<std::uint64_t>(from));
}

}  // namespace

Duration round_trip(const StampSample& s) {
  std::int64_t whole = apart(s.sent, s.received), held = apart(s.peer_received, s.peer_sent);
  // A peer that claims to have held the probe longer than it was away lies or was restarted.
  if (held < 0 || held > whole) held = 0;
  return Duration(std::max<std::int64_t>(whole - held, 0));
}

void DelayEstimator::add(Duration sample) {
  if (samples_++ == 0) {
    mean_ = floor_ = last_ = sample;
    return;
  }
  jitter_ += (std::max(sample - last_, last_ - sample) - jitter_) / 16;
  mean_ += (sample - mean_) / 8;
  floor_ = std::min(sample, floor_ + (mean_ - floor_) / 256);
  last_ = sample;
}

std::uint32_t chance_ppm(std::uint32_t share_ppm, std::size_t outcomes) {
  double share = std::min(share_ppm, 1'000'000U) / 1e6;
  auto count = static_cast<double>(std::max<std::size_t>(outcomes, 1));
  return static_cast<std::uint32_t>(4e6 * std::sqrt(share * (1 - share) / count));
}

void RecentMinimum::add(Duration sample) {
  auto& least = least_[current_];
  if (!least || sample < *least) least = sample;
}

void RecentMinimum::turn() {
  current_ = (current_ + 1) % kTurns;
  least_[current_].reset();
}

std::optional<Duration> RecentMinimum::value() const {
  std::optional<Duration> out;
  for (const auto& least : least_) {
    if (least && (!out || *least < *out)) out = least;
  }
  return out;
}

void RateMeter::sample(Time now, std::uint64_t total_bytes) {
  if (!last_ || total_bytes < bytes_) {
    last_ = now;
    bytes_ = total_bytes;
    rate_ = 0;
    return;
  }
  double elapsed = std::chrono::duration<double>(now - *last_).count();
  if (elapsed <= 0) return;
  double current = static_cast<double>(total_bytes - bytes_) * 8 / elapsed;
  double weight = 1 - std::exp(-elapsed);  // time constant of one second
  rate_ += (current - rate_) * weight;
  last_ = now;
  bytes_ = total_bytes;
}

}  // namespace dmsc::measure
