// Rule S10 of docs/protocol.md, "Routes": RFC 8405.
#include "dmsc/routing/spf_backoff.hpp"

#include <catch2/catch.hpp>
#include <ostream>
#include <random>

using namespace dmsc;
using namespace dmsc::routing;

namespace {

Time at(int ms) { return Time{} + milliseconds(ms); }
using State = SpfBackoff::State;

// Runs SPF whenever it is due until `end`, the machine's own timers included. Returns the runs.
std::vector<Time> run_until(SpfBackoff& b, Time end) {
  std::vector<Time> runs;
  while (true) {
    std::optional<Time> due = b.due(), machine = b.next_deadline();
    bool run = due && (!machine || *due <= *machine);
    std::optional<Time> next = run ? due : machine;
    if (!next || *next > end) return runs;
    if (run) {
      runs.push_back(*next);
      b.ran(*next);
    } else {
      b.tick(*next);
    }
  }
}

enum class Input { good, urgent, learn, holddown, ran };

struct Row {
  State from;
  bool pending;  // a run for good news, wanted since 5 ms before the input, is pending
  Input input;
  State to;
  int due_after;  // ms after the input; -1 = no run is pending
};

// A machine in that state at 10,000 ms, its last run 1 s before, its last event 1 s before or (with
// a pending run) 5 ms before.
SpfBackoff machine_in(State state, bool pending) {
  SpfDelayConfig config;
  config.holddown = seconds(4);
  config.learn = state == State::long_wait ? milliseconds(200) : seconds(3);
  SpfBackoff b(config);
  if (state != State::quiet) {
    b.event(at(8000), true);
    b.ran(at(8000));
    b.event(at(9000), true);
    b.ran(at(9000));
  }
  if (pending) b.event(at(9995), false);
  return b;
}

}  // namespace

TEST_CASE("S10 spf delay: every state and event") {
  const Row table[] = {
      // A run pending in quiet is the one of the event that ended quiet: not possible otherwise.
      {State::quiet, false, Input::good, State::short_wait, 0},
      {State::quiet, false, Input::urgent, State::short_wait, 0},
      {State::quiet, false, Input::learn, State::quiet, -1},
      {State::quiet, false, Input::holddown, State::quiet, -1},
      {State::quiet, false, Input::ran, State::quiet, -1},
      {State::short_wait, false, Input::good, State::short_wait, 20},
      {State::short_wait, false, Input::urgent, State::short_wait, 0},
      {State::short_wait, false, Input::learn, State::long_wait, -1},
      {State::short_wait, false, Input::holddown, State::quiet, -1},
      {State::short_wait, false, Input::ran, State::short_wait, -1},
      {State::short_wait, true, Input::good, State::short_wait, 15},
      {State::short_wait, true, Input::urgent, State::short_wait, 0},
      {State::short_wait, true, Input::learn, State::long_wait, 15},
      {State::short_wait, true, Input::holddown, State::quiet, 15},
      {State::short_wait, true, Input::ran, State::short_wait, -1},
      {State::long_wait, false, Input::good, State::long_wait, 20},
      {State::long_wait, false, Input::urgent, State::long_wait, 0},
      {State::long_wait, false, Input::learn, State::long_wait, -1},
      {State::long_wait, false, Input::holddown, State::quiet, -1},
      {State::long_wait, false, Input::ran, State::long_wait, -1},
      {State::long_wait, true, Input::good, State::long_wait, 20},  // calm counts anew
      {State::long_wait, true, Input::urgent, State::long_wait, 0},
      {State::long_wait, true, Input::learn, State::long_wait, 15},
      {State::long_wait, true, Input::holddown, State::quiet, 1995},  // LONG; calm ran long before
      {State::long_wait, true, Input::ran, State::long_wait, -1},
  };
  for (const Row& row : table) {
    INFO("state " << static_cast<int>(row.from) << ", pending " << row.pending << ", input "
                  << static_cast<int>(row.input));
    SpfBackoff b = machine_in(row.from, row.pending);
    REQUIRE(b.state() == row.from);
    REQUIRE(b.due().has_value() == row.pending);
    switch (row.input) {
      case Input::good:
        b.event(at(10000), false);
        break;
      case Input::urgent:
        b.event(at(10000), true);
        break;
      case Input::learn:
        b.tick(row.from == State::short_wait ? at(11000) : at(10000));
        break;
      case Input::holddown:
        b.tick(at(13995));
        break;
      case Input::ran:
        b.ran(at(10000));
        break;
    }
    CHECK(b.state() == row.to);
    CHECK(b.due().has_value() == (row.due_after >= 0));
    if (row.due_after >= 0 && b.due()) CHECK(*b.due() == at(10000 + row.due_after));
    if (row.to == State::quiet) CHECK_FALSE(b.next_deadline());
  }
}

TEST_CASE("S10 spf delay: the first event runs at once, later ones after SHORT, then LONG") {
  SpfBackoff b;
  CHECK(b.state() == State::quiet);
  CHECK_FALSE(b.due());
  CHECK_FALSE(b.next_deadline());
  b.event(at(0), false);
  CHECK(b.due() == at(0));
  CHECK(b.state() == State::short_wait);
  CHECK(b.next_deadline() == at(200));  // LEARN
  b.ran(at(0));
  CHECK_FALSE(b.due());
  b.event(at(50), false);
  CHECK(b.due() == at(70));
  b.event(at(60), false);
  CHECK(b.due() == at(70));  // pending already
  b.ran(at(70));
  b.tick(at(200));
  CHECK(b.state() == State::long_wait);
  // Good news that keeps coming waits for LONG and no longer.
  std::vector<Time> runs;
  for (int t = 210; t <= 5000; t += 10) {
    for (Time run : run_until(b, at(t))) runs.push_back(run);
    b.event(at(t), false);
  }
  REQUIRE(runs.size() == 2);
  CHECK(runs[0] == at(2210));
  CHECK(runs[1] == at(4210));
}

TEST_CASE("S10 spf delay: urgent news runs at once, also when a run is pending") {
  SpfBackoff b;
  b.event(at(0), false);
  b.ran(at(0));
  b.event(at(30), false);
  CHECK(b.due() == at(50));
  b.event(at(35), true);
  CHECK(b.due() == at(35));
  b.ran(at(35));
  b.event(at(36), true);
  CHECK(b.due() == at(36));  // no gap: what one failure tells in several LSAs is taken in as it comes
  b.ran(at(36));
  b.tick(at(200));
  REQUIRE(b.state() == State::long_wait);
  b.event(at(1000), true);
  CHECK(b.due() == at(1000));
}

TEST_CASE("S10 spf delay: six failures at once, or up to five a second, and none of them waits") {
  SpfBackoff b;
  for (int t = 0; t < 6; ++t) {
    b.event(at(t), true);
    REQUIRE(b.due() == at(t));
    b.ran(at(t));
    REQUIRE(b.gap() == Duration::zero());
  }
  SpfBackoff steady;
  for (int t = 0; t < 20000; t += 200) {
    steady.event(at(t), true);
    REQUIRE(steady.due() == at(t));
    steady.ran(at(t));
  }
}

TEST_CASE("S10 spf delay: what follows within LEARN, however much, waits for 15 ms at most") {
  SpfBackoff b;
  for (int t = 0; t < 200; t += 2) {  // half of a large network is cut off
    run_until(b, at(t));
    b.event(at(t), true);
    REQUIRE(b.state() == State::short_wait);
    REQUIRE(b.due());
    CHECK(*b.due() <= at(t + 15));
  }
}

TEST_CASE("S10 spf delay: in a storm gaps grow with what was heard; half a second of calm ends it") {
  SpfBackoff b;
  Duration before{};
  for (int t = 0; t < 3000; t += 10) {
    run_until(b, at(t));
    b.event(at(t), true);
    REQUIRE(b.gap() >= before - before / 50);
    before = b.gap();
  }
  CHECK(before >= milliseconds(5880));
  CHECK(before <= seconds(6));
  run_until(b, at(2990 + 500));
  CHECK_FALSE(b.due());  // the last one was not left waiting
  b.event(at(2990 + 501), true);
  CHECK(b.gap() == Duration::zero());
  CHECK(b.due() == at(2990 + 501));
}

// Packets circle as long as one router has taken in what another has not. Two that hear the same, one of
// them a little later and with another history, must never be apart for longer than it takes to hear
// and one SHORT.
TEST_CASE("S10 spf delay: routers of different histories take in the same news together") {
  constexpr int kSkew = 3, kShort = 20;
  std::mt19937 random(5);
  for (int run = 0; run < 300; ++run) {
    SpfBackoff one, other;
    for (int t = 0, i = 0; i < static_cast<int>(random() % 6); ++i, t += 150) {  // before they meet
      run_until(one, at(t));
      one.event(at(t), random() % 2 == 0);
    }
    for (int t = 1500; t < 20000; t += 250 + static_cast<int>(random() % 500)) {
      bool urgent = random() % 2 == 0;
      run_until(one, at(t));
      one.event(at(t), urgent);
      std::vector<Time> first = run_until(one, at(t + 200));
      run_until(other, at(t + kSkew));
      other.event(at(t + kSkew), urgent);
      std::vector<Time> second = run_until(other, at(t + 200));
      REQUIRE(first.size() == 1);
      REQUIRE(second.size() == 1);
      Duration apart = first[0] > second[0] ? first[0] - second[0] : second[0] - first[0];
      CHECK(apart <= milliseconds(kSkew + kShort));
      if (urgent) CHECK(apart <= milliseconds(kSkew));
    }
  }
}

TEST_CASE("S10 spf delay: good news is through half a second after the last flap at most") {
  std::mt19937 random(3);
  for (int run = 0; run < 200; ++run) {
    SpfBackoff b;
    int t = 0, every = 5 + static_cast<int>(random() % 400);
    for (int i = 0; i < 300; ++i, t += every) {
      run_until(b, at(t));
      b.event(at(t), i % 2 == 0);
    }
    int last = t - every;
    std::vector<Time> runs = run_until(b, at(last + 10000));
    REQUIRE(runs.size() <= 1);
    if (!runs.empty()) CHECK(runs[0] <= at(last + 500));
    CHECK(b.state() == State::quiet);
    b.event(at(last + 20000), false);
    CHECK(b.due() == at(last + 20000));  // and the first run in quiet is immediate again
  }
}

TEST_CASE("S10 spf delay: 100 flaps a second for a minute are 30 runs at most") {
  std::mt19937 random(4);
  for (int run = 0; run < 50; ++run) {
    SpfBackoff b;
    std::size_t runs = 0;
    for (int flap = 0; flap < 6000; ++flap) {
      int down = 10 * flap, up = down + 1 + static_cast<int>(random() % 9);
      runs += run_until(b, at(down)).size();
      b.event(at(down), true);
      runs += run_until(b, at(up)).size();
      b.event(at(up), run % 2 == 0);  // urgent too, where the link is the only way
    }
    runs += run_until(b, at(70000)).size();
    CHECK(runs <= 30);
    CHECK(runs >= 20);  // nor is anybody left waiting for more than the largest gap
  }
}

TEST_CASE("S10 spf delay: quiet again after HOLDDOWN without an event, from both states") {
  SpfBackoff b;
  b.event(at(0), false);
  b.ran(at(0));
  b.event(at(150), false);
  b.ran(at(170));
  b.tick(at(4000));
  CHECK(b.state() == State::long_wait);
  CHECK(b.next_deadline() == at(4150));
  b.tick(at(4150));
  CHECK(b.state() == State::quiet);
  CHECK_FALSE(b.next_deadline());
  b.event(at(5000), false);
  CHECK(b.due() == at(5000));

  SpfDelayConfig config;
  config.holddown = milliseconds(100);
  SpfBackoff quick(config);
  quick.event(at(0), false);
  quick.ran(at(0));
  quick.event(at(150), false);  // HOLDDOWN and not LEARN has passed: as if quiet
  CHECK(quick.due() == at(150));
  CHECK(quick.state() == State::short_wait);
}
