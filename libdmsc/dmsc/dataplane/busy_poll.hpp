// Whether a worker looks again for a while before it sleeps: to be woken takes longer than most that it does.
// Only where it pays: after a sleep that was over at once, so never when idle, and not on a core that
// others need. The worker's thread.
#pragma once
#include <algorithm>

#include "dmsc/core/time.hpp"

namespace dmsc::dataplane {

class BusyPoll {
 public:
  static constexpr Duration kLongest = microseconds(50);     // after traffic
  static constexpr Duration kOthersTurn = microseconds(3);   // a yield that took longer let somebody work
  static constexpr Duration kPause = milliseconds(10);

  // At most that long from now on, and never longer than kLongest; zero: not at all.
  void limit(Duration longest) { longest_ = std::clamp(longest, Duration::zero(), kLongest); }
  // How long to look, from `now`; zero: sleep.
  Duration budget(Time now) const {
    return soon_ && now >= paused_until_ ? longest_ : Duration::zero();
  }
  // A sleep has ended, by an event or not.
  void slept(Duration took, bool event) { soon_ = event && took < longest_; }
  // Looking has ended without anything.
  void in_vain() { soon_ = false; }
  // While looking the core was offered to others. True: they took it, so sleep.
  bool yielded(Time now, Duration took) {
    if (took < kOthersTurn) return false;
    soon_ = false;
    paused_until_ = now + kPause;
    return true;
  }

 private:
  Duration longest_ = kLongest;
  bool soon_ = false;
  Time paused_until_{};
};

}  // namespace dmsc::dataplane
