// docs/protocol.md, "Messages": segments and acknowledgements.
#include <catch2/catch.hpp>

#include "dmsc/wire/acked_exchanges.hpp"
#include "dmsc/wire/message.hpp"

using namespace dmsc;
using wire::ByteRanges;

TEST_CASE("ByteRanges: ranges that overlap or touch become one") {
  ByteRanges r;
  CHECK(r.add(10, 20));
  CHECK(r.add(30, 40));
  CHECK(r.cumulative() == 0);
  CHECK_FALSE(r.add(12, 18));
  CHECK_FALSE(r.add(5, 5));
  CHECK(r.add(20, 30));
  CHECK(r.ranges() == std::vector<ByteRanges::Range>{{10, 40}});
  CHECK(r.add(0, 10));
  CHECK(r.cumulative() == 40);
  CHECK(r.byte_count() == 40);
  CHECK(r.complete(40));
  CHECK_FALSE(r.complete(41));
}

TEST_CASE("ByteRanges: any order of segments completes, against a bitmap") {
  std::uint32_t state = 7;
  auto next = [&] { return state = state * 1664525U + 1013904223U; };
  for (int round = 0; round < 200; ++round) {
    ByteRanges r;
    std::vector<bool> truth(300);
    for (int i = 0; i < 40; ++i) {
      std::uint32_t from = (next() >> 8) % 300, to = std::min(300U, from + 1 + (next() >> 8) % 30);
      bool fresh = false;
      for (std::uint32_t k = from; k < to; ++k) fresh = fresh || !truth[k];
      REQUIRE(r.add(from, to) == fresh);
      std::fill(truth.begin() + from, truth.begin() + to, true);
    }
    REQUIRE(r.byte_count() == std::uint64_t(std::count(truth.begin(), truth.end(), true)));
  }
}

TEST_CASE("ByteRanges: holds at most 1,024 separate ranges") {
  ByteRanges r;
  for (std::uint32_t i = 0; i < wire::kMaxHeldRanges; ++i) REQUIRE(r.add(1 + i * 10, 2 + i * 10));
  CHECK_FALSE(r.add(500000, 500001));
  CHECK(r.add(2, 3));  // makes one longer, not one more
}

TEST_CASE("Messages: the ack TLV of golden bytes") {
  ByteRanges held;
  held.add(0, 1200);
  held.add(2400, 4800);
  held.add(0x1000, 0x2000);
  CHECK(to_hex(wire::encode_ack(held)) == "000004b0" "00000960" "00002000");
  auto back = wire::decode_ack(wire::encode_ack(held));
  REQUIRE(back);
  CHECK(back->ranges() == held.ranges());
  CHECK(to_hex(wire::encode_ack(ByteRanges())) == "00000000");
}

TEST_CASE("Messages: an ack carries at most 31 ranges and fits a TLV") {
  ByteRanges held;
  for (std::uint32_t i = 0; i < 100; ++i) held.add(5 + i * 10, 7 + i * 10);
  Bytes ack = wire::encode_ack(held);
  CHECK(ack.size() == 4 + 31 * 8);
  auto back = wire::decode_ack(ack);
  REQUIRE(back);
  CHECK(back->ranges().size() == 31);
}

TEST_CASE("Messages: a wrong ack is refused with the place") {
  for (const char* bad : {"", "0000", "0000000000", "000004b000000960",   // lengths
                          "00000010" "00000010" "00000020",               // touches the front
                          "00000010" "00000030" "00000030",               // empty range
                          "00000010" "00000030" "00000040" "00000040" "00000050",
                          "00100001",                                     // past 1 MiB
                          "00000000" "00000001" "00100001"}) {
    auto r = wire::decode_ack(from_hex(bad));
    INFO(bad);
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find("ack TLV") == 0);
  }
}

TEST_CASE("U26 Messages: the payload of an acknowledgement of golden bytes") {
  Bytes payload;
  wire::append_acked(payload, {0x01020304, 0x1112131415161718});
  wire::append_acked(payload, {5, 6});
  CHECK(to_hex(payload) == "01020304" "1112131415161718" "00000005" "0000000000000006");
  auto back = wire::decode_acked(payload);
  REQUIRE(back);
  CHECK(*back == std::vector<wire::AckedExchange>{{0x01020304, 0x1112131415161718}, {5, 6}});
  CHECK(wire::decode_acked({})->empty());
  for (std::size_t size = 1; size < payload.size(); ++size) {
    if (size % wire::kAckedExchangeBytes != 0) CHECK_FALSE(wire::decode_acked(ByteView(payload).first(size)));
  }
}

TEST_CASE("Messages: segments fill what the header leaves of the path MTU") {
  CHECK(wire::segment_bytes(80, 1400) == 1200);
  CHECK(wire::segment_bytes(400, 1400) == 1000);
  CHECK(wire::segment_bytes(1020, 1100) == wire::kMinSegmentBytes);
  CHECK(wire::segment_bytes(2000, 1400) == wire::kMinSegmentBytes);
}

namespace {
Bytes packet_with(std::optional<std::pair<std::uint32_t, std::uint32_t>> where, std::size_t size) {
  wire::ServicePacketSpec spec;
  spec.destination = "B/4";
  spec.offset_total = where;
  auto built = wire::build_service_packet(spec, Bytes(size));
  REQUIRE(built);
  return *built;
}
}  // namespace

TEST_CASE("Messages: where a segment belongs") {
  Bytes whole = packet_with({}, 5);
  auto s = wire::segment_of(*wire::ServicePacket::parse(whole));
  REQUIRE(s);
  CHECK((s->offset == 0 && s->total == 5));
  Bytes part = packet_with({{1200, 2000}}, 800);
  s = wire::segment_of(*wire::ServicePacket::parse(part));
  REQUIRE(s);
  CHECK((s->offset == 1200 && s->total == 2000));
  Bytes past = packet_with({{1200, 2000}}, 801);
  CHECK_FALSE(wire::segment_of(*wire::ServicePacket::parse(past)));
  Bytes empty = packet_with({{1200, 2000}}, 0);
  CHECK_FALSE(wire::segment_of(*wire::ServicePacket::parse(empty)));
  Bytes big = packet_with({{0, 1048577}}, 100);
  CHECK_FALSE(wire::segment_of(*wire::ServicePacket::parse(big)));
}
