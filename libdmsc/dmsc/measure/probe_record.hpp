// What probes through the data plane say of one instance, end to end. A plain value, owned by
// whoever probes; one thread.
#pragma once
#include <cstdint>

#include "dmsc/measure/estimator.hpp"

namespace dmsc::measure {

// `way` stands for the route a probe took: the caller's number for it, equal as long as SPF sends
// packets to the instance the same way. A probe that is lost while the way changes was lost to an
// outage that SPF has repaired: it says nothing of the way packets take now, and is not counted.
// Otherwise a link failure would read as a lossy path and bring a policy against it.
//
// Loss is over the last `Size` probes, about a minute, and unknown before `Enough`.
template <std::size_t Size, std::size_t Enough>
class BasicProbeRecord {
 public:
  // One probe is under way at a time.
  bool waiting() const { return waiting_; }
  void sent(std::uint64_t way) {
    waiting_ = true;
    way_ = way;
  }
  // `healthy`: the instance's own word. `one_way`: half the round trip.
  void answered(Time now, Duration one_way, bool healthy) {
    waiting_ = false;
    loss_.add(false);
    delay_.add(one_way);
    tell(now, healthy);
  }
  // The instance's gateway answered that there is no such instance.
  void refused(Time now) {
    waiting_ = false;
    loss_.add(true);
    tell(now, false);
  }
  // No answer in time, or an error on the way. `way` is today's.
  void lost(std::uint64_t way) {
    waiting_ = false;
    if (way == way_) loss_.add(true);
  }

  const DelayEstimator& delay() const { return delay_; }
  std::optional<std::uint32_t> loss_ppm() const { return loss_.ppm(); }
  bool available() const { return available_; }
  // When the instance or its gateway was last heard; nullopt = never.
  std::optional<Time> heard() const { return heard_; }

 private:
  void tell(Time now, bool available) {
    available_ = available;
    heard_ = now;
  }

  DelayEstimator delay_;
  BasicLossWindow<Size, Enough> loss_;
  std::optional<Time> heard_;
  std::uint64_t way_ = 0;
  bool available_ = true, waiting_ = false;
};
using ProbeRecord = BasicProbeRecord<64, 32>;

}  // namespace dmsc::measure
