// Rules F4-F12 of docs/protocol.md, "Forwarding".
#include "dmsc/forwarding/decision.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tests/unit/forwarding/fixtures.hpp"

using namespace dmsc;
using namespace dmsc::forwarding;

namespace {
constexpr NodeId kSelf{1};

// Node 1 with links 1 to node 2 and 2 to node 3; node 4 is reached over both, node 5 over link 1
// with an alternate over link 2.
struct Router : TestFib {
  Router() {
    fib.set_node(kSelf, {{}, std::nullopt, 0});
    fib.set_node(NodeId{2}, {{hop(1, 2)}, std::nullopt, 10});
    fib.set_node(NodeId{3}, {{hop(2, 3)}, std::nullopt, 10});
    fib.set_node(NodeId{4}, {{hop(1, 2), hop(2, 3)}, std::nullopt, 20});
    fib.set_node(NodeId{5}, {{hop(1, 2)}, hop(2, 3), 15});
  }
  Verdict run(TestPacket& p, bool originating = false) {
    return decide(fib, kSelf, p.packet, originating);
  }
};
}  // namespace

TEST_CASE("R42 F4 decide: a packet whose egress is this node is delivered, hop limit untouched") {
  Router r;
  wire::ServicePacketSpec spec = packet_to(1);
  spec.hop_limit = 0;
  spec.label = PathLabel{9};
  TestPacket p(spec);
  Verdict v = r.run(p);
  CHECK(v.action == Action::deliver);
  CHECK_FALSE(v.by_name);
  CHECK(p.packet.hop_limit() == 0);
  CHECK(p.packet.flags() == 0);
}

TEST_CASE("R7 R42 F5 decide: egress set goes by the direct index and loses one hop") {
  Router r;
  TestPacket p(packet_to(2, "no/such/name"));
  Verdict v = r.run(p);
  CHECK(v.action == Action::forward);
  CHECK(v.next_hop.link == 1);
  CHECK(v.next_hop.neighbour == NodeId{2});
  CHECK(p.packet.hop_limit() == wire::kDefaultHopLimit - 1);
  TestPacket unknown(packet_to(99));
  CHECK(r.run(unknown).reason == DropReason::egress_unreachable);
  CHECK(unknown.packet.hop_limit() == wire::kDefaultHopLimit);
}

TEST_CASE("F6 decide: hop limit 1 is not forwarded, but originated") {
  Router r;
  wire::ServicePacketSpec spec = packet_to(2);
  for (std::uint8_t limit : {0, 1}) {
    spec.hop_limit = limit;
    TestPacket p(spec);
    Verdict v = r.run(p);
    CHECK(v.action == Action::drop);
    CHECK(v.reason == DropReason::hop_limit);
  }
  TestPacket own(spec);
  CHECK(r.run(own, true).action == Action::forward);
  CHECK(own.packet.hop_limit() == 1);
}

TEST_CASE("R23 R41 F7 decide: equal-cost next hops share the flows, one flow keeps its way") {
  Router r;
  std::map<std::uint32_t, int> used;
  for (std::uint64_t flow = 1; flow <= 4000; ++flow) {
    wire::ServicePacketSpec spec = packet_to(4);
    spec.flow = flow;
    TestPacket a(spec), b(spec);
    std::uint32_t link = r.run(a).next_hop.link;
    CHECK(r.run(b).next_hop.link == link);
    ++used[link];
  }
  CHECK(used[1] > 1800);
  CHECK(used[2] > 1800);
}

TEST_CASE("F7 decide: flows on alive equal-cost hops stay when another dies, the rest spread") {
  Router r;
  r.fib.set_node(NodeId{6}, {{hop(1, 2), hop(2, 3), hop(3, 7), hop(4, 8)}, std::nullopt, 20});
  std::map<std::uint32_t, int> moved;
  for (std::uint64_t flow = 1; flow <= 4000; ++flow) {
    const NodeRoute route = r.fib.node(NodeId{6});
    r.fib.set_link_alive(3, true);
    std::uint32_t before = choose_next_hop(r.fib, route, flow)->link;
    r.fib.set_link_alive(3, false);
    std::uint32_t after = choose_next_hop(r.fib, route, flow)->link;
    if (before == 3) {
      ++moved[after];
    } else {
      REQUIRE(before == after);
    }
  }
  CHECK(moved.count(3) == 0);
  for (std::uint32_t link : {1, 2, 4}) CHECK(moved[link] > 200);
}

TEST_CASE("F8 decide: a lost link is passed by the alternate at once, and only once") {
  Router r;
  r.fib.set_link_alive(1, false);
  TestPacket p(packet_to(5));
  Verdict v = r.run(p);
  CHECK(v.action == Action::forward);
  CHECK(v.next_hop.link == 2);
  CHECK(v.repaired);
  CHECK(p.packet.flags() == wire::kFlagRepaired);
  Verdict again = r.run(p);
  CHECK(again.reason == DropReason::link_down);
  r.fib.set_link_alive(1, true);
  Verdict normal = r.run(p);  // a repaired packet still goes the ordinary way
  CHECK(normal.action == Action::forward);
  CHECK_FALSE(normal.repaired);
  TestPacket q(packet_to(2));
  r.fib.set_link_alive(1, false);
  CHECK(r.run(q).reason == DropReason::link_down);
  r.fib.set_link_alive(2, false);
  TestPacket s(packet_to(5));
  CHECK(r.run(s).reason == DropReason::link_down);
  CHECK(s.packet.flags() == 0);
}

TEST_CASE("F9 decide: a label is used only with its egress and an alive link, else void for good") {
  Router r;
  r.fib.set_label({PathLabel{0x100001}, NodeId{5}, hop(2, 3)});
  wire::ServicePacketSpec spec = packet_to(5);
  spec.label = PathLabel{0x100001};
  TestPacket good(spec);
  Verdict v = r.run(good);
  CHECK(v.by_label);
  CHECK(v.next_hop.link == 2);
  CHECK(good.packet.flags() == 0);

  r.fib.set_link_alive(2, false);
  TestPacket dead(spec);
  v = r.run(dead);
  CHECK_FALSE(v.by_label);
  CHECK(v.next_hop.link == 1);
  CHECK(dead.packet.flags() == wire::kFlagLabelVoid);
  r.fib.set_link_alive(2, true);
  CHECK_FALSE(r.run(dead).by_label);  // never back to a label

  spec.egress = NodeId{2};
  TestPacket other(spec);
  CHECK_FALSE(r.run(other).by_label);
  CHECK(other.packet.flags() == wire::kFlagLabelVoid);
  spec.label = PathLabel{42};
  TestPacket unknown(spec);
  CHECK(r.run(unknown).next_hop.link == 1);
  CHECK(unknown.packet.flags() == wire::kFlagLabelVoid);
}

TEST_CASE(
    "R7 R41 F10 decide: egress 0 follows the name to the nearest egress, lowest id on a tie") {
  Router r;
  r.fib.set_prefix(group("B", {instance(4, 1, 100), instance(5, 1, 0), instance(2, 7)}));
  r.fib.set_prefix(group("tie", {instance(3, 1), instance(2, 1)}));
  TestPacket p(packet_to(0, "B"));
  Verdict v = r.run(p);
  CHECK(v.by_name);
  CHECK(v.next_hop.neighbour == NodeId{2});
  CHECK(p.packet.egress() == NodeId{0});
  TestPacket tie(packet_to(0, "tie"));
  CHECK(r.run(tie).next_hop.neighbour == NodeId{2});
  TestPacket none(packet_to(0, "nobody/here"));
  CHECK(r.run(none).reason == DropReason::no_route);
  TestPacket unnamed(packet_to(0, ""));
  CHECK(r.run(unnamed).reason == DropReason::no_route);
  r.fib.set_prefix(group("far", {instance(77, 1)}));
  TestPacket far(packet_to(0, "far"));
  CHECK(r.run(far).reason == DropReason::no_instance);
}

TEST_CASE("F17 decide: a withdrawn name is without instance, one never heard of without route") {
  Router r;
  r.fib.set_prefix(group("B/4", {instance(2, 1)}));
  auto reason = [&](const char* name) {
    TestPacket p(packet_to(0, name));
    return r.run(p).reason;
  };
  CHECK(reason("B/4") == DropReason::none);
  CHECK(reason("B/5") == DropReason::no_route);
  r.fib.remove_prefix("B/4");
  CHECK(reason("B/4") == DropReason::no_instance);
  CHECK(reason("B/5") == DropReason::no_route);
  CHECK(reason("B/4/x") == DropReason::no_route);  // B/4 never served what is below it
  CHECK(reason("B") == DropReason::no_route);
  r.fib.age_withdrawn();
  CHECK(reason("B/4") == DropReason::no_instance);
  r.fib.age_withdrawn();
  CHECK(reason("B/4") == DropReason::no_route);
}

TEST_CASE("R42 F10 decide: egress 0 is delivered where the nearest instance is, egress stays 0") {
  Router r;
  r.fib.set_prefix(group("B", {instance(2, 1), instance(1, 3, 0)}));
  TestPacket p(packet_to(0, "B"));
  Verdict v = r.run(p);
  CHECK(v.action == Action::deliver);
  CHECK(v.by_name);
  CHECK(p.packet.egress() == NodeId{0});
}

TEST_CASE("F10 decide: draining egresses are passed over while another is reachable") {
  Router r;
  InstanceEntry leaving = instance(2, 1, 0);
  leaving.draining = true;
  r.fib.set_prefix(group("B", {leaving, instance(4, 1)}));
  TestPacket p(packet_to(0, "B"));
  r.run(p);
  CHECK(nearest_instance(r.fib, kSelf, r.fib.match("B")->instances())->egress == NodeId{4});
  r.fib.set_prefix(group("B", {leaving}));
  CHECK(nearest_instance(r.fib, kSelf, r.fib.match("B")->instances())->egress == NodeId{2});
}

TEST_CASE("F11 decide: names below a prefix go only to instances that announced it as covering") {
  Router r;
  InstanceEntry exact = instance(2, 1, 100);
  exact.covering = false;
  r.fib.set_prefix(group("B", {exact, instance(4, 2, 1)}, true));
  TestPacket below(packet_to(0, "B/x")), same(packet_to(0, "B"));
  CHECK(r.run(same).next_hop.neighbour == NodeId{2});
  const Match g = r.fib.match("B/x");
  CHECK(is_below(g, "B/x") == Below::yes);
  CHECK(is_below(r.fib.match("B"), "B") == Below::no);
  CHECK(nearest_instance(r.fib, kSelf, g->instances(), Below::yes)->egress == NodeId{4});
  for (std::uint64_t flow = 0; flow < 100; ++flow) {
    CHECK(choose_instance(r.fib, g->instances(), flow, Below::yes)->egress == NodeId{4});
  }
}

TEST_CASE("F12 decide: every hop of a traced packet records itself, the deliverer too") {
  Router r;
  wire::ServicePacketSpec spec = packet_to(2);
  spec.flags = wire::kFlagTrace;
  spec.record_slots = 2;
  TestPacket p(spec);
  r.run(p, true);
  decide(r.fib, NodeId{2}, p.packet);
  CHECK(p.packet.recorded_hops() == std::vector<NodeId>{NodeId{1}, NodeId{2}});
  spec.flags = 0;
  TestPacket quiet(spec);
  r.run(quiet);
  CHECK(quiet.packet.recorded_hops().empty());
}

TEST_CASE("drop reasons: each has its own word; unauthenticated ones and errors get no answer") {
  std::set<std::string> words;
  for (int i = 0; i < static_cast<int>(DropReason::count_); ++i) {
    words.insert(to_string(static_cast<DropReason>(i)));
  }
  CHECK(words.size() == static_cast<std::size_t>(DropReason::count_));
  CHECK(words.count("unknown") == 0);
  for (DropReason silent : {DropReason::none, DropReason::malformed, DropReason::not_neighbour,
                            DropReason::bad_tag, DropReason::replay, DropReason::bad_key}) {
    CHECK_FALSE(error_for(silent).has_value());
  }
  TestPacket request(packet_to(4));
  CHECK(error_for(DropReason::no_route, request.packet) == wire::ErrorCode::no_route);
  CHECK(error_for(DropReason::link_down, request.packet) == wire::ErrorCode::egress_unreachable);
  wire::ServicePacketSpec spec = packet_to(4);
  spec.kind = wire::PacketKind::error;
  TestPacket error(spec);
  CHECK_FALSE(error_for(DropReason::no_route, error.packet).has_value());
}

TEST_CASE(
    "R34 F13 decide: a path in use labels own packets of its prefix to its egress, not probes") {
  Router r;
  r.fib.set_label({PathLabel{77}, NodeId{4}, hop(2, 3)});
  r.fib.set_paths({{NodeId{4}, *Name::parse("B"), PathLabel{77}}});
  TestPacket own(packet_to(4, "B/4"));
  Verdict v = r.run(own, true);
  CHECK(v.by_label);
  CHECK(v.next_hop.link == 2);
  CHECK(own.packet.label() == PathLabel{77});
  TestPacket other_name(packet_to(4, "Bank/4"));
  CHECK_FALSE(r.run(other_name, true).by_label);
  TestPacket other_egress(packet_to(2, "B/4"));
  CHECK_FALSE(r.run(other_egress, true).by_label);
  TestPacket transit(packet_to(4, "B/4"));
  CHECK_FALSE(r.run(transit).by_label);
  wire::ServicePacketSpec probe = packet_to(4, "B/4");
  probe.kind = wire::PacketKind::probe;
  TestPacket measuring(probe);
  CHECK_FALSE(r.run(measuring, true).by_label);
  r.fib.set_paths({});
  TestPacket after(packet_to(4, "B/4"));
  CHECK_FALSE(r.run(after, true).by_label);
}
