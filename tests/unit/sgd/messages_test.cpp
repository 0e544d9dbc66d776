// docs/protocol.md, "Messages": calls complete, and none runs twice, whatever the network does.
#include <catch2/catch.hpp>

#include "message_net.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using dmsc::sgd::test::Net;
using wire::ErrorCode;

namespace {
Bytes numbered(std::uint32_t n, std::size_t size = 8) {
  ByteWriter w;
  w.u32(n);
  Bytes b = w.take();
  for (std::size_t i = b.size(); i < size; ++i) b.push_back(std::uint8_t(i * 7 + n));
  return b;
}
int most_executions(const Net& net) {
  int most = 0;
  for (const auto& [payload, n] : net.executed) most = std::max(most, n);
  return most;
}
}  // namespace

TEST_CASE("R40 Messages: a call by name is answered as if local") {
  Net net;
  net.add_egress(4);
  net.call(7, numbered(1), seconds(2));
  net.run_until(net.now + seconds(1));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  CHECK(net.outcomes[0].id == 7);
  CHECK(net.outcomes[0].payload == numbered(1));
  CHECK(net.outcomes[0].took == milliseconds(4));
  CHECK(net.packets == 3);  // request, response, acknowledgement
  CHECK(net.routes.open_flows == 0);
  CHECK(net.ingress->open_count() == 0);
}

TEST_CASE("R44 Messages: the answer travels by the same process with ends and names swapped") {
  Net net;
  net.add_egress(4);
  int responses = 0;
  net.drop_if = [&](const wire::ServicePacket& p) {
    if (p.kind() == wire::PacketKind::response) {
      ++responses;
      CHECK(p.ingress() == NodeId{4});
      CHECK(p.egress() == NodeId{1});
      CHECK(p.source() == "B/4");
      CHECK(p.source_instance() == InstanceId{1});
      CHECK((p.flags() & wire::kFlagReply) != 0);
    }
    return false;
  };
  net.call(1, numbered(1), seconds(2));
  net.run_until(net.now + seconds(1));
  CHECK(responses == 1);
}

TEST_CASE("Messages: under 10 % loss, duplication and reordering all complete and none runs twice") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Net net;
    net.rng.state = seed * 7919;
    net.loss = 0.10;
    net.duplicate = 0.05;
    net.delay_spread = milliseconds(10);
    net.handler_time = milliseconds(seed % 2 == 0 ? 0 : 70);
    net.add_egress(4);
    for (std::uint32_t i = 0; i < 400; ++i) {
      net.call(i, numbered(i, i % 10 == 0 ? 30000 : 100), seconds(2));
      net.run_until(net.now + milliseconds(5));
    }
    net.run_until(net.now + seconds(6));
    INFO("seed " << seed);
    REQUIRE(net.outcomes.size() == 400);
    for (const CallOutcome& o : net.outcomes) {
      INFO(o.text);
      REQUIRE(o.ok);
      REQUIRE(o.took < seconds(2));
      REQUIRE(o.payload == numbered(std::uint32_t(o.id), o.id % 10 == 0 ? 30000 : 100));
    }
    CHECK(net.executed.size() == 400);
    CHECK(most_executions(net) == 1);
    CHECK(net.egresses[NodeId{4}].calls->entry_count() == 0);  // all forgotten after the deadline
  }
}

TEST_CASE("Messages: a megabyte each way through 5 % loss") {
  Net net;
  net.loss = 0.05;
  net.delay_spread = milliseconds(1);
  net.add_egress(4);
  net.call(1, numbered(1, wire::kMaxMessageBytes), seconds(30));
  net.run_until(net.now + seconds(31));
  REQUIRE(net.outcomes.size() == 1);
  INFO(net.outcomes[0].text);
  REQUIRE(net.outcomes[0].ok);
  CHECK(net.outcomes[0].payload == numbered(1, wire::kMaxMessageBytes));
  CHECK(net.outcomes[0].took < seconds(10));
  // Selective retransmission: not much more is sent than what was lost.
  CHECK(net.ingress->counters().retransmissions < 200);
}

TEST_CASE("Messages: an empty message is a message") {
  Net net;
  net.add_egress(4);
  net.call(1, {}, seconds(1));
  net.run_until(net.now + seconds(3));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  CHECK(net.packets == 3);
}

TEST_CASE("Messages: over 1 MiB is refused at once as too-big") {
  Net net;
  net.add_egress(4);
  net.call(1, Bytes(wire::kMaxMessageBytes + 1), seconds(1));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].code == ErrorCode::too_big);
  CHECK(net.packets == 0);
}

TEST_CASE("Messages: lost responses are repeated from memory, the program runs once") {
  Net net;
  net.add_egress(4);
  int dropped = 0;
  net.drop_if = [&](const wire::ServicePacket& p) {
    return p.kind() == wire::PacketKind::response && dropped++ < 4;
  };
  net.call(1, numbered(1), seconds(5));
  net.run_until(net.now + seconds(5));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  CHECK(net.executed[numbered(1)] == 1);
}

TEST_CASE("Messages: a slow program is acknowledged, then asked after twice a second") {
  Net net;
  net.handler_time = milliseconds(1900);
  net.add_egress(4);
  net.call(1, numbered(1), seconds(5));
  net.run_until(net.now + seconds(4));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  CHECK(net.executed[numbered(1)] == 1);
  CHECK(net.packets < 20);
}

TEST_CASE("Messages: without an answer the caller gets the deadline error, in time") {
  Net net;
  net.handler_time = seconds(60);
  net.add_egress(4);
  net.call(1, numbered(1), milliseconds(300));
  net.run_until(net.now + milliseconds(301));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].code == ErrorCode::deadline);
  CHECK(net.outcomes[0].took == milliseconds(300));
  CHECK(net.outcomes[0].text.find("accepted by node 4") != std::string::npos);
  net.run_until(net.now + seconds(2));
  CHECK(net.egresses[NodeId{4}].calls->take_cancelled().size() == 1);
}

TEST_CASE("Messages: an unknown name fails after the grace of a reconvergence, not the deadline") {
  Net net;
  net.routes.known = false;
  net.call(1, numbered(1), seconds(2));
  CHECK(net.outcomes.empty());
  net.run_until(net.now + milliseconds(100));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].code == ErrorCode::no_route);
  net.routes.known = true;  // known, and nobody there
  net.call(2, numbered(2), seconds(2));
  net.run_until(net.now + milliseconds(100));
  REQUIRE(net.outcomes.size() == 2);
  CHECK(net.outcomes[1].code == ErrorCode::no_instance);
}

TEST_CASE("Messages: a route that comes back within the grace costs no call") {
  Net net;
  net.add_egress(4);
  net.routes.known = false;
  net.call(1, numbered(1), seconds(2));
  net.run_until(net.now + milliseconds(50));
  net.routes.known = true;
  net.run_until(net.now + milliseconds(100));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
}

TEST_CASE("Messages: a path that is dead for 400 ms fails no call and runs none twice") {
  Net net;
  net.add_egress(4);
  bool dead = false;
  net.drop_if = [&](const wire::ServicePacket&) { return dead; };
  for (std::uint32_t i = 0; i < 200; ++i) {
    dead = i >= 50 && i < 130;
    net.call(i, numbered(i), seconds(2));
    net.run_until(net.now + milliseconds(5));
  }
  net.run_until(net.now + seconds(3));
  REQUIRE(net.outcomes.size() == 200);
  for (const CallOutcome& o : net.outcomes) REQUIRE(o.ok);
  CHECK(most_executions(net) == 1);
}

TEST_CASE("Messages: a dead egress ends its calls as soon as the FIB has lost it") {
  Net net;
  net.add_egress(4);
  net.egresses[NodeId{4}].alive = false;
  net.call(1, numbered(1), seconds(2));
  net.run_until(net.now + milliseconds(330));  // adjacency timeout and SPF elsewhere
  CHECK(net.outcomes.empty());
  net.routes.unreachable.insert(NodeId{4});
  net.run_until(net.now + milliseconds(170));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].code == ErrorCode::egress_unreachable);
  CHECK(net.outcomes[0].took < milliseconds(500));
}

TEST_CASE("Messages: errors from transit are hints: they end a call only when they persist") {
  Net net;
  net.transit_error = true;
  auto& egress = net.add_egress(4);
  egress.alive = false;
  net.call(1, numbered(1), seconds(2));
  net.run_until(net.now + milliseconds(200));
  CHECK(net.outcomes.empty());
  egress.alive = true;  // the router found its alternate
  net.run_until(net.now + milliseconds(300));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  egress.alive = false;
  net.call(2, numbered(2), seconds(5));
  net.run_until(net.now + milliseconds(800));
  REQUIRE(net.outcomes.size() == 2);
  CHECK(net.outcomes[1].code == ErrorCode::egress_unreachable);
  CHECK(net.outcomes[1].reporter == NodeId{99});
}

TEST_CASE("Messages: a call that may have run is never sent elsewhere") {
  Net net;
  net.add_egress(4);
  net.add_egress(5);
  net.handler_time = milliseconds(100);
  net.call(1, numbered(1), seconds(2));
  net.run_until(net.now + milliseconds(50));  // running at 4
  net.egresses[NodeId{4}].alive = false;
  net.routes.unreachable.insert(NodeId{4});
  net.run_until(net.now + seconds(3));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].code == ErrorCode::egress_unreachable);
  CHECK(most_executions(net) == 1);
}

TEST_CASE("Messages: an idempotent call is retried at another instance") {
  Net net;
  net.add_egress(4);
  net.add_egress(5);
  net.handler_time = milliseconds(100);
  net.call(1, numbered(1), seconds(2), true);
  net.run_until(net.now + milliseconds(50));
  net.egresses[NodeId{4}].alive = false;
  net.routes.unreachable.insert(NodeId{4});
  net.run_until(net.now + seconds(1));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  CHECK(net.outcomes[0].pin.egress == NodeId{5});
  CHECK(net.outcomes[0].tries == 2);
  CHECK(net.routes.open_flows == 0);
}

TEST_CASE("Messages: retries of idempotent calls stay within a budget over all calls") {
  Net net;
  net.add_egress(4);
  net.add_egress(5);
  net.add_egress(6);
  for (auto& [id, e] : net.egresses) e.services->instances.clear();  // everybody says no-instance
  for (std::uint32_t i = 0; i < 300; ++i) net.call(i, numbered(i), seconds(2), true);
  net.run_until(net.now + seconds(3));
  REQUIRE(net.outcomes.size() == 300);
  // 0.2 per call on top of 10 to start with.
  CHECK(net.ingress->counters().repinned <= 10 + 60);
  CHECK(net.ingress->counters().repinned >= 60);
}

TEST_CASE("Messages: a first copy that was refused unrun goes to another instance") {
  Net net;
  net.add_egress(4);
  net.add_egress(5);
  net.egresses[NodeId{4}].services->instances.clear();
  net.call(1, numbered(1), seconds(2));
  net.run_until(net.now + milliseconds(100));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  CHECK(net.outcomes[0].pin.egress == NodeId{5});
  CHECK(most_executions(net) == 1);
}

TEST_CASE("U18 Messages: a restarted gateway does not run an old copy, though its instances have the same ids") {
  Net net;
  net.add_egress(4, 1);
  net.handler_time = seconds(10);
  net.call(1, numbered(1), seconds(3));
  net.run_until(net.now + milliseconds(100));
  CHECK(net.executed[numbered(1)] == 1);
  net.routes.pins.clear();
  net.add_egress(4, 1, net.now);  // its memory is lost
  net.run_until(net.now + seconds(1));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].code == ErrorCode::no_instance);
  CHECK(most_executions(net) == 1);
}

TEST_CASE("U18 Messages: a restarted gateway runs a call that began after its start, also from a later copy") {
  Net net;
  net.now = Time{seconds(100)};
  net.add_egress(4, 1, net.now);
  net.run_until(net.now + seconds(1));
  int lost = 0;
  net.drop_if = [&](const wire::ServicePacket& p) {
    return p.kind() == wire::PacketKind::request && lost++ < 2;
  };
  net.call(1, numbered(1), seconds(3));
  net.run_until(net.now + seconds(1));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].ok);
  CHECK(lost > 2);
  CHECK(most_executions(net) == 1);
}

TEST_CASE("Messages: the program's refusal reaches the caller at once and is remembered") {
  Net net;
  auto& egress = net.add_egress(4);
  net.handler_time = seconds(60);
  int errors_lost = 0;
  net.drop_if = [&](const wire::ServicePacket& p) {
    return p.kind() == wire::PacketKind::error && errors_lost++ < 1;
  };
  net.call(1, numbered(1), seconds(2));
  net.run_until(net.now + milliseconds(5));
  REQUIRE(egress.calls->refuse(net.now, 1, ErrorCode::pod_refused, "closed today"));
  net.run_until(net.now + seconds(1));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].code == ErrorCode::pod_refused);
  CHECK(net.outcomes[0].text == "closed today");
  CHECK(net.outcomes[0].reporter == NodeId{4});
  CHECK_FALSE(egress.calls->respond(net.now, 1, {}));
}

TEST_CASE("Messages: a call by name is sent once unless it is idempotent") {
  for (bool idempotent : {false, true}) {
    Net net;
    net.add_egress(4, 3);
    int lost = 0;
    net.drop_if = [&](const wire::ServicePacket& p) {
      if (p.kind() == wire::PacketKind::request) CHECK((lost > 0 || p.egress() == NodeId{0}));
      return lost++ < 1;
    };
    CallRequest r;
    r.destination = "B/4";
    r.payload = numbered(1);
    r.deadline = seconds(1);
    r.by_name = true;
    r.idempotent = idempotent;
    net.ingress->start(net.now, r);
    net.run_until(net.now + seconds(2));
    REQUIRE(net.outcomes.size() == 1);
    CHECK(net.outcomes[0].ok == idempotent);
    if (idempotent) CHECK(net.outcomes[0].pin == Pin{NodeId{4}, InstanceId{3}});
  }
}

TEST_CASE("Messages: a reply counts only from the pinned egress and for an open exchange") {
  Net net;
  net.add_egress(4);
  net.handler_time = seconds(60);
  wire::ServicePacketSpec forged;
  forged.kind = wire::PacketKind::response;
  forged.flags = wire::kFlagReply;
  forged.protocol = wire::PayloadProtocol::message;
  net.drop_if = [&](const wire::ServicePacket& p) {
    if (p.kind() == wire::PacketKind::request) {
      forged.exchange = p.exchange();
      forged.flow = p.flow();
    }
    return false;
  };
  net.call(1, numbered(1), milliseconds(200));
  forged.egress = NodeId{1};
  forged.ingress = NodeId{5};
  auto inject = [&] {
    Bytes b = *wire::build_service_packet(forged, as_bytes("lies"));
    auto p = wire::ServicePacket::parse(b);
    net.ingress->receive(net.now, *p);
  };
  inject();  // not the pinned egress
  forged.ingress = NodeId{4};
  forged.flow ^= 1;
  inject();  // not this flow
  CHECK(net.ingress->counters().strays == 2);
  net.run_until(net.now + seconds(1));
  CHECK_FALSE(net.outcomes.at(0).ok);
}

TEST_CASE("Messages: an egress keeps bounds per ingress and says congestion") {
  test::FakeServices services;
  EgressConfig config;
  config.self = NodeId{4};
  config.peer_bytes = 100000;
  EgressCalls calls(config, services);
  Time now{};
  auto first_segment = [&](std::uint32_t exchange, std::uint32_t ingress) {
    wire::ServicePacketSpec spec;
    spec.protocol = wire::PayloadProtocol::message;
    spec.exchange = exchange;
    spec.egress = NodeId{4};
    spec.ingress = NodeId{ingress};
    spec.destination = "B/4";
    spec.instance = InstanceId{1};
    spec.offset_total.emplace(0, 40000);
    spec.deadline_ms = 1000;
    Bytes b = *wire::build_service_packet(spec, Bytes(1000));
    auto p = wire::ServicePacket::parse(b);
    calls.receive(now, *p);
  };
  for (std::uint32_t i = 1; i <= 3; ++i) first_segment(i, 1);
  CHECK(calls.entry_count() == 2);
  CHECK(calls.counters().over_bounds == 1);
  auto packets = calls.take_packets();
  REQUIRE(packets.size() == 1);
  CHECK(wire::ServicePacket::parse(packets[0])->kind() == wire::PacketKind::error);
  first_segment(1, 2);  // another ingress has its own bound
  CHECK(calls.entry_count() == 3);
  now += seconds(3);
  calls.tick(now);
  CHECK(calls.entry_count() == 0);
  first_segment(9, 1);
  CHECK(calls.entry_count() == 1);
}

TEST_CASE("Messages: a cancelled call has no outcome") {
  Net net;
  net.add_egress(4);
  net.handler_time = milliseconds(50);
  net.call(1, numbered(1), seconds(2));
  net.call(2, numbered(2), seconds(2));
  net.ingress->cancel(net.now, 1, 1);
  net.run_until(net.now + seconds(1));
  REQUIRE(net.outcomes.size() == 1);
  CHECK(net.outcomes[0].id == 2);
  net.call(3, numbered(3), seconds(2));
  net.ingress->cancel_owner(net.now, 1);
  net.run_until(net.now + seconds(4));
  CHECK(net.outcomes.size() == 1);
  CHECK(net.ingress->open_count() == 0);
  CHECK(net.routes.open_flows == 0);
  CHECK(net.egresses[NodeId{4}].calls->entry_count() == 0);
}
