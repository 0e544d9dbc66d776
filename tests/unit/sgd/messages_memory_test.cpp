// What is kept of answered calls, and how they are acknowledged.
#include <catch2/catch.hpp>

#include "dmsc/wire/acked_exchanges.hpp"
#include "message_net.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using test::Net;

namespace {
Bytes numbered(std::uint32_t n) { return to_bytes(as_bytes("request " + std::to_string(n))); }
}  // namespace

TEST_CASE("U26 Messages: responses of one segment are acknowledged in one packet, within 5 ms") {
  Net net;
  net.add_egress(4);
  net.delay_min = milliseconds(1);
  std::vector<Time> acks;
  net.drop_if = [&](const wire::ServicePacket& p) {
    if (p.kind() == wire::PacketKind::request &&
        p.payload_protocol() == wire::PayloadProtocol::control) {
      acks.push_back(net.now);
    }
    return false;
  };
  const Time begin = net.now;
  for (std::uint32_t i = 0; i < 3; ++i) {
    net.call(i, numbered(i), seconds(2));
    net.run_until(net.now + milliseconds(1));
  }
  net.run_until(begin + milliseconds(200));
  // Answered after 2, 3 and 4 ms: all acknowledged 5 ms after the first.
  CHECK(acks == std::vector<Time>{begin + milliseconds(7)});
  CHECK(net.egresses[NodeId{4}].calls->counters().acks_in == 3);
  for (std::uint32_t i = 100; i < 100 + IngressCalls::kMostLateAcks; ++i) {
    net.call(i, numbered(i), seconds(2));
  }
  acks.clear();
  const Time full = net.now;
  net.run_until(net.now + milliseconds(3));
  CHECK(acks == std::vector<Time>{full + milliseconds(2)});
  CHECK(net.egresses[NodeId{4}].calls->counters().retransmissions == 0);
  // The entries have shrunk, and are forgotten a second after the deadline.
  CHECK(net.egresses[NodeId{4}].calls->views(net.now, 1000).size() == IngressCalls::kMostLateAcks);
  net.run_until(net.now + milliseconds(10));
  CHECK(net.egresses[NodeId{4}].calls->views(net.now, 1000).empty());
  CHECK(net.egresses[NodeId{4}].calls->entry_count() == 3 + IngressCalls::kMostLateAcks);
  net.run_until(net.now + milliseconds(3200));
  CHECK(net.egresses[NodeId{4}].calls->entry_count() == 0);
}

TEST_CASE("U26 Messages: each egress is told of its own exchanges") {
  Net net;
  net.add_egress(4);
  net.add_egress(5);
  std::vector<std::size_t> sizes[2];
  net.drop_if = [&](const wire::ServicePacket& p) {
    const bool ack = p.kind() == wire::PacketKind::request &&
                     p.payload_protocol() == wire::PayloadProtocol::control;
    if (ack) sizes[p.egress().value - 4].push_back(p.payload().size() / wire::kAckedExchangeBytes);
    return false;
  };
  for (std::uint32_t i = 0; i < IngressCalls::kMostLateAcks + 2; ++i) {
    net.routes.pins = {{NodeId{i < 6 ? 5U : 4U}, InstanceId{1}}};
    net.call(i, numbered(i), seconds(2));
  }
  net.run_until(net.now + milliseconds(30));
  CHECK(net.outcomes.size() == IngressCalls::kMostLateAcks + 2);
  // Egress 4 answers first: its twelve and four of the other's make sixteen. Each packet is itself one exchange's.
  CHECK(sizes[0] == std::vector<std::size_t>{11});
  CHECK(sizes[1] == std::vector<std::size_t>{3, 1});
  CHECK(net.egresses[NodeId{4}].calls->counters().acks_in == IngressCalls::kMostLateAcks - 4);
  CHECK(net.egresses[NodeId{5}].calls->counters().acks_in == 6);
  for (auto& [id, egress] : net.egresses) {
    CHECK(egress.calls->counters().strays == 0);
    CHECK(egress.calls->views(net.now, 100).empty());
  }
}

TEST_CASE("U26 Messages: of a lost acknowledgement each response is sent again, and acknowledged by itself") {
  Net net;
  net.add_egress(4);
  bool lost = false;
  net.drop_if = [&](const wire::ServicePacket& p) {
    const bool ack = p.kind() == wire::PacketKind::request &&
                     p.payload_protocol() == wire::PayloadProtocol::control;
    return ack && !std::exchange(lost, true);
  };
  for (std::uint32_t i = 0; i < 10; ++i) net.call(i, numbered(i), seconds(2));
  net.run_until(net.now + milliseconds(500));
  CHECK(lost);
  CHECK(net.outcomes.size() == 10);
  const auto& counters = net.egresses[NodeId{4}].calls->counters();
  CHECK(counters.retransmissions == 10);
  CHECK(counters.acks_in == 10);
  CHECK(net.egresses[NodeId{4}].calls->views(net.now, 100).empty());
}

TEST_CASE("U26 Messages: an acknowledgement settles what it names and is answered, nothing else") {
  test::FakeServices services;
  EgressConfig config;
  config.self = NodeId{4};
  EgressCalls calls(config, services);
  Time now{};
  auto receive = [&](std::uint32_t exchange, std::uint32_t ingress, ByteView payload, bool ack) {
    wire::ServicePacketSpec spec;
    spec.protocol = ack ? wire::PayloadProtocol::control : wire::PayloadProtocol::message;
    spec.exchange = exchange;
    spec.flow = exchange * 10;
    spec.egress = NodeId{4};
    spec.ingress = NodeId{ingress};
    spec.destination = "B/4";
    spec.instance = InstanceId{1};
    spec.deadline_ms = 1000;
    Bytes held = wire::encode_ack(whole_message(3));
    if (ack) spec.ack = held;
    Bytes b = *wire::build_service_packet(spec, payload);
    auto p = wire::ServicePacket::parse(b);
    calls.receive(now, *p);
  };
  for (std::uint32_t exchange : {1, 2, 3, 4}) receive(exchange, 1, as_bytes("ask"), false);
  auto requests = calls.take_requests();
  REQUIRE(requests.size() == 4);
  for (std::size_t i : {0, 1, 3}) calls.respond(now, requests[i].handle, to_bytes(as_bytes("yes")));
  Bytes others;
  wire::append_acked(others, {2, 20});
  wire::append_acked(others, {3, 30});   // still runs
  wire::append_acked(others, {4, 41});   // another flow
  wire::append_acked(others, {9, 90});   // never was
  receive(1, 7, others, true);           // of another ingress
  CHECK(calls.views(now, 100).size() == 4);
  CHECK(calls.counters().strays == 5);
  receive(1, 1, others, true);
  CHECK(calls.views(now, 100).size() == 2);
  CHECK(calls.counters().strays == 7);
  others.pop_back();
  receive(4, 1, others, true);           // its own exchange counts, the rest is malformed
  CHECK(calls.views(now, 100).size() == 1);
  CHECK(calls.counters().malformed == 1);
  CHECK(calls.respond(now, requests[2].handle, {}));
}

TEST_CASE("Messages: calls remembered are bounded per ingress, and a copy of one does not run") {
  test::FakeServices services;
  EgressConfig config;
  config.self = NodeId{4};
  config.peer_settled = 2;
  EgressCalls calls(config, services);
  Time now{};
  auto packet = [&](std::uint32_t exchange, std::uint32_t ingress, bool ack) {
    wire::ServicePacketSpec spec;
    spec.protocol = ack ? wire::PayloadProtocol::control : wire::PayloadProtocol::message;
    spec.exchange = exchange;
    spec.egress = NodeId{4};
    spec.ingress = NodeId{ingress};
    spec.destination = "B/4";
    spec.instance = InstanceId{1};
    spec.deadline_ms = 1000;
    Bytes held = wire::encode_ack(whole_message(3));
    if (ack) spec.ack = held;
    Bytes b = *wire::build_service_packet(spec, ack ? ByteView{} : as_bytes("ask"));
    auto p = wire::ServicePacket::parse(b);
    calls.receive(now, *p);
  };
  auto whole_call = [&](std::uint32_t exchange, std::uint32_t ingress) {
    packet(exchange, ingress, false);
    auto requests = calls.take_requests();
    for (const IncomingRequest& r : requests) {
      REQUIRE(calls.respond(now, r.handle, to_bytes(as_bytes("yes"))));
    }
    packet(exchange, ingress, true);
    return requests.size();
  };
  CHECK(whole_call(1, 1) == 1);
  CHECK(whole_call(1, 1) == 0);  // a copy
  CHECK(calls.counters().duplicates == 1);
  CHECK(whole_call(2, 1) == 1);
  CHECK(whole_call(3, 1) == 0);  // no room to remember it
  CHECK(calls.counters().over_bounds == 1);
  CHECK(whole_call(3, 2) == 1);  // another ingress has its own
  now += milliseconds(2200);
  calls.tick(now);
  CHECK(calls.entry_count() == 0);
  CHECK(whole_call(4, 1) == 1);
}
