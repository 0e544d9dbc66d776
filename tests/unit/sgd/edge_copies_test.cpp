// docs/protocol.md, U20: a segment that was sent again is sent once more when routes change.
#include "sgd/edge_copies.hpp"

#include "tests/unit/sgd/edge_path_fixture.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::test;

namespace {

struct Hole : Pair {
  Ipv4 client;
  Hole() {
    for (Gateway* g : {&a, &b}) g->clock = Time{seconds(100)};
    client = connect();
    call(tcp(40000, 8080, kTcpAck, 1001, 5001));
    clear();
  }
  void clear() {
    for (Gateway* g : {&a, &b}) g->tun.clear(), g->sent.clear();
  }
  void program(std::uint32_t seq, std::size_t data) { call(tcp(40000, 8080, kTcpAck, seq, 5001, data)); }
  void server(std::uint32_t seq, std::size_t data) {
    b.emit(2, make_packet(loopback, client, kProtoTcp, tcp(80, 40000, kTcpAck, seq, 1001, data)));
  }
};

}  // namespace

TEST_CASE("U20 what a program sent again is sent once more when routes change") {
  Hole h;
  h.a.connected = false;
  h.program(1001, 100);
  h.program(1101, 100);
  h.program(1001, 100);  // its timer
  h.a.connected = true;
  CHECK(h.b.tun.empty());
  h.a.path.send_copies();
  auto packet = h.b.only(2);
  auto segment = parse_segment(kProtoTcp, packet.l4);
  REQUIRE(segment);
  CHECK(segment->sequence == 1001);
  CHECK(packet.l4.size() == 120);
  CHECK(segment_checksum_ok(kProtoTcp, packet.l4, packet.source, packet.destination));
  CHECK(h.a.path.counter(Count::sent_again) == 1);
}

TEST_CASE("U20 so is what a server sent again") {
  Hole h;
  h.b.connected = false;
  h.server(5001, 100);
  h.server(5101, 100);
  h.server(5001, 100);
  h.b.connected = true;
  h.b.path.send_copies();
  auto packet = h.a.only(2);
  CHECK(parse_segment(kProtoTcp, packet.l4)->sequence == 5001);
  CHECK(segment_checksum_ok(kProtoTcp, packet.l4, packet.source, packet.destination));
}

TEST_CASE("U20 nothing is kept of what was sent once, of acknowledgements, and of what is old or done") {
  Hole h;
  for (std::uint32_t i = 0; i < 20; ++i) {
    h.program(1001 + 100 * i, 100);
    h.program(1101 + 100 * i, 0);
    h.server(5001 + 100 * i, 100);
  }
  h.clear();
  h.a.path.send_copies();
  h.b.path.send_copies();
  CHECK(h.a.sent.empty());
  CHECK(h.b.sent.empty());
  h.program(1001, 100);
  h.clear();
  h.a.clock += milliseconds(999);
  for (int i = 0; i < 10; ++i) h.a.path.send_copies();
  CHECK(h.a.sent.size() == SegmentCopies::kMostSent);
  h.program(1001, 100);
  h.clear();
  h.a.clock += seconds(1);
  h.a.path.send_copies();
  CHECK(h.a.sent.empty());
  h.program(1001, 100);
  h.call(tcp(40000, 8080, kTcpRst, 1101));
  h.clear();
  h.a.path.send_copies();
  CHECK(h.a.sent.empty());
}

TEST_CASE("U20 sequence numbers that pass zero are told apart from those sent again") {
  Hole h;
  const std::uint32_t before = 0xffffff00;
  h.call(tcp(40001, 8080, kTcpSyn, before - 1));
  h.b.emit(2, make_packet(h.loopback, h.client, kProtoTcp, tcp(80, 40001, kTcpSyn | kTcpAck, 5000, before)));
  h.call(tcp(40001, 8080, kTcpAck, before, 5001, 0x80));
  h.call(tcp(40001, 8080, kTcpAck, before + 0x80, 5001, 0x100));
  h.clear();
  h.a.path.send_copies();
  CHECK(h.a.sent.empty());
  h.call(tcp(40001, 8080, kTcpAck, before, 5001, 0x80));
  h.a.path.send_copies();
  CHECK(h.a.path.counter(Count::sent_again) == 1);
}

TEST_CASE("U20 copies: one for each flow, 256 at most, the oldest goes first") {
  SegmentCopies copies;
  const Bytes segment(100, 7), large(SegmentCopies::kMostBytes + 1, 7);
  Time now{seconds(5)};
  copies.keep(now, 1, {}, 0, large);
  CHECK(copies.size() == 0);
  for (std::uint64_t flow = 0; flow < 300; ++flow) copies.keep(now, flow, {}, 0, segment);
  for (std::uint64_t flow = 290; flow < 300; ++flow) copies.keep(now, flow, {}, 3, segment);
  CHECK(copies.size() == SegmentCopies::kMost);
  std::set<std::uint64_t> seen;
  copies.for_each(now, [&](const SegmentCopies::Copy& c) {
    seen.insert(c.flow);
    CHECK(c.tos == (c.flow >= 290 ? 3 : 0));
  });
  CHECK(seen.size() == SegmentCopies::kMost);
  CHECK(*seen.begin() == 300 - SegmentCopies::kMost);
}
