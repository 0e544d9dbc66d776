#include <catch2/catch.hpp>

#include "dmsc/dataplane/probe.hpp"
#include "dmsc/dataplane/socket_address.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;

TEST_CASE("D9 probe answers: health and load survive the wire, padded to the probe's size") {
  Bytes wire = encode_probe_answer({Health::failing, 420}, 6);
  CHECK(wire == Bytes{2, 0, 0x01, 0xa4, 0, 0});
  auto back = decode_probe_answer(wire);
  REQUIRE(back.ok());
  CHECK(back->health == Health::failing);
  CHECK(back->load_permille == 420);
  CHECK(encode_probe_answer({}, 0).size() == kProbeAnswerBytes);
}

TEST_CASE("D9 probe answers: every truncation and unknown health is an error") {
  Bytes wire = encode_probe_answer({Health::healthy, 1}, 4);
  for (std::size_t n = 0; n < wire.size(); ++n) {
    CHECK_FALSE(decode_probe_answer(ByteView(wire).first(n)).ok());
  }
  wire[0] = 3;
  CHECK_FALSE(decode_probe_answer(wire).ok());
}

TEST_CASE("D8 probe stamps: three 64-bit stamps, a short TLV is none") {
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
