#include <catch2/catch.hpp>

#include "dmsc/dataplane/probe.hpp"
#include "dmsc/dataplane/socket_address.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;

TEST_CASE("probe answers: health, load and path survive the wire") {
  ProbeAnswer answer{{Health::failing, 420}, {NodeId{1}, NodeId{70000}, NodeId{3}}};
  Bytes wire = encode(answer);
  CHECK(wire == Bytes{2, 0, 0x01, 0xa4, 0, 0, 0, 1, 0, 1, 0x11, 0x70, 0, 0, 0, 3});
  auto back = decode_probe_answer(wire);
  REQUIRE(back.ok());
  CHECK(back->health.health == Health::failing);
  CHECK(back->health.load_permille == 420);
  CHECK(back->path == answer.path);
}

TEST_CASE("probe answers: every truncation and unknown health is an error") {
  Bytes wire = encode(ProbeAnswer{{Health::healthy, 1}, {NodeId{1}}});
  for (std::size_t n = 0; n < wire.size(); ++n) {
    if (n == 4) continue;  // a path may be empty
    CHECK_FALSE(decode_probe_answer(ByteView(wire).first(n)).ok());
  }
  wire[0] = 3;
  CHECK_FALSE(decode_probe_answer(wire).ok());
}

TEST_CASE("probe stamps: three 64-bit stamps, a short TLV is none") {
  Bytes wire = encode(ProbeStamps{1, 2, 1ULL << 40});
  REQUIRE(wire.size() == 24);
  auto back = decode_probe_stamps(wire);
  REQUIRE(back.has_value());
  CHECK(back->t1 == 1);
  CHECK(back->t3 == 1ULL << 40);
  CHECK_FALSE(decode_probe_stamps(ByteView(wire).first(23)).has_value());
}

TEST_CASE("socket addresses: IPv4 and IPv6 with and without port, errors name the text") {
  CHECK(SocketAddress::parse("10.1.2.3", 7401)->text() == "10.1.2.3:7401");
  CHECK(SocketAddress::parse("10.1.2.3:9", 7401)->port() == 9);
  CHECK(SocketAddress::parse("2001:db8::1", 7)->text() == "[2001:db8::1]:7");
  CHECK(SocketAddress::parse("[2001:db8::1]:99", 7)->port() == 99);
  auto a = SocketAddress::parse("127.0.0.1", 1);
  CHECK(*a == SocketAddress::from_sockaddr(a->data(), a->size()));
  CHECK(a->same_address(a->with_port(5)));
  CHECK_FALSE(*a == a->with_port(5));
  for (const char* bad : {"", "x", "10.0.0.1:0", "10.0.0.1:70000", "[::1", "[::1]9", "::1%nosuch0"}) {
    auto result = SocketAddress::parse(bad, 1);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().message.find(std::string("'") + bad + "'") != std::string::npos);
  }
}
