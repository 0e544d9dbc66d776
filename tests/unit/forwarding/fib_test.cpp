// Rules F1-F3 of docs/protocol.md, "Forwarding", and the FIB's own promises to its readers.
#include "dmsc/forwarding/fib.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <thread>

#include "dmsc/forwarding/name_hash.hpp"
#include "tests/unit/forwarding/fixtures.hpp"

using namespace dmsc;
using namespace dmsc::forwarding;

namespace {

std::string matched(const Fib& fib, std::string_view text) {
  return std::string(fib.match(text).prefix);
}

std::string random_name(std::mt19937& random) {
  std::string text;
  for (std::size_t n = 1 + random() % 5; n-- > 0;) {
    text += std::string(text.empty() ? "" : "/") + "abc"[random() % 3];
  }
  return text;
}

// A batch finds what single look-ups find, whatever its length and bytes.
void check_batch(const Fib& fib, std::mt19937& random) {
  std::vector<std::string> texts{"", std::string(300, 'a'), "a//b"};
  for (std::size_t n = random() % 80; n-- > 0;) texts.push_back(random_name(random));
  std::vector<std::string_view> names(texts.begin(), texts.end());
  std::vector<Match> found(names.size());
  fib.match_batch(names, found);
  for (std::size_t i = 0; i < names.size(); ++i) REQUIRE(found[i] == fib.match(names[i]));
}

}  // namespace

TEST_CASE("name hash: agrees with SipHash-2-4 at every component end") {
  crypto::Key16 key{9, 8, 7, 6, 5, 4, 3, 2, 1};
  NameHasher<2, 4> hasher(key);
  std::mt19937 random(4);
  for (int run = 0; run < 500; ++run) {
    std::string text;
    while (text.size() < 3 + random() % 200) text += "ab/cd-ef/g.h~"[random() % 13];
    std::uint8_t ends[kMaxNameComponents];
    std::uint64_t out[kMaxNameComponents] = {};
    std::size_t n = component_ends(text, ends);
    std::uint32_t wanted = random() & 0xffff;
    hasher.prefixes(text, ends, n, wanted, out);
    for (std::size_t i = 0; i < n; ++i) {
      std::string_view part = std::string_view(text).substr(0, ends[i]);
      CHECK(out[i] == ((wanted >> i & 1) != 0 ? crypto::siphash24(key, as_bytes(part)) : 0));
      CHECK(hasher(part) == crypto::siphash24(key, as_bytes(part)));
    }
  }
}

TEST_CASE("R24 F1 fib: the longest serving prefix wins, by whole components") {
  TestFib t;
  t.fib.set_prefix(group("shop", {instance(2, 1)}, true));
  t.fib.set_prefix(group("shop/cart", {instance(3, 1)}, true));
  t.fib.set_prefix(group("shop/cart/v2", {instance(4, 1)}));
  CHECK(matched(t.fib, "shop/cart/v2") == "shop/cart/v2");
  CHECK(matched(t.fib, "shop/cart/v3") == "shop/cart");
  CHECK(matched(t.fib, "shop/ca") == "shop");
  CHECK(matched(t.fib, "shop") == "shop");
  CHECK(matched(t.fib, "shopping").empty());
  CHECK(matched(t.fib, "").empty());
}

TEST_CASE("F2 fib: a prefix that does not cover serves only its own name and hides nothing") {
  TestFib t;
  t.fib.set_prefix(group("shop", {instance(2, 1)}, true));
  t.fib.set_prefix(group("shop/cart", {instance(3, 1)}));
  t.fib.set_prefix(group("B/4", {instance(4, 1)}));
  CHECK(matched(t.fib, "shop/cart") == "shop/cart");
  CHECK(matched(t.fib, "shop/cart/v2") == "shop");
  CHECK(matched(t.fib, "B/4/x").empty());
  CHECK(matched(t.fib, "B").empty());
}

TEST_CASE("F3 fib: a change of the covering mark takes effect both ways") {
  TestFib t;
  t.fib.set_prefix(group("a", {instance(2, 1)}));
  CHECK(matched(t.fib, "a/b").empty());
  t.fib.set_prefix(group("a", {instance(2, 1)}, true));
  CHECK(matched(t.fib, "a/b") == "a");
  t.fib.set_prefix(group("a", {instance(2, 1)}));
  CHECK(matched(t.fib, "a/b").empty());
  CHECK(t.fib.prefix_count() == 1);
  t.fib.remove_prefix(name("a"));
  CHECK(matched(t.fib, "a").empty());
  CHECK(t.fib.prefix_count() == 0);
}

TEST_CASE("fib: any bytes may be asked for") {
  TestFib t;
  t.fib.set_prefix(group("a", {instance(2, 1)}, true));
  CHECK(matched(t.fib, std::string(256, 'a')).empty());
  CHECK(matched(t.fib, std::string(255, '/')).empty());
  std::string deep = "a";
  for (int i = 1; i < 16; ++i) deep += "/b";
  CHECK(matched(t.fib, deep) == "a");
  CHECK(matched(t.fib, deep + "/b").empty());
  CHECK_FALSE(t.fib.find(""));
}

TEST_CASE("fib: agrees with a plain map through random sets, removals and growth") {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    std::mt19937 random(seed);
    TestFib t;
    std::map<std::string, bool> model;
    for (int step = 0; step < 20000; ++step) {
      std::string text = random_name(random);
      if (random() % 3 == 0) {
        t.fib.remove_prefix(name(text));
        model.erase(text);
      } else {
        bool covering = random() % 2 == 0;
        t.fib.set_prefix(group(text, {instance(1, 1)}, covering));
        model[text] = covering;
      }
      std::string asked = random_name(random), want;
      for (std::string at = asked;; at = at.substr(0, at.rfind('/'))) {
        auto it = model.find(at);
        if (it != model.end() && (it->second || at == asked)) want = at;
        if (!want.empty() || at.find('/') == std::string::npos) break;
      }
      REQUIRE(matched(t.fib, asked) == want);
      if (step % 500 == 0) check_batch(t.fib, random);
      REQUIRE(t.fib.prefix_count() == model.size());
    }
    std::vector<std::string> listed;
    t.fib.for_each_prefix(
        [&](std::string_view prefix, const InstanceGroup&) { listed.emplace_back(prefix); });
    REQUIRE(listed.size() == model.size());
    CHECK(std::equal(listed.begin(), listed.end(), model.begin(),
                     [](const auto& a, const auto& b) { return a == b.first; }));
  }
}

TEST_CASE("fib: node routes, labels and links are set, replaced, removed and counted") {
  TestFib t;
  CHECK_FALSE(t.fib.node(NodeId{5}));
  t.fib.set_node(NodeId{5}, {{hop(1, 2)}, std::nullopt, 10});
  t.fib.set_node(NodeId{kMaxNodeId}, {{hop(1, 2)}, std::nullopt, 30});
  t.fib.set_node(NodeId{5}, {{hop(1, 2)}, std::nullopt, 20});
  t.fib.set_node(NodeId{kMaxNodeId + 1}, {});
  CHECK(t.fib.node(NodeId{5}).distance == 20);
  CHECK_FALSE(t.fib.node(NodeId{~0U}));
  CHECK(t.fib.node_count() == 2);
  std::vector<NodeId> nodes;
  t.fib.for_each_node([&](NodeId id, const NodeRoute&) { nodes.push_back(id); });
  CHECK(nodes == std::vector<NodeId>{NodeId{5}, NodeId{kMaxNodeId}});
  t.fib.remove_node(NodeId{5});
  t.fib.remove_node(NodeId{6});
  CHECK(t.fib.node_count() == 1);

  for (std::uint32_t i = 1; i <= 100; ++i) {
    t.fib.set_label({PathLabel{i}, NodeId{4}, hop(i, 2)});
  }
  t.fib.set_label({PathLabel{7}, NodeId{4}, hop(99, 2)});
  t.fib.remove_label(PathLabel{8});
  CHECK(t.fib.label(PathLabel{7})->next_hop.link == 99);
  CHECK(t.fib.label(PathLabel{8}) == nullptr);
  CHECK(t.fib.label_count() == 99);
  std::size_t seen = 0;
  t.fib.for_each_label([&](const LabelEntry&) { ++seen; });
  CHECK(seen == 99);

  t.fib.set_link_alive(3, false);
  t.fib.set_link_alive(1, false);
  t.fib.set_link_alive(3, false);
  CHECK_FALSE(t.fib.link_alive(1));
  CHECK(t.fib.link_alive(2));
  t.fib.set_link_alive(1, true);
  CHECK(t.fib.link_alive(1));
  CHECK_FALSE(t.fib.link_alive(3));
}

TEST_CASE("S21 fib: nodes share groups of next hops, which live as long as one points at them") {
  TestFib t;
  std::size_t empty = t.fib.memory().nodes;
  const std::vector<NextHop> two{hop(1, 2), hop(2, 3)};
  NextHopGroup* ways = t.fib.add_next_hops(two, hop(3, 4));
  for (std::uint32_t id = 1; id <= 1000; ++id) t.fib.set_node(NodeId{id}, id, *ways);
  CHECK(t.fib.work().next_hops == 1);
  CHECK(t.fib.work().nodes == 1000);
  std::size_t shared = t.fib.memory().nodes;
  CHECK(t.fib.node(NodeId{7}).ways == t.fib.node(NodeId{1000}).ways);
  CHECK(t.fib.node(NodeId{7}).distance == 7);
  CHECK(t.fib.node(NodeId{7}).next_hops().size() == 2);
  CHECK(t.fib.node(NodeId{7}).alternate() == hop(3, 4));
  t.fib.drop_next_hops(ways);
  t.fib.set_link_alive(1, false);  // one write for all of them
  CHECK(t.fib.work().total() == 1002);
  for (std::uint32_t id = 2; id <= 1000; ++id) t.fib.set_node(NodeId{id}, {{hop(9, 9)}, {}, 1});
  CHECK(t.fib.node(NodeId{1}).next_hops().back() == hop(2, 3));
  CHECK(t.fib.memory().nodes > shared);
  for (std::uint32_t id = 1; id <= 1000; ++id) t.fib.remove_node(NodeId{id});
  CHECK(t.fib.node_count() == 0);
  CHECK(t.fib.memory().nodes - empty == 1024 * 16);  // the chunk of slots, and no group
}

TEST_CASE("fib: what a reader holds stays whole until the reclaimer frees it") {
  HoldingReclaimer reclaimer;
  Fib fib(crypto::Key16{}, reclaimer);
  fib.set_prefix(group("a/b", {instance(1, 1)}));
  fib.set_node(NodeId{2}, {{hop(1, 2)}, std::nullopt, 5});
  const InstanceGroup* held = fib.match("a/b").group;
  const NodeRoute route = fib.node(NodeId{2});
  fib.set_prefix(group("a/b", {instance(9, 9)}));
  fib.remove_node(NodeId{2});
  CHECK(held->instances().front().egress == NodeId{1});
  CHECK(route.distance == 5);
  CHECK(route.next_hops().front() == hop(1, 2));
  CHECK(fib.match("a/b")->instances().front().egress == NodeId{9});
  CHECK(reclaimer.held() == 2);
  for (int i = 0; i < 100; ++i) fib.set_prefix(group("n/" + std::to_string(i), {instance(1, 1)}));
  CHECK(reclaimer.held() > 2);  // old tables
  fib.remove_prefix(name("a/b"));
}

TEST_CASE("fib: readers find what was always there while a writer changes everything else") {
  HoldingReclaimer reclaimer;
  Fib fib(crypto::Key16{5}, reclaimer);
  for (int i = 0; i < 50; ++i) fib.set_prefix(group("keep/" + std::to_string(i), {instance(1, 1)}));
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> lost = 0, looked = 0;
  std::thread reader([&] {
    for (unsigned i = 0; !stop || looked < 1000; ++i) {
      std::string text = "keep/" + std::to_string(i % 50);
      Match found = fib.match(text);
      if (!found || found.prefix != text || found->instances().size() != 1) ++lost;
      ++looked;
    }
  });
  std::mt19937 random(3);
  for (int i = 0; i < 30000; ++i) {
    std::string text = "churn/" + std::to_string(random() % 3000);
    if (random() % 2 == 0) {
      fib.set_prefix(group(text, {instance(2, 1)}));
    } else {
      fib.remove_prefix(name(text));
    }
    if (i % 10 == 0) fib.set_prefix(group("keep/" + std::to_string(i / 10 % 50), {instance(1, 1)}));
  }
  stop = true;
  reader.join();
  CHECK(lost == 0);
}
