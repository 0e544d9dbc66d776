// Lets a burst through at once and then one event per interval: good news is damped, never held for
// long, and no quiet network ever meets a gap.
#pragma once
#include <algorithm>

#include "dmsc/core/time.hpp"

namespace dmsc::linkstate {

class Throttle {
 public:
  Throttle(unsigned burst, Duration interval) : burst_(burst), interval_(interval) {}
  // When the next event may happen: `now`, or later.
  Time earliest(Time now) const {
    return std::max(now, paid_until_ - (burst_ - 1) * interval_);
  }
  // An event happened (also one that did not ask). However many came before, the next may happen one
  // interval from now.
  void charge(Time now) {
    paid_until_ = std::min(std::max(paid_until_, now) + interval_, now + burst_ * interval_);
  }

 private:
  unsigned burst_;
  Duration interval_;
  Time paid_until_{};
};

}  // namespace dmsc::linkstate
