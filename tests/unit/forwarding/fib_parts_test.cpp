// What the FIB is made of: the filter of prefixes that cover, and the memory of prefixes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "dmsc/forwarding/cell_arena.hpp"
#include "dmsc/forwarding/fib.hpp"
#include "dmsc/forwarding/prefix_filter.hpp"

using namespace dmsc;
using namespace dmsc::forwarding;

namespace {

// A filter and what it must hold.
struct Filtered {
  ImmediateReclaimer reclaimer;
  PrefixFilter filter{reclaimer};
  std::vector<std::uint64_t> held;
  std::mt19937_64 random{1};

  void add(std::uint64_t hash) {
    filter.add(hash, [this](auto add_other) {
      for (std::uint64_t other : held) add_other(other);
    });
    held.push_back(hash);
  }
  void remove(std::size_t i) {
    std::swap(held[i], held.back());
    std::uint64_t hash = held.back();
    held.pop_back();
    filter.remove(hash);
  }
  double mistaken() {
    int yes = 0;
    for (int i = 0; i < 20000; ++i) yes += filter.may_hold(random()) ? 1 : 0;
    return yes / 20000.0;
  }
};

}  // namespace

TEST_CASE("F19 filter: never no for what it holds, rarely yes for what it does not") {
  Filtered f;
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 1000; ++i) f.add(f.random());
    for (int i = 0; i < 300; ++i) f.remove(f.random() % f.held.size());
    REQUIRE(std::all_of(f.held.begin(), f.held.end(), [&](auto hash) { return f.filter.may_hold(hash); }));
    CHECK(f.mistaken() < 0.08);
  }
  while (!f.held.empty()) f.remove(f.held.size() - 1);
  CHECK(f.mistaken() < 0.002);  // counts that ran full keep their bits
}

TEST_CASE("F19 filter: the same prefix may be held more than once, and for ever once counts are full") {
  Filtered f;
  for (int i = 0; i < 3; ++i) f.add(77);
  f.remove(2), f.remove(1);
  CHECK(f.filter.may_hold(77));
  f.remove(0);
  CHECK_FALSE(f.filter.may_hold(77));
  for (int i = 0; i < 40; ++i) f.add(78);
  for (std::size_t i = 40; i-- > 1;) f.remove(i);
  CHECK(f.filter.may_hold(78));
}

TEST_CASE("F19 fib: of a deep name's depths those are found at which prefixes come, cover, stop covering and go") {
  ImmediateReclaimer reclaimer;
  Fib fib(crypto::Key16{3}, reclaimer);
  auto set = [&](const std::string& prefix, bool covering) {
    InstanceEntry instance{NodeId{5}, InstanceId{1}, false, covering, 1};
    InstanceGroup* group = fib.add_group(covering, {&instance, 1});
    fib.set_prefix(prefix, *group);
    fib.drop_group(group);
  };
  auto found = [&](std::string_view name) {
    Match match;
    fib.match_batch({&name, 1}, {&match, 1});
    CHECK(fib.match(name) == match);
    return std::string(match.prefix);
  };
  std::vector<std::string> heads;  // a, a/b, ... : one for each depth
  for (std::size_t depth = 0; depth < kMaxNameComponents; ++depth) {
    heads.push_back((depth == 0 ? "" : heads.back() + "/") + static_cast<char>('a' + depth));
    set("z" + heads.back(), true);  // so that every depth is one to look at
  }
  const std::string& deep = heads.back();
  CHECK(found(deep).empty());
  set(heads[2], true);
  CHECK(found(deep) == heads[2]);
  set(heads[9], false);
  CHECK(found(deep) == heads[2]);
  CHECK(found(heads[9]) == heads[9]);
  set(heads[9], true);
  CHECK(found(deep) == heads[9]);
  set(heads[9], true);
  set(heads[9], false);
  CHECK(found(deep) == heads[2]);
  set(deep, false);
  CHECK(found(deep) == deep);
  fib.remove_prefix(std::string_view(deep));
  fib.remove_prefix(std::string_view(heads[2]));
  CHECK(found(deep).empty());
}

TEST_CASE("fib memory: blocks do not overlap, are used again, and little is taken for few") {
  CellArena arena;
  std::mt19937_64 random(2);
  std::vector<std::pair<std::uint8_t*, std::size_t>> blocks;
  auto fill = [](std::pair<std::uint8_t*, std::size_t> b) {
    std::memset(b.first, static_cast<int>(reinterpret_cast<std::uintptr_t>(b.first) >> 3), b.second);
  };
  auto whole = [](std::pair<std::uint8_t*, std::size_t> b) {
    const auto value = static_cast<std::uint8_t>(reinterpret_cast<std::uintptr_t>(b.first) >> 3);
    return std::all_of(b.first, b.first + b.second, [=](std::uint8_t byte) { return byte == value; });
  };
  for (int i = 0; i < 20000; ++i) {
    if (blocks.size() > 500) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      REQUIRE(whole(blocks.back()));
      arena.release(blocks.back().first, blocks.back().second);
      blocks.pop_back();
    }
    std::size_t bytes = 1 + random() % CellArena::kLargest;
    blocks.emplace_back(static_cast<std::uint8_t*>(arena.allocate(bytes)), bytes);
    REQUIRE(reinterpret_cast<std::uintptr_t>(blocks.back().first) % 8 == 0);
    fill(blocks.back());
  }
  CHECK(std::all_of(blocks.begin(), blocks.end(), whole));
  CHECK(arena.bytes() <= 1 << 20);  // 500 blocks of 150 bytes, in the sizes that were ever wanted
  for (auto [block, bytes] : blocks) arena.release(block, bytes);
}
