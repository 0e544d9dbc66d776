// What is kept of answered calls, and how they are acknowledged.
#include <catch2/catch.hpp>

#include "message_net.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using test::Net;

namespace {
Bytes numbered(std::uint32_t n) { return to_bytes(as_bytes("request " + std::to_string(n))); }
}  // namespace

TEST_CASE("Messages: responses of one segment are acknowledged together, within 5 ms") {
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
  CHECK(acks == std::vector<Time>(3, begin + milliseconds(7)));
  for (std::uint32_t i = 100; i < 100 + IngressCalls::kMostLateAcks; ++i) {
    net.call(i, numbered(i), seconds(2));
  }
  acks.clear();
  const Time full = net.now;
  net.run_until(net.now + milliseconds(3));
  CHECK(acks == std::vector<Time>(IngressCalls::kMostLateAcks, full + milliseconds(2)));
  CHECK(net.egresses[NodeId{4}].calls->counters().retransmissions == 0);
  // The entries have shrunk, and are forgotten a second after the deadline.
  CHECK(net.egresses[NodeId{4}].calls->views(net.now, 1000).size() == IngressCalls::kMostLateAcks);
  net.run_until(net.now + milliseconds(10));
  CHECK(net.egresses[NodeId{4}].calls->views(net.now, 1000).empty());
  CHECK(net.egresses[NodeId{4}].calls->entry_count() == 3 + IngressCalls::kMostLateAcks);
  net.run_until(net.now + milliseconds(3200));
  CHECK(net.egresses[NodeId{4}].calls->entry_count() == 0);
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
