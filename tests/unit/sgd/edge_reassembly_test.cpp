#include "sgd/edge_reassembly.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::sgd;

namespace {


// Bytes `begin` .. `end` of the datagram 0, 1, 2, ...
Ip4Packet fragment(Bytes& store, std::size_t begin, std::size_t end, bool more,
                   std::uint16_t id = 7) {
  Ip4Packet p;
  for (std::size_t i = begin; i < end; ++i) store.push_back(static_cast<std::uint8_t>(i));
  p.source = {0x64400102};
  p.destination = {0x64600105};
  p.protocol = kProtoUdp;
  p.ttl = 64;
  p.id = id;
  p.more_fragments = more;
  p.fragment_offset = static_cast<std::uint16_t>(begin);
  p.l4 = store;
  return p;
}

Bytes add(Reassembler& r, std::size_t begin, std::size_t end, bool more, Time now = {},
          std::uint16_t id = 7) {
  Bytes store;
  Ip4Packet p = fragment(store, begin, end, more, id);
  return r.add(2, p, now, 100);
}

}  // namespace

TEST_CASE("edge reassembly: any order gives the datagram with room in front") {
  const std::size_t cut[][2] = {{0, 800}, {800, 1600}, {1600, 2000}};
  int order[] = {0, 1, 2};
  do {
    Reassembler r;
    CHECK(add(r, cut[order[0]][0], cut[order[0]][1], order[0] != 2).empty());
    CHECK(add(r, cut[order[1]][0], cut[order[1]][1], order[1] != 2).empty());
    Bytes whole = add(r, cut[order[2]][0], cut[order[2]][1], order[2] != 2);
    REQUIRE(whole.size() == 100 + 20 + 2000);
    auto packet = parse_ip4(std::span(whole).subspan(100));
    REQUIRE(packet);
    CHECK_FALSE(packet->is_fragment());
    for (std::size_t i = 0; i < 2000; ++i) REQUIRE(packet->l4[i] == static_cast<std::uint8_t>(i));
    CHECK(r.pending() == 0);
  } while (std::next_permutation(order, order + 3));
}

TEST_CASE("edge reassembly: overlaps drop the datagram, duplicates do not") {
  Reassembler r;
  add(r, 0, 800, true);
  add(r, 0, 800, true);
  CHECK(r.counters().overlap == 0);
  add(r, 792, 1600, true);
  CHECK(r.counters().overlap == 1);
  CHECK(r.pending() == 0);
  add(r, 800, 1600, true);
  add(r, 0, 400, false);  // an end before what is already there
  CHECK(r.counters().overlap == 2);
  add(r, 0, 801, true);   // a middle fragment must be a multiple of 8
  add(r, 65528, 65600, true);
  CHECK(r.counters().malformed == 2);
}

TEST_CASE("edge reassembly: bounded in number and time") {
  Reassembler r;
  for (std::uint16_t id = 0; id < 300; ++id) add(r, 0, 8, true, Time{}, id);
  CHECK(r.pending() == Reassembler::kMaxDatagrams);
  CHECK(r.counters().overflow == 300 - Reassembler::kMaxDatagrams);
  r.expire(Time{} + Reassembler::kTimeout - seconds(1));
  CHECK(r.pending() == Reassembler::kMaxDatagrams);
  r.expire(Time{} + Reassembler::kTimeout);
  CHECK(r.pending() == 0);
  CHECK_FALSE(add(r, 0, 8, false, Time{}, 1).empty());
}
