// Labels, explicit paths and links of the RouteKeeper, by hand-made LSAs.
#include <catch2/catch.hpp>

#include "dmsc/forwarding/decision.hpp"
#include "dmsc/node/route_keeper.hpp"
#include "tests/unit/node/test_domain.hpp"

using namespace dmsc;
using namespace dmsc::node;

namespace {

struct Fixture {
  Fixture() {
    for (std::uint32_t id : {1u, 2u, 3u}) {
      auto identity = authority.identity("sr-" + std::to_string(id), id, "sr");
      wire::IdentityBody body{identity.certificate, {}};
      auto lsa = wire::make_lsa({NodeId{id}, wire::LsaType::identity, 0}, {1, 1}, 3600, false,
                                wire::encode(body), crypto::SigningKey(identity.key_seed));
      trust.learn(**lsa);
    }
  }
  void node(std::uint32_t id, std::vector<wire::Adjacency> adjacencies, bool overload = false) {
    wire::NodeBody body;
    body.name = "sr-" + std::to_string(id);
    body.overload = overload;
    body.adjacencies = std::move(adjacencies);
    auto lsa = wire::make_lsa({NodeId{id}, wire::LsaType::node, 0}, {1, ++sequence}, 3600, false,
                              wire::encode(body), authority.root_key);
    keeper.lsa_installed(now, test::kNow, **lsa);
  }
  static wire::Adjacency to(std::uint32_t neighbour, std::uint32_t link, std::uint32_t far_link) {
    wire::Adjacency a;
    a.neighbour = NodeId{neighbour};
    a.link = link;
    a.neighbour_link = far_link;
    a.metric = 10;
    a.flags = wire::kAdjacencyUsable;
    return a;
  }
  test::Authority authority;
  trust::TrustStore trust = *trust::TrustStore::create(test::kDomain, authority.root);
  forwarding::ImmediateReclaimer reclaimer;
  forwarding::Fib fib{crypto::Key16{}, reclaimer};
  int spf = 0;
  RouteKeeper keeper{NodeId{1}, trust, fib, {nullptr, [this] { ++spf; }, nullptr}};
  Time now{};
  std::uint64_t sequence = 0;
};

}  // namespace

TEST_CASE("F17 route keeper: what was withdrawn is remembered for five to ten minutes") {
  Fixture f;
  f.keeper.age_withdrawn(f.now += minutes(60));
  f.fib.set_prefix({*Name::parse("B/4"), false, {}});
  f.fib.remove_prefix("B/4");
  Time withdrawn = f.now;
  while (f.fib.withdrawn("B/4") && f.now < withdrawn + minutes(20)) f.keeper.age_withdrawn(f.now += seconds(1));
  CHECK(f.now - withdrawn >= minutes(5));
  CHECK(f.now - withdrawn <= minutes(10));
}

TEST_CASE("route keeper: a label follows the best link to its next node and waits without one") {
  Fixture f;
  PathLabel label{77};
  auto waiting = f.keeper.set_label(label, NodeId{3}, NodeId{2});
  REQUIRE_FALSE(waiting.ok());
  CHECK(waiting.error().code == Errc::unavailable);
  CHECK(f.fib.label(label) == nullptr);
  f.keeper.link_up(LinkId{5}, NodeId{2}, 30);
  REQUIRE(f.fib.label(label) != nullptr);
  CHECK(f.fib.label(label)->next_hop.link == 5);
  CHECK(f.fib.label(label)->egress == NodeId{3});
  f.keeper.link_up(LinkId{6}, NodeId{2}, 10);  // a cheaper parallel link
  CHECK(f.fib.label(label)->next_hop.link == 6);
  f.keeper.link_down(LinkId{6});
  CHECK(f.fib.label(label)->next_hop.link == 5);
  f.keeper.link_down(LinkId{5});
  CHECK(f.fib.label(label) == nullptr);
  CHECK(f.keeper.labels().size() == 1);
  f.keeper.remove_label(label);
  CHECK(f.keeper.labels().empty());
}

TEST_CASE("route keeper: explicit paths in use reach the FIB and are taken back") {
  Fixture f;
  Name prefix = *Name::parse("B/4");
  f.keeper.set_path(prefix, NodeId{3}, PathLabel{9}, {});
  CHECK(f.fib.path_label(NodeId{3}, "B/4") == PathLabel{9});
  CHECK(f.fib.path_label(NodeId{2}, "B/4") == PathLabel{});
  f.keeper.clear_path(prefix, NodeId{3});
  CHECK(f.fib.path_label(NodeId{3}, "B/4") == PathLabel{});
}

TEST_CASE("S22 route keeper: an explicit path is void while a node or a link of it is drained or gone") {
  constexpr std::uint32_t kDrained = 0xffffff;
  Fixture f;
  const Name prefix = *Name::parse("B/4");
  // The path is 1-2-3; SPF of its own would go 1-3.
  auto set = [&](std::uint32_t two_to_three, bool two_overloaded = false, std::uint32_t two_to_one = 10) {
    auto back = Fixture::to(1, 1, 1), on = Fixture::to(3, 2, 2);
    back.metric = two_to_one;
    on.metric = two_to_three;
    std::vector<wire::Adjacency> links{back};
    if (two_to_three != 0) links.push_back(on);
    f.node(2, links, two_overloaded);
    f.now += seconds(10);
    f.keeper.tick(f.now);
    return f.fib.path_label(NodeId{3}, "B/4") == PathLabel{9};
  };
  f.node(1, {Fixture::to(2, 1, 1), Fixture::to(3, 3, 1)});
  f.node(3, {Fixture::to(2, 2, 2), Fixture::to(1, 1, 3)});
  f.keeper.set_path(prefix, NodeId{3}, PathLabel{9}, {NodeId{1}, NodeId{2}, NodeId{3}});
  CHECK(f.fib.path_label(NodeId{3}, "B/4") == PathLabel{});  // node 2 is not known yet
  CHECK(set(10));
  CHECK_FALSE(set(kDrained, false, kDrained));  // a soft drain of node 2
  CHECK(f.keeper.paths().begin()->second.obstacle->kind == routing::PathObstacle::Kind::drained_node);
  CHECK(f.keeper.paths().begin()->second.obstacle->node == NodeId{2});
  CHECK(set(10));
  CHECK_FALSE(set(10, true));  // a hard drain
  CHECK(f.keeper.paths().begin()->second.obstacle->kind == routing::PathObstacle::Kind::no_transit);
  CHECK(set(10));
  CHECK_FALSE(set(kDrained));  // of the link 2-3
  CHECK(f.keeper.paths().begin()->second.obstacle->kind == routing::PathObstacle::Kind::drained_link);
  CHECK_FALSE(set(0));  // the link is gone
  CHECK(f.keeper.paths().begin()->second.obstacle->kind == routing::PathObstacle::Kind::no_link);
  CHECK(set(10));
  // The ingress itself drained, and the egress: traffic begins and ends there all the same.
  auto one_to_two = Fixture::to(2, 1, 1), one_to_three = Fixture::to(3, 3, 1);
  one_to_two.metric = one_to_three.metric = kDrained;
  f.node(1, {one_to_two, one_to_three});
  f.node(3, {Fixture::to(2, 2, 2), Fixture::to(1, 1, 3)}, true);
  CHECK(set(10));
}

TEST_CASE("route keeper: a lost link is dead in the FIB before SPF has run") {
  Fixture f;
  f.node(1, {Fixture::to(2, 1, 1), Fixture::to(3, 2, 1)});
  f.node(2, {Fixture::to(1, 1, 1), Fixture::to(3, 2, 2)});
  f.node(3, {Fixture::to(1, 1, 2), Fixture::to(2, 2, 2)});
  f.keeper.link_up(LinkId{1}, NodeId{2}, 10);
  f.keeper.link_up(LinkId{2}, NodeId{3}, 10);
  f.now += seconds(3);
  f.keeper.tick(f.now);
  REQUIRE(f.fib.node(NodeId{2}));
  CHECK(f.fib.node(NodeId{2}).next_hops()[0].link == 1);
  CHECK_FALSE(f.fib.node(NodeId{2}).alternate());  // S18: next hops do not wait for alternates
  REQUIRE(f.keeper.next_deadline());
  CHECK(*f.keeper.next_deadline() <= f.now);
  f.keeper.tick(f.now);
  REQUIRE(f.fib.node(NodeId{2}).alternate());
  CHECK(f.fib.node(NodeId{2}).alternate()->link == 2);
  int runs = f.spf;
  f.keeper.link_down(LinkId{1});
  CHECK_FALSE(f.fib.link_alive(1));
  CHECK(forwarding::can_reach(f.fib, NodeId{2}));  // by the alternate
  CHECK(f.spf == runs);
}

TEST_CASE("N6 route keeper: the topology holds no node without a good identity") {
  Fixture f;
  f.node(1, {Fixture::to(9, 1, 1)});
  f.node(9, {Fixture::to(1, 1, 1)});  // no identity known
  f.now += seconds(3);
  f.keeper.tick(f.now);
  CHECK_FALSE(f.fib.node(NodeId{9}));
}

TEST_CASE("S4 S10 route keeper: a node that becomes reachable does not wait for LONG") {
  Fixture f;
  f.node(1, {Fixture::to(2, 1, 1)});
  f.node(2, {Fixture::to(1, 1, 1)});
  f.keeper.link_up(LinkId{1}, NodeId{2}, 10);
  f.keeper.tick(f.now);
  f.now += milliseconds(300);  // LONG_WAIT from here
  f.keeper.tick(f.now);
  f.node(2, {Fixture::to(1, 1, 1), Fixture::to(3, 2, 1)});
  f.node(3, {Fixture::to(2, 1, 2)});
  f.keeper.tick(f.now);
  CHECK(f.fib.node(NodeId{3}));
  // A mere improvement waits for calm.
  f.now += milliseconds(500);
  f.keeper.link_up(LinkId{2}, NodeId{3}, 10);
  f.node(1, {Fixture::to(2, 1, 1), Fixture::to(3, 2, 2)});
  f.node(3, {Fixture::to(2, 1, 2), Fixture::to(1, 2, 2)});
  f.keeper.tick(f.now + milliseconds(15));
  CHECK(f.fib.node(NodeId{3}).distance == 20);
  f.keeper.tick(f.now + milliseconds(20));
  CHECK(f.fib.node(NodeId{3}).distance == 10);
}

TEST_CASE("S18 route keeper: nodes linked to none, heard of before alternates are due, stop nothing") {
  Fixture f;
  f.node(1, {Fixture::to(2, 1, 1)});
  f.node(2, {Fixture::to(1, 1, 1)});
  f.keeper.link_up(LinkId{1}, NodeId{2}, 10);
  f.now += seconds(3);
  f.keeper.tick(f.now);
  f.node(3, {});
  for (int i = 0; i < 3; ++i) f.keeper.tick(f.now);
  REQUIRE(f.keeper.next_deadline());
  CHECK(*f.keeper.next_deadline() > f.now);  // alternates are done
}

TEST_CASE("S18 route keeper: before its own LSA is known a node waits for it, and does not spin") {
  Fixture f;
  f.node(2, {Fixture::to(3, 1, 1)});
  f.node(3, {Fixture::to(2, 1, 1)});
  f.now += seconds(3);
  for (int i = 0; i < 3; ++i) f.keeper.tick(f.now);
  auto due = f.keeper.next_deadline();
  CHECK((!due || *due > f.now));
}
