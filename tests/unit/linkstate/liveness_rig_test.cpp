// docs/protocol.md, "Liveness", on one link for virtual hours. `tools/soak liveness` runs 180 links for a
// virtual day.
#include <catch2/catch.hpp>

#include "tests/rigs/liveness_rig.hpp"

using namespace dmsc;
using rigs::LivenessRig;

namespace {

LivenessRig rig(std::uint64_t seed, double loss, Duration jitter = {}) {
  LivenessRig::Options options;
  options.seed = seed;
  options.loss = {loss, loss};
  options.jitter = jitter;
  return LivenessRig(options);
}

}  // namespace

TEST_CASE("LS-V2 no false down in a virtual hour of three links at one per cent of loss") {
  for (std::uint64_t seed : {1, 2, 3}) {
    LivenessRig link = rig(seed, 0.01);
    link.run(minutes(60));
    CHECK(link.downs() == 0);
    CHECK(link.up(0));
    CHECK(link.up(1));
  }
}

TEST_CASE("LS-V2 no false down in a virtual hour of two links at five per cent of loss") {
  for (std::uint64_t seed : {4, 5}) {
    LivenessRig link = rig(seed, 0.05);
    link.run(minutes(60));
    CHECK(link.downs() == 0);
  }
}

TEST_CASE("LS-V2 silence of both or either direction is noticed at both ends within 350 ms") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    LivenessRig link = rig(seed, 0.02, milliseconds(3));
    link.run(seconds(3) + milliseconds(static_cast<std::int64_t>(seed * 7)));
    REQUIRE(link.up(0));
    REQUIRE(link.up(1));
    bool both = seed % 3 == 0;
    int from = static_cast<int>(seed % 2);
    link.cut(from, true);
    link.cut(1 - from, both);
    Time start = link.now();
    REQUIRE(link.until_down(1 - from, milliseconds(350)));  // hears nothing any more
    // The other end hears it from its neighbour, or by itself.
    CHECK(link.until_down(from, milliseconds(350) - (link.now() - start)));
  }
}

TEST_CASE("LS-V2 a link that loses everything one way stays down, however much the other way brings") {
  LivenessRig link = rig(9, 0);
  link.run(seconds(3));
  link.cut(0, true);
  REQUIRE(link.until_down(0, milliseconds(350)));
  std::size_t downs = link.downs();
  link.run(minutes(1));
  CHECK_FALSE(link.up(0));
  CHECK_FALSE(link.up(1));
  CHECK(link.downs() == downs);
  link.cut(0, false);
  link.run(milliseconds(300));
  CHECK(link.up(0));
  CHECK(link.up(1));
}

TEST_CASE("LS-V7 a neighbour costs three wake-ups for two keepalives: the answer shares one") {
  LivenessRig link = rig(10, 0);
  link.run(seconds(20));
  std::uint64_t sent = link.counters(0).keepalives_out, inputs = link.inputs();
  link.run(seconds(100));
  sent = link.counters(0).keepalives_out - sent;
  inputs = link.inputs() - inputs;
  CHECK(sent >= 2000);  // every 50 ms
  CHECK(sent <= 2667);  // every 37.5 ms
  // Of one interval: one end's timer, and two datagrams (without sharing, four inputs). Besides, hellos
  // and a timer a second.
  CHECK(inputs <= 7 * sent / 2 + 2 * (2 * 125 + 100));
}
