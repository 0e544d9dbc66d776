// When to run SPF: the state machine of RFC 8405 with INITIAL 0, SHORT 20 ms, LONG 2 s, HOLDDOWN
// 4 s and LEARN 200 ms, and three things more, so that urgent news goes at once, good news is not
// damped for longer than it needs, and a storm of any kind cannot keep the processor busy:
//
//   state        event: SPF after             HOLDDOWN after an event    LEARN after leaving quiet
//   quiet        INITIAL                      -> short_wait, on event
//   short_wait   SHORT          (urgent: 0)   -> quiet                   -> long_wait
//   long_wait    LONG, or calm  (urgent: 0)   -> quiet
//
// Urgent is what packets die for until SPF has run: bad news, and good news of a node that could
// not be reached so far.
//
// Calm: in long_wait, waiting ends when there was no event for 200 ms (500 ms in a storm). So LONG
// bounds only what goes on for longer. And all routers end their wait together, 200 ms after the
// last adjacency of a router that restarts, whatever each of them went through before: while some
// have computed with a link and others not, packets circle (tests/unit/node/micro_loop_test.cpp).
//
// Gap: two runs are at least that far apart. It is SHORT after quiet; a run doubles it, up to 3 s,
// that took in two urgent events or more, or one within 320 ms of the run before; any other run
// halves it; calm ends it too. Up to three failures a second none of them waits. 100 flaps a second
// meet gaps of 20, 40, ... 2560 ms, then 3 s: at most 28 runs in the first minute, whatever flaps,
// and 20 in every later one; what is lost meanwhile goes by its alternates.
#pragma once
#include <cstdint>
#include <optional>

#include "dmsc/core/time.hpp"

namespace dmsc::routing {

struct SpfDelayConfig {
  Duration initial = milliseconds(0), shorter = milliseconds(20), longer = seconds(2);
  Duration holddown = seconds(4), learn = milliseconds(200);
  Duration calm = milliseconds(200), storm_calm = milliseconds(500);
  Duration soon = milliseconds(320), largest_gap = seconds(3);
};

class SpfBackoff {
 public:
  explicit SpfBackoff(SpfDelayConfig config = {}) : config_(config), gap_(config.shorter) {}
  enum class State { quiet, short_wait, long_wait };
  // An IGP event: SPF is due, if it was not yet; urgent news may bring it forward.
  void event(Time now, bool urgent);
  // When SPF should run next, if at all; after running call ran(). May be later after every
  // event().
  std::optional<Time> due() const;
  void ran(Time now);
  // Timers of the machine itself (HOLDDOWN, LEARN); call when next_deadline() has come.
  void tick(Time now);
  std::optional<Time> next_deadline() const;
  State state() const { return state_; }
  // How far apart runs are now at least.
  Duration gap() const { return gap_; }

 private:
  SpfDelayConfig config_;
  State state_ = State::quiet;
  std::optional<Time> wanted_;  // a run is pending: when, but for gap and calm
  std::optional<Time> holddown_, learn_, last_run_;
  Time last_event_{};
  Duration gap_;
  std::uint32_t urgent_events_ = 0;  // since the last run
};

}  // namespace dmsc::routing
