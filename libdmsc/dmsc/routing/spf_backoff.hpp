// When to run SPF: the state machine of RFC 8405 with INITIAL 0, SHORT 20 ms, LONG 2 s, HOLDDOWN
// 4 s and LEARN 200 ms. While some routers have computed with a change and others have not, packets
// circle; so three things more make all routers compute within moments of each other, and a fourth
// keeps a storm from keeping the processor busy:
//
//   state        event: SPF after             HOLDDOWN after an event    LEARN after leaving quiet
//   quiet        INITIAL                      -> short_wait, on event
//   short_wait   SHORT          (urgent: 0)   -> quiet                   -> long_wait
//   long_wait    LONG, or calm  (urgent: 0)   -> quiet
//
// Urgent is what packets die for until SPF has run: bad news, and good news of a node that could
// not be reached so far.
//
// Calm: in long_wait, waiting ends when there was no event for SHORT. So LONG bounds only what goes
// on without a pause, and all routers end their wait together, whatever each of them went through
// before.
//
// No gap: runs are not kept apart by a timer, which every router would have started at another
// moment. A repaired SPF costs microseconds.
//
// Storm: six runs are free, and five a second after that: each costs 200 ms, and debt of more
// than 1.2 s is a storm. Then runs are a gap apart: 10 ms at first, twice as much for every second
// of debt more, 6 s at most, 15 ms in short_wait; and an urgent event that has to wait costs the
// same, once in 10 ms. What decides is how much news there was in the last seconds, which all
// routers have heard alike, and not how each of them happened to run. In a storm calm takes an
// eighth of the gap, 20 ms to 500 ms; half a second without an event clears the debt. 100 flaps a
// second for a minute are 28 runs; what is lost meanwhile goes by its alternates.
#pragma once
#include <cstdint>
#include <optional>

#include "dmsc/core/time.hpp"

namespace dmsc::routing {

struct SpfDelayConfig {
  Duration initial = milliseconds(0), shorter = milliseconds(20), longer = seconds(2);
  Duration holddown = seconds(4), learn = milliseconds(200);
  Duration calm = milliseconds(20), storm_calm = milliseconds(500);
  Duration price = milliseconds(200), credit = milliseconds(1200), together = milliseconds(10);
  Duration short_gap = milliseconds(15);  // the largest in short_wait
  Duration first_gap = milliseconds(10), doubling = seconds(1), largest_gap = seconds(6);
};

class SpfBackoff {
 public:
  explicit SpfBackoff(SpfDelayConfig config = {}) : config_(config) {}
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
  // How far apart runs are now at least; zero but in a storm.
  Duration gap() const { return gap_; }

 private:
  void charge(Time now);
  void forgive(Time now);
  Duration gap_of(Duration debt) const;

  SpfDelayConfig config_;
  State state_ = State::quiet;
  std::optional<Time> wanted_;  // a run is pending: when, but for gap and calm
  std::optional<Time> holddown_, learn_, last_run_;
  Time last_event_{};
  Time charged_until_{};  // what waits and came before it has been paid for
  Time paid_until_{};     // the debt: how far this is ahead of now
  Duration gap_{};
};

}  // namespace dmsc::routing
