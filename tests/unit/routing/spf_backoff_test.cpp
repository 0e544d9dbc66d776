// Rule S10 of docs/protocol.md, "Routes": RFC 8405.
#include "dmsc/routing/spf_backoff.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::routing;

namespace {
Time at(int ms) { return Time{} + milliseconds(ms); }
using State = SpfBackoff::State;
}  // namespace

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
  b.event(at(210), false);
  CHECK(b.due() == at(610));
}

TEST_CASE("S10 spf delay: in LONG_WAIT bad news runs SPF LEARN after the last run, not after LONG") {
  SpfBackoff b;
  b.event(at(0), false);
  b.ran(at(0));
  b.event(at(190), false);
  b.ran(at(210));
  REQUIRE(b.state() == State::long_wait);
  b.event(at(220), false);
  CHECK(b.due() == at(620));
  b.event(at(300), true);
  CHECK(b.due() == at(410));  // brought forward to 210 + LEARN
  b.ran(at(410));
  b.event(at(420), true);
  CHECK(b.due() == at(610));
  b.ran(at(610));
  b.event(at(1500), true);
  CHECK(b.due() == at(1500));
}

TEST_CASE("S10 spf delay: bad news runs at once in SHORT_WAIT and brings a pending run forward") {
  SpfBackoff b;
  b.event(at(0), false);
  b.ran(at(0));
  b.event(at(10), false);
  CHECK(b.due() == at(30));
  b.event(at(15), true);
  CHECK(b.due() == at(15));
  b.ran(at(15));
  b.event(at(20), true);
  CHECK(b.due() == at(20));
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
