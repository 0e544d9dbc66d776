// docs/protocol.md, "Authentication": who may announce what, and the stable refusal codes.
#include "spad/decide.hpp"

#include <catch2/catch.hpp>

#include "spad/registry_file.hpp"
#include "tests/unit/spad/fixture.hpp"

using namespace dmsc;
using namespace dmsc::spad;

namespace {

View fig2() {
  View view;
  Changes all = *load_changes({}, *parse_registry(test::kRegistry, "r"), {1000, 1});
  for (const Change& c : all) REQUIRE(view.apply(c));
  for (const char* name : {"sg-1", "sg-4"}) {
    NodeRecord n = *view.node(name);
    n.key = test::key_of(static_cast<std::uint8_t>(n.node_id)).public_key();
    n.serial = 5;
    REQUIRE(view.apply(record(n)));
  }
  return view;
}

Question ask(const View& view, const char* gateway, const char* identity, const char* prefix) {
  const NodeRecord* n = view.node(gateway);
  return {gateway, n->node_id, n->key, identity, prefix, false, false};
}

}  // namespace

TEST_CASE("R13 the SPA grants the owner at its gateway, for the rule's whole subtree") {
  View view = fig2();
  Decision d = decide(view, ask(view, "sg-4", "pod:pod-4", "B/4"));
  CHECK(d.granted());
  CHECK(d.rule.subtree.text() == "B/4");
  REQUIRE(d.pools.size() == 1);
  CHECK(d.pools[0].text() == "B");
  Decision wide = decide(view, ask(view, "sg-1", "unit:shop.service", "shop/cart/v2"));
  CHECK(wide.granted());
  CHECK(wide.rule.subtree.text() == "shop");
  CHECK(wide.rule.depth == 2);
  // And nobody else: neither another pod at that gateway nor the owner at another one.
  CHECK_FALSE(decide(view, ask(view, "sg-4", "pod:pod-3", "B/4")).granted());
  CHECK_FALSE(decide(view, ask(view, "sg-1", "pod:pod-4", "B/4")).granted());
}

TEST_CASE("R14 every refusal has a stable code and a reason") {
  View view = fig2();
  struct Row {
    const char *gateway, *identity, *prefix;
    bool covering, join;
    const char* code;
  };
  for (const Row& r : {Row{"sg-4", "pod:pod-9", "B/4", false, false, "unknown_identity"},
                       Row{"sg-4", "pod-4", "B/4", false, false, "unknown_identity"},
                       Row{"sg-4", "pod:pod-4", "B/1", false, false, "not_owner"},
                       Row{"sg-4", "pod:pod-4", "B", false, false, "not_owner"},
                       Row{"sg-1", "pod:pod-4", "B/4", false, false, "wrong_gateway"},
                       Row{"sg-4", "pod:pod-4", "B/4/x", false, false, "too_deep"},
                       Row{"sg-1", "unit:shop.service", "shop/a/b/c", false, false, "too_deep"},
                       Row{"sg-4", "pod:pod-4", "B/4", true, false, "not_covering"},
                       Row{"sg-1", "unit:shop.service", "shop", false, true, "not_a_pool"},
                       Row{"sg-1", "unit:shop.service", "shop/a", false, true, "not_a_pool"},
                       Row{"sg-4", "pod:pod-4", "B//4", false, false, "bad_name"}}) {
    Question q = ask(view, r.gateway, r.identity, r.prefix);
    q.covering = r.covering;
    q.join_pool = r.join;
    INFO(r.gateway << " " << r.identity << " " << r.prefix);
    Decision d = decide(view, q);
    CHECK(d.refusal == r.code);
    CHECK_FALSE(d.reason.empty());
  }
}

TEST_CASE("R16 a gateway that is removed or under another key gets nothing") {
  View view = fig2();
  Question q = ask(view, "sg-4", "pod:pod-4", "B/4");
  q.key = test::key_of(99).public_key();
  CHECK(decide(view, q).refusal == "unknown_gateway");
  q = ask(view, "sg-4", "pod:pod-4", "B/4");
  q.node_id = 77;
  CHECK(decide(view, q).refusal == "unknown_gateway");
  REQUIRE(view.apply(removal("node", "sg-4")));
  q.node_id = 3;
  CHECK(decide(view, q).refusal == "unknown_gateway");
}

TEST_CASE("R33 a pool is joined by children of the parent the registry marks") {
  View view = fig2();
  Question q = ask(view, "sg-4", "pod:pod-4", "B/4");
  q.join_pool = true;
  CHECK(decide(view, q).granted());
  REQUIRE(view.apply(removal("rule", rule_key("B", ""))));
  CHECK(decide(view, q).refusal == "not_a_pool");
  // A pool inside the reach of a deep rule is named too.
  Changes inner = *set_rule(view, {"shop/cart", "", 0, false, true}, {1, 2});
  for (const Change& c : inner) REQUIRE(view.apply(c));
  q = ask(view, "sg-1", "unit:shop.service", "shop/cart/v1");
  q.join_pool = true;
  CHECK(decide(view, q).granted());
}

TEST_CASE("decide: an identity bound to a gateway does not match a longer name of it") {
  Rule rule;
  rule.identity = "pod:pod-1@sg-1";
  CHECK(rule_matches(rule, "pod:pod-1", "sg-1"));
  CHECK_FALSE(rule_matches(rule, "pod:pod-1", "sg-11"));
  CHECK_FALSE(rule_matches(rule, "pod:pod", "sg-1"));
  CHECK_FALSE(rule_matches(rule, "", "sg-1"));
  rule.identity = "pod:pod-10";
  CHECK_FALSE(rule_matches(rule, "pod:pod-1", "sg-1"));
}
