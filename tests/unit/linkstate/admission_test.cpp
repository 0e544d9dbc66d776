// docs/protocol.md, "Limits": in which order LSAs are judged.
#include "dmsc/linkstate/admission.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using dmsc::linkstate::Admission;

namespace {

constexpr LinkId kLeft{1}, kRight{2};
const Time kStart = Time{} + seconds(100);

std::uint64_t key(std::uint32_t origin, std::uint64_t fragment) { return std::uint64_t{origin} << 24 | fragment; }

std::vector<std::uint32_t> origins(Admission& admission, Time now, std::size_t count) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < count; ++i) {
    auto slot = admission.pop(now);
    if (!slot) break;
    out.push_back(static_cast<std::uint32_t>(slot->key >> 24));
  }
  return out;
}

}  // namespace

TEST_CASE("LS-C5 origins take turns: one LSA of another waits for one of the many, not for all") {
  Admission a;
  for (std::uint64_t i = 0; i < 1000; ++i) a.add(kStart, kLeft, key(7, i), false);
  a.add(kStart, kLeft, key(8, 0), false);
  CHECK(origins(a, kStart, 3) == std::vector<std::uint32_t>{7, 8, 7});
}

TEST_CASE("LS-C5 neighbours take turns, however many origins one of them names") {
  Admission a;
  for (std::uint32_t origin = 1; origin <= 1000; ++origin) a.add(kStart, kLeft, key(origin, 0), false);
  a.add(kStart, kRight, key(5000, 0), false);
  CHECK(origins(a, kStart, 2) == std::vector<std::uint32_t>{1, 5000});
}

TEST_CASE("LS-C5 topology and trust are judged before prefixes and grants") {
  Admission a;
  a.add(kStart, kLeft, key(7, 0), false);
  a.add(kStart, kLeft, key(8, 0), true);
  a.add(kStart, kRight, key(9, 0), true);
  CHECK(origins(a, kStart, 9) == std::vector<std::uint32_t>{8, 9, 7});
}

TEST_CASE("LS-C4 of one origin from one neighbour no more pass than the burst and then the rate; all do pass") {
  Admission a;
  a.set_rate({100, 50, true});
  for (std::uint64_t i = 0; i < 250; ++i) a.add(kStart, kLeft, key(7, i), false);
  a.add(kStart, kRight, key(7, 1), false);
  std::size_t passed = origins(a, kStart, 1000).size();
  CHECK(passed == 51);  // the other neighbour's copy does not wait for this one's
  CHECK(a.over_rate_since(kLeft, NodeId{7}) == kStart);
  CHECK_FALSE(a.over_rate_since(kRight, NodeId{7}).has_value());
  Time now = kStart;
  while (passed < 251) {
    auto due = a.next_deadline();
    REQUIRE(due.has_value());
    REQUIRE(*due > now);
    now = *due;
    passed += origins(a, now, 1000).size();
  }
  CHECK(now - kStart >= milliseconds(1990));
  CHECK(now - kStart <= milliseconds(2030));
  CHECK(a.queued() == 0);
  CHECK_FALSE(a.over_rate_since(kLeft, NodeId{7}).has_value());
}

TEST_CASE("LS-C4 with the action warn the rate is noted and delays nothing") {
  Admission a;
  a.set_rate({100, 50, false});
  for (std::uint64_t i = 0; i < 100; ++i) a.add(kStart, kLeft, key(7, i), false);
  CHECK(origins(a, kStart, 60).size() == 60);
  CHECK(a.over_rate_since(kLeft, NodeId{7}).has_value());
}

TEST_CASE("LS-C5 at most 128 LSAs are being judged, and an answer is waited for 20 ms") {
  Admission a;
  for (std::uint64_t i = 0; i < 300; ++i) a.add(kStart, kLeft, key(7, i), false);
  std::uint64_t ticket = 0;
  auto ask_all = [&](Time now) {
    std::size_t count = 0;
    for (; a.pop(now); ++count) REQUIRE(a.ask(now, ++ticket));
    return count;
  };
  CHECK(ask_all(kStart) == 128);
  a.answered(3);
  a.answered(9);
  CHECK(ask_all(kStart) == 2);
  CHECK(a.next_deadline() == kStart + milliseconds(20));
  CHECK(ask_all(kStart + milliseconds(20)) == 128);
  CHECK_FALSE(a.ask(kStart + milliseconds(20), ticket));  // is being judged
}

TEST_CASE("LS-C5 a slot is queued once, flows that are done leave nothing, and a lost neighbour takes its own along") {
  Admission a;
  a.set_rate({1000, 2, true});
  for (int i = 0; i < 10; ++i) a.add(kStart, kLeft, key(7, 1), false);
  CHECK(a.queued() == 1);
  for (std::uint32_t origin = 10; origin < 110; ++origin) a.add(kStart, kRight, key(origin, 0), true);
  CHECK(origins(a, kStart, 1000).size() == 101);
  CHECK(a.flows() == 101);
  a.add(kStart + seconds(1), kLeft, key(7, 1), false);
  CHECK(a.flows() <= 2);
  for (std::uint64_t i = 0; i < 10; ++i) a.add(kStart + seconds(1), kLeft, key(8, i), false);
  origins(a, kStart + seconds(1), 4);
  a.forget(kLeft);
  CHECK(a.queued() == 0);
  CHECK_FALSE(a.pop(kStart + seconds(9)).has_value());
  CHECK_FALSE(a.next_deadline().has_value());
}
