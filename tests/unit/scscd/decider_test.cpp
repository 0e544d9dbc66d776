#include <catch2/catch.hpp>

#include "tests/unit/scscd/center.hpp"

using namespace dmsc;
using namespace dmsc::test;
using namespace dmsc::scscd;

TEST_CASE("R31 R33 R36 scscd: a slow instance of a pool loses its share, and gets it back") {
  Harness h;
  for (std::uint32_t g : {kSg1, kSg2, kSg3, kSg4}) h.targets[target(kSg1, "B", g)] = delay_ms(2);
  h.run(10);
  CHECK(h.of<Weights>(kSg1).empty());
  h.targets[target(kSg1, "B", kSg1)] = delay_ms(50);  // inclusive
  h.run(5);
  auto weights = h.of<Weights>(kSg1);
  REQUIRE(weights.size() == 1);
  CHECK(weights[0].weights[{NodeId{kSg1}, InstanceId{1}}] == 0);
  CHECK(weights[0].weights[{NodeId{kSg2}, InstanceId{1}}] == 100);
  h.targets[target(kSg1, "B", kSg1)] = delay_ms(2);
  h.run(15);
  CHECK(h.of<Weights>(kSg1).empty());
  CHECK(h.log.back().event == "withdrawn");
}

TEST_CASE("scscd: the floor keeps the last healthy instances in use") {
  Harness h;
  for (std::uint32_t g : {kSg1, kSg2, kSg3, kSg4}) h.targets[target(kSg1, "B", g)] = delay_ms(90);
  h.run(20);
  CHECK(h.of<Weights>(kSg1).empty());
}

TEST_CASE("R32 R35 scscd: a single instance behind a slow link gets an explicit path in two phases") {
  Harness h;
  h.targets[target(kSg1, "B/4", kSg4)] = delay_ms(2);
  h.run(5);
  h.link_delay(kSr2, kSg4, 60);
  h.targets[target(kSg1, "B/4", kSg4)] = delay_ms(62);
  h.silent = {NodeId{kSr3}};
  h.run(10);
  // One transit node has not acknowledged: the ingress must not use it yet.
  auto at_ingress = h.of<Path>(kSg1);
  REQUIRE(at_ingress.size() == 1);
  CHECK(at_ingress[0].phase == Path::Phase::install);
  h.silent.clear();
  h.run(5);
  at_ingress = h.of<Path>(kSg1);
  REQUIRE(at_ingress.size() == 1);
  CHECK(at_ingress[0].phase == Path::Phase::use);
  CHECK(at_ingress[0].nodes.size() == 4);
  CHECK(at_ingress[0].nodes[2] == NodeId{kSr3});
  CHECK(h.of<Path>(kSr3).size() == 1);
  CHECK(h.of<Path>(kSg4).size() == 1);
  CHECK(at_ingress[0].label.value >> 20 == 7);

  h.link_delay(kSr2, kSg4, 1);
  h.targets[target(kSg1, "B/4", kSg4)] = delay_ms(2);
  h.run(20);
  CHECK(h.of<Path>(kSg1).empty());          // the ingress stops first
  CHECK(h.of<Path>(kSr3).size() == 1);      // transit forgets 30 s later
  h.run(40);
  CHECK(h.of<Path>(kSr3).empty());
}

TEST_CASE("scscd: a path that a node refuses is given up, not used") {
  Harness h;
  h.refusing = {NodeId{kSr3}};
  h.targets[target(kSg1, "B/4", kSg4)] = delay_ms(62);
  h.link_delay(kSr2, kSg4, 60);
  h.run(8);
  for (const Path& path : h.of<Path>(kSg1)) CHECK(path.phase == Path::Phase::install);
  bool given_up = false;
  for (const Decision& d : h.log) given_up = given_up || d.reason.find("refused") != std::string::npos;
  CHECK(given_up);
}

TEST_CASE("R37 scscd: a link that hurts several gateways is biased at both ends, until it is well") {
  Harness h;
  h.link_delay(kSr2, kSg4, 60);
  h.targets[target(kSg1, "B/4", kSg4)] = delay_ms(62);
  h.targets[target(kSg2, "B/4", kSg4)] = delay_ms(62);
  h.run(10);
  REQUIRE(h.of<Bias>(kSr2).size() == 1);
  REQUIRE(h.of<Bias>(kSg4).size() == 1);
  CHECK(h.of<Bias>(kSr2)[0].neighbour == NodeId{kSg4});
  CHECK(h.of<Bias>(kSg4)[0].link == kSr2);
  h.link_delay(kSr2, kSg4, 1);
  h.run(30);
  CHECK(h.of<Bias>(kSr2).empty());
}

TEST_CASE("R31 scscd: bandwidth at or below the threshold trips") {
  Harness h;
  measure::Quality q = delay_ms(2);
  q.bandwidth_bps = 1'000'000;
  for (std::uint32_t g : {kSg1, kSg2, kSg3, kSg4}) h.targets[target(kSg1, "B", g)] = delay_ms(2);
  h.targets[target(kSg1, "B", kSg1)] = q;
  h.run(6);
  REQUIRE(h.of<Weights>(kSg1).size() == 1);
  CHECK(h.log.front().reason.find("bandwidth 1 Mbit/s <= 1 Mbit/s") == 0);
}

TEST_CASE("scscd: silence is unknown, not bad; a target nobody reports is forgotten") {
  Harness h;
  h.targets[target(kSg1, "B/4", kSg4)] = measure::Quality{};
  h.run(20);
  CHECK(h.log.empty());
  h.targets.clear();
  h.run(40);
  CHECK(h.decider.targets().empty());
}
