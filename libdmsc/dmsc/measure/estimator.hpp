// Estimators of delay, jitter, loss and rate. Plain values, owned by whoever measures; one thread.
#pragma once
#include <bitset>
#include <cstdint>
#include <optional>

#include "dmsc/core/time.hpp"

namespace dmsc::measure {

// The four timestamps of one probe exchange (RFC 8762): sent and received by each side's own clock.
struct StampSample {
  std::int64_t sent = 0, peer_received = 0, peer_sent = 0, received = 0;  // nanoseconds
};
// Round trip without the time the peer held the probe; never negative.
Duration round_trip(const StampSample& sample);

// Smoothed delay (gain 1/8, RFC 6298) and jitter (mean absolute difference of successive samples,
// gain 1/16, RFC 3550).
class DelayEstimator {
 public:
  void add(Duration sample);
  bool known() const { return samples_ > 0; }
  Duration mean() const { return mean_; }
  Duration jitter() const { return jitter_; }
  Duration last() const { return last_; }
  // Smallest sample seen lately: forgets by 1/256 per sample towards the mean.
  Duration floor() const { return floor_; }
  std::uint64_t samples() const { return samples_; }

 private:
  Duration mean_{}, jitter_{}, floor_{}, last_{};
  std::uint64_t samples_ = 0;
};

// The least sample of the last few turns; the owner says when one is over. Noise of queues and of busy
// hosts only ever adds to a delay, so the least one is what the path itself costs, and it is steady.
class RecentMinimum {
 public:
  static constexpr std::size_t kTurns = 3;
  void add(Duration sample);
  void turn();
  std::optional<Duration> value() const;  // nullopt: no sample within these turns

 private:
  std::optional<Duration> least_[kTurns];
  std::size_t current_ = 0;
};

// Share of the last `Size` probes that got no answer. Fewer than `Enough` outcomes are "unknown": a
// share of a handful says nothing.
template <std::size_t Size, std::size_t Enough>
class BasicLossWindow {
 public:
  void add(bool lost) {
    if (filled_ == Size) {
      count_ -= lost_[next_] ? 1 : 0;
    } else {
      ++filled_;
    }
    lost_[next_] = lost;
    count_ += lost ? 1 : 0;
    next_ = (next_ + 1) % Size;
  }
  std::optional<std::uint32_t> ppm() const {
    if (filled_ < Enough) return std::nullopt;
    return static_cast<std::uint32_t>(count_ * 1'000'000 / filled_);
  }
  std::size_t outcomes() const { return filled_; }  // at most Size

 private:
  std::bitset<Size> lost_;
  std::size_t next_ = 0, filled_ = 0, count_ = 0;
};
using LossWindow = BasicLossWindow<256, 8>;          // of keepalives: many a second
using SteadyLossWindow = BasicLossWindow<1024, 100>;  // of the same, for what the whole domain is told

// How far a share of `outcomes` may be off by chance: four standard errors, in parts per million.
std::uint32_t chance_ppm(std::uint32_t share_ppm, std::size_t outcomes);

// Bits per second from a byte counter that only rises, smoothed over about a second.
class RateMeter {
 public:
  // Call at most every few milliseconds; a counter that went back restarts the meter.
  void sample(Time now, std::uint64_t total_bytes);
  double bits_per_second() const { return rate_; }

 private:
  std::optional<Time> last_;
  std::uint64_t bytes_ = 0;
  double rate_ = 0;
};

}  // namespace dmsc::measure
