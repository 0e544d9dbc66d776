// Sets of first hops by number: rule S7 of docs/protocol.md, "Routes".
#include "dmsc/routing/hop_sets.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

using namespace dmsc;
using namespace dmsc::routing;

namespace {

FirstHop hop(std::uint32_t link) { return {link, NodeId{1000 + link}}; }

std::vector<FirstHop> hops(std::uint32_t first, std::uint32_t last) {
  std::vector<FirstHop> out;
  for (std::uint32_t link = last; link >= first; --link) out.push_back(hop(link));
  return out;
}

}  // namespace

TEST_CASE("S7 hop sets: equal sets have equal numbers, however they were united") {
  HopSets sets;
  sets.set_hops(hops(1, 3));
  std::uint32_t a = sets.single(hop(1)), b = sets.single(hop(2)), c = sets.single(hop(3));
  CHECK(sets.single(hop(9)) == HopSets::kEmpty);
  CHECK(sets.unite(a, HopSets::kEmpty) == a);
  CHECK(sets.unite(a, a) == a);
  std::uint32_t all = sets.unite(sets.unite(a, b), c);
  CHECK(sets.unite(sets.unite(c, b), a) == all);
  CHECK(sets.unite(all, b) == all);
  CHECK(sets.members(all, 64) == std::vector<FirstHop>{hop(1), hop(2), hop(3)});
  CHECK(sets.members(all, 2) == std::vector<FirstHop>{hop(1), hop(2)});
  CHECK(sets.members(HopSets::kEmpty, 64).empty());
}

TEST_CASE("S7 hop sets: more than 64 first hops, numbers stay when sets become wider") {
  HopSets sets;
  sets.set_hops(hops(1, 60));
  std::uint32_t early = sets.unite(sets.single(hop(1)), sets.single(hop(60)));
  sets.set_hops(hops(1, 300));
  CHECK(sets.members(early, 64) == std::vector<FirstHop>{hop(1), hop(60)});
  CHECK(sets.unite(sets.single(hop(60)), sets.single(hop(1))) == early);
  std::uint32_t all = HopSets::kEmpty;
  for (std::uint32_t link = 300; link >= 1; --link) {
    all = sets.unite(all, sets.single(hop(link)));
  }
  CHECK(sets.members(all, 1000).size() == 300);
  CHECK(sets.members(all, 64).back() == hop(64));
}

TEST_CASE("S7 hop sets: a sweep forgets what is not used, and nothing else") {
  std::mt19937 random(6);
  HopSets sets;
  sets.set_hops(hops(1, 70));
  std::map<std::uint32_t, std::set<FirstHop>> kept;
  std::size_t most = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 40; ++i) {
      std::set<FirstHop> want;
      std::uint32_t set = HopSets::kEmpty;
      for (std::uint64_t n = 1 + random() % 5; n > 0; --n) {
        FirstHop member = hop(1 + static_cast<std::uint32_t>(random() % 70));
        want.insert(member);
        set = sets.unite(set, sets.single(member));
      }
      kept[set] = want;
    }
    for (const auto& [set, want] : kept) {
      REQUIRE(sets.members(set, 100) == std::vector<FirstHop>(want.begin(), want.end()));
    }
    if (round % 10 == 9) sets.set_hops(hops(1 + static_cast<std::uint32_t>(round) / 10, 70));
    if (round % 10 == 9) sets.set_hops(hops(1, 70));
    if (!sets.wants_sweep()) continue;
    std::vector<std::uint8_t> in_use(sets.limit(), 0);
    for (auto it = kept.begin(); it != kept.end();) {
      it = random() % 4 != 0 ? kept.erase(it) : std::next(it);
    }
    for (const auto& [set, want] : kept) in_use[set] = 1;
    sets.sweep(in_use);
    CHECK_FALSE(sets.wants_sweep());
    most = std::max<std::size_t>(most, sets.limit());
  }
  CHECK(most < 2000);  // numbers come back
  sets.sweep(std::vector<std::uint8_t>(sets.limit(), 0));
  for (std::uint32_t link = 1; link <= 70; ++link) {
    CHECK(sets.members(sets.single(hop(link)), 64) == std::vector<FirstHop>{hop(link)});
  }
}
