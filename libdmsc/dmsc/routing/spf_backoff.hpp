// When to run SPF: the state machine of RFC 8405 with INITIAL 0, SHORT 20 ms, LONG 400 ms, HOLDDOWN
// 4 s, LEARN 200 ms; and one thing more: bad news (a link or node lost) never waits for LONG, because
// packets die until SPF has run. In LONG_WAIT it runs SPF LEARN after the last run, or at once if that
// is over: five runs a second at most, however fast something flaps.
//
// LONG is no longer because good news that some routers have computed with and others not can make loops
// that last as long: tests/unit/node/micro_loop_test.cpp has one of nearly 2 s with a LONG of 2 s.
//
//   state        event: SPF after    HOLDDOWN since last event    LEARN since leaving quiet
//   quiet        INITIAL             -> short_wait on the event
//   short_wait   SHORT (bad: 0)      -> quiet                     -> long_wait
//   long_wait    LONG (bad: above)   -> quiet
#pragma once
#include <optional>

#include "dmsc/core/time.hpp"

namespace dmsc::routing {

struct SpfDelayConfig {
  Duration initial = milliseconds(0), shorter = milliseconds(20), longer = milliseconds(400);
  Duration holddown = seconds(4), learn = milliseconds(200);
};

class SpfBackoff {
 public:
  explicit SpfBackoff(SpfDelayConfig config = {}) : config_(config) {}
  enum class State { quiet, short_wait, long_wait };
  // An IGP event. Sets due() unless a run is pending already; bad news may bring it forward.
  void event(Time now, bool bad_news);
  // When SPF should run next, if at all; after running call ran().
  std::optional<Time> due() const { return due_; }
  void ran(Time now);
  // Timers of the machine itself (HOLDDOWN, LEARN); call when next_deadline() has come.
  void tick(Time now);
  std::optional<Time> next_deadline() const;
  State state() const { return state_; }

 private:
  SpfDelayConfig config_;
  State state_ = State::quiet;
  std::optional<Time> due_, holddown_, learn_, last_run_;
};

}  // namespace dmsc::routing
