// docs/protocol.md, "Flooding": LS-F10, changes of topology.
#include "dmsc/linkstate/flood_queue.hpp"
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

wire::PduType type_of(const Packet& p) { return static_cast<wire::PduType>(p.datagram[1]); }

// Node 2 has heard that node 1 is overloaded, or not.
bool overloaded(Net& net) {
  for (const auto& [key, lsa] : net[1].heard) {
    if (key.origin != NodeId{1} || key.type != wire::LsaType::node) continue;
    auto body = wire::decode_node_body(lsa->body());
    return body && body->overload;
  }
  return false;
}

// A Node LSA of an origin that nobody knows; nobody looks at its signature here.
wire::LsaPtr foreign(wire::LsaType type, std::uint32_t origin, std::uint64_t sequence = 1) {
  ByteWriter body, w;  // an attribute that nobody knows
  body.u16(9).bytes16(Bytes(40, static_cast<std::uint8_t>(sequence)));
  w.u8(0)
      .u8(static_cast<std::uint8_t>(type))
      .u16(0)
      .u32(1000 + origin)
      .u64(1)
      .u64(sequence)
      .u32(86400)
      .u16(0);
  w.bytes16(body.view()).bytes(Bytes(wire::kLsaSignatureBytes));
  return *wire::decode_lsa(w.view());
}

void trust_all(Net& net) {
  net.judge_override = [](const wire::Lsa&, const Node&) { return std::optional<bool>(true); };
}

// Two nodes that know their round trip, `delay` each way.
Net pair(Duration delay) {
  Net net = Net::line(2);
  trust_all(net);
  net.delay = delay;
  net.run(seconds(5));
  return net;
}

// How long a change of node 1 takes to be known by node 2 if the first `lost` updates are lost.
Duration heard_after(Duration delay, int lost) {
  Net net = pair(delay);
  int updates = 0;
  net.deliver = [&](Packet& p) { return type_of(p) != wire::PduType::update || updates++ >= lost; };
  Time start = net.now;
  net[0].engine.set_overload(net.now, true);
  net.until([&] { return overloaded(net); }, seconds(1));
  return net.now - start;
}

}  // namespace

TEST_CASE("LS-F10 news is acknowledged with the packet that brought it") {
  Net net = pair(milliseconds(1));
  net[0].engine.set_overload(net.now, true);
  net.run(milliseconds(1) / 2);
  REQUIRE(net[0].view().unacknowledged == 1);
  net.run(milliseconds(2));  // a round trip, and not the 10 ms of other acknowledgements
  CHECK(net[0].view().unacknowledged == 0);
  CHECK(net[0].engine.counters().retransmissions == 0);
}

TEST_CASE("LS-F10 a lost packet of news costs moments, not a timeout") {
  CHECK(heard_after(milliseconds(1), 0) <= milliseconds(1));
  CHECK(heard_after(milliseconds(1), 1) <= milliseconds(4));
  CHECK(heard_after(milliseconds(1), 2) <= milliseconds(8));
  CHECK(heard_after(milliseconds(1), 3) <= milliseconds(12));
  CHECK(heard_after(milliseconds(4), 1) <= milliseconds(7));  // before the round trip is over
  CHECK(heard_after(milliseconds(20), 1) <= milliseconds(23));
}

TEST_CASE("LS-F10 over a long way news is sent twice, everything else once") {
  Net net = pair(milliseconds(20));
  int updates = 0;
  net.deliver = [&](Packet& p) {
    updates += p.from == 0 && type_of(p) == wire::PduType::update ? 1 : 0;
    return true;
  };
  net[0].engine.set_overload(net.now, true);
  net.run(seconds(1));
  CHECK(updates == 2);
  updates = 0;
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.run(seconds(1));
  CHECK(updates == 1);
}

TEST_CASE("LS-F10 much news at once is sent once") {
  Net net = pair(milliseconds(20));
  std::uint64_t before = net[0].engine.counters().retransmissions;
  for (std::uint32_t i = 0; i < 40; ++i) {
    net[0].engine.inject(net.now, foreign(wire::LsaType::node, i));
  }
  net.until([&] { return net.equal_databases(); }, seconds(1));
  net.run(seconds(1));
  CHECK(net[0].engine.counters().retransmissions == before);
}

TEST_CASE("LS-F10 a refresh is no news") {
  Net net = pair(milliseconds(20));
  net[0].engine.inject(net.now, foreign(wire::LsaType::prefix, 1));
  net.run(seconds(1));
  auto lsa = foreign(wire::LsaType::node, 2, 7);
  net[0].engine.inject(net.now, lsa);
  net.run(seconds(1));
  std::uint64_t before = net[0].engine.counters().retransmissions;
  ByteWriter w;  // the same body, the next version
  w.u8(0).u8(1).u16(0).u32(1002).u64(1).u64(8).u32(86400).u16(0).bytes16(lsa->body());
  w.bytes(Bytes(wire::kLsaSignatureBytes));
  net[0].engine.inject(net.now, *wire::decode_lsa(w.view()));
  net.run(seconds(1));
  CHECK(net.equal_databases());
  CHECK(net[0].engine.counters().retransmissions == before);
}

TEST_CASE("LS-F10 news waits for no window and no acknowledgement of anything else") {
  Net net = pair(milliseconds(1));
  net.deliver = [&](Packet& p) { return type_of(p) != wire::PduType::ack; };
  for (std::uint32_t i = 0; i < 2000; ++i) {
    net[0].engine.inject(net.now, foreign(wire::LsaType::prefix, i));
  }
  net.run(milliseconds(1));
  REQUIRE(net[0].view().queued > 1000);  // the window is full
  net[0].engine.set_overload(net.now, true);
  net.until([&] { return overloaded(net); }, milliseconds(2));
}

// What is queued as a refresh and changes before it is sent is news; news that is followed by a
// refresh before the neighbour has it stays news.
TEST_CASE("LS-F10 news stays news until the neighbour has it") {
  FloodQueue q;
  Time now = Time{} + seconds(1);
  q.set_round_trip(milliseconds(1));
  q.push(7, 70, true);
  q.push(7, 71, true, true);
  REQUIRE(q.peek(now) == 7U);
  CHECK_FALSE(q.sent(now, 7, 71));
  CHECK_FALSE(q.peek(now));
  CHECK(q.next_deadline(now) == now + microseconds(2250));
  q.push(7, 72, true);
  REQUIRE(q.peek(now) == 7U);
  q.sent(now, 7, 72);
  CHECK_FALSE(q.peek(now));
  CHECK(q.next_deadline(now) == now + microseconds(2250));
  q.drop(7);
  CHECK_FALSE(q.next_deadline(now));
  CHECK(q.pending() == 0);
}
