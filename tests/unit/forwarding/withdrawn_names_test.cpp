// Rule F17 of docs/protocol.md, "Forwarding": the memory behind it.
#include "dmsc/forwarding/withdrawn_names.hpp"

#include <catch2/catch.hpp>

#include "dmsc/forwarding/name_hash.hpp"
#include "tests/unit/forwarding/fixtures.hpp"

using namespace dmsc;
using namespace dmsc::forwarding;

TEST_CASE("F17 withdrawn names: those of the last turn and of this one are held") {
  ImmediateReclaimer reclaimer;
  WithdrawnNames names(reclaimer);
  CHECK_FALSE(names.holds(100, false));
  names.add(100, false);
  names.turn();
  names.add(200, true);
  CHECK(names.holds(100, false));
  CHECK(names.holds(200, false));
  CHECK(names.holds(200, true));        // it served what is below it
  CHECK_FALSE(names.holds(100, true));
  names.turn();
  CHECK_FALSE(names.holds(100, false));
  CHECK(names.holds(200, false));
  names.turn();
  CHECK_FALSE(names.holds(200, false));
  CHECK(names.bytes() == 0);
}

TEST_CASE("F17 withdrawn names: it grows with them, and never beyond its bound") {
  ImmediateReclaimer reclaimer;
  WithdrawnNames names(reclaimer);
  names.add(mix(1), false);
  CHECK(names.bytes() < 1024);
  constexpr std::uint64_t kNames = 1'000'000;
  for (std::uint64_t i = 1; i <= kNames; ++i) {
    names.add(mix(i), false);
    if (i == 1000) {
      std::size_t held = 0;
      for (std::uint64_t k = 1; k <= i; ++k) held += names.holds(mix(k), false) ? 1 : 0;
      CHECK(held == i);  // none is lost while there is room
    }
  }
  names.turn();
  for (std::uint64_t i = 1; i <= kNames; ++i) names.add(mix(i), false);
  CHECK(names.bytes() < 600'000);
  std::size_t held = 0;
  for (std::uint64_t i = 1; i <= 2 * kNames; ++i) held += names.holds(mix(i), false) ? 1 : 0;
  CHECK(held <= WithdrawnNames::kMost);
  CHECK(held > WithdrawnNames::kMost / 4);
  CHECK(names.holds(mix(kNames), false));  // the newest is always there
}

TEST_CASE("F17 withdrawn names: a reader may hold what has grown or turned") {
  HoldingReclaimer reclaimer;
  WithdrawnNames names(reclaimer);
  for (std::uint64_t i = 1; i <= 10000; ++i) names.add(mix(i), false);
  names.turn();
  names.turn();
  CHECK(reclaimer.held() >= 2);
  CHECK_FALSE(names.holds(mix(1), false));
}

TEST_CASE("F17 fib: a covering prefix is remembered for the names below it, another for itself alone") {
  TestFib t;
  t.fib.set_prefix(group("shop", {instance(2, 1)}, true));
  t.fib.set_prefix(group("tool/x", {instance(2, 1)}));
  t.fib.remove_prefix("shop");
  t.fib.remove_prefix("tool/x");
  t.fib.remove_prefix("never/was");
  for (const char* gone : {"shop", "shop/cart", "shop/cart/v2", "tool/x"}) CHECK(t.fib.withdrawn(gone));
  for (const char* unknown : {"shopping", "tool", "tool/x/y", "never/was", "", "/", "a//b"}) {
    CHECK_FALSE(t.fib.withdrawn(unknown));
  }
  std::string deep = "shop";
  for (int i = 0; i < 20; ++i) deep += "/x";
  CHECK_FALSE(t.fib.withdrawn(deep));
  CHECK_FALSE(t.fib.withdrawn(std::string(300, 'x')));
  // Announced again it matches, and that is looked at first.
  t.fib.set_prefix(group("shop", {instance(2, 1)}, true));
  CHECK(t.fib.match("shop/cart"));
}
