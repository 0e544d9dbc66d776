#include "dmsc/wire/link_mtu.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::wire;

namespace {

NodeBody with_tlv(Bytes value, int times = 1) {
  NodeBody body;
  body.name = "n";
  for (int i = 0; i < times; ++i) body.unknown.push_back({kLinkMtuTlv, value});
  return body;
}

}  // namespace

TEST_CASE("LS-L8 link MTUs: 32 bits of link and 16 of MTU, for links that differ from 1,400 alone") {
  NodeBody body;
  body.name = "n";
  add_link_mtus(body, {{1, 1400}, {2, 1300}, {0x01020304, 9000}});
  REQUIRE(body.unknown.size() == 1);
  CHECK(body.unknown[0].value == Bytes{0, 0, 0, 2, 0x05, 0x14, 1, 2, 3, 4, 0x23, 0x28});
  auto decoded = decode_node_body(encode(body));
  REQUIRE(decoded);
  CHECK(*link_mtus_of(*decoded) == std::vector<LinkMtu>{{2, 1300}, {0x01020304, 9000}});
  NodeBody plain;
  add_link_mtus(plain, {{1, 1400}, {2, 1400}});
  CHECK(plain.unknown.empty());
  CHECK(link_mtus_of(plain)->empty());
}

TEST_CASE("LS-L8 link MTUs: cut short or there twice is refused, too small counts as 1,280") {
  CHECK_FALSE(link_mtus_of(with_tlv({0, 0, 0, 2, 5})));
  CHECK_FALSE(link_mtus_of(with_tlv({0, 0, 0, 2, 5, 0x14}, 2)));
  CHECK(link_mtus_of(with_tlv({0, 0, 0, 2, 0, 1}))->at(0).mtu == kLeastLinkMtu);
}

TEST_CASE("LS-L8 link MTUs: a full fragment of a node with the longest name fits into an LSA") {
  NodeBody body;
  body.name = std::string(63, 'n');
  std::vector<LinkMtu> mtus;
  for (std::uint32_t i = 1; i <= 17; ++i) {
    Adjacency a;
    a.neighbour = NodeId{i};
    a.link = i;
    a.metric = 1;
    body.adjacencies.push_back(a);
    mtus.push_back({i, static_cast<std::uint16_t>(1400 + i)});
  }
  add_link_mtus(body, mtus);
  CHECK(encode(body).size() <= kMaxLsaBodyBytes);
}
