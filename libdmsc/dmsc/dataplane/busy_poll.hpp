// Whether a worker looks again for a while before it sleeps: to be woken takes longer than most that it does.
// Only where it pays: after a sleep that was over at once, so never when idle, and not on a core that
// others need. The worker's thread.
#pragma once
#include "dmsc/core/time.hpp"

namespace dmsc::dataplane {

class BusyPoll {
 public:
  static constexpr Duration kLongest = microseconds(50);     // after traffic
  static constexpr Duration kOthersTurn = microseconds(3);   // a yield that took longer let somebody work
  static constexpr Duration kPause = milliseconds(10);

  // How long to look, from `now`; zero: sleep.
  Duration budget(Time now) const {
    return soon_ && now >= paused_until_ ? kLongest : Duration::zero();
  }
  // A sleep has ended, by an event or not.
  void slept(Duration took, bool event) { soon_ = event && took < kLongest; }
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
  bool soon_ = false;
  Time paused_until_{};
};

}  // namespace dmsc::dataplane
