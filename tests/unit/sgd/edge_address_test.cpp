#include "sgd/edge_address.hpp"

#include <catch2/catch.hpp>

using namespace dmsc::sgd;

TEST_CASE("edge address: dotted quads are strict") {
  CHECK(parse_ipv4("100.96.0.1")->value == 0x64600001U);
  CHECK(to_string(*parse_ipv4("255.255.255.255")) == "255.255.255.255");
  for (const char* bad : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ",
                          "a.b.c.d", "1..2.3", "-1.2.3.4", "1.2.3."}) {
    INFO(bad);
    CHECK_FALSE(parse_ipv4(bad).ok());
  }
  CHECK(parse_ipv4("1.2.x.4").error().message.find("octet 3") != std::string::npos);
}

TEST_CASE("edge address: networks and endpoints") {
  Ipv4Net net = *parse_ipv4_net("100.64.1.2/30");
  CHECK(to_string(net.network()) == "100.64.1.0");
  CHECK(to_string(net.last()) == "100.64.1.3");
  CHECK(net.contains(*parse_ipv4("100.64.1.1")));
  CHECK_FALSE(net.contains(*parse_ipv4("100.64.1.4")));
  CHECK(parse_ipv4_net("0.0.0.0/0")->size() == std::uint64_t{1} << 32);
  CHECK(parse_ipv4_net("0.0.0.0/0")->contains(*parse_ipv4("8.8.8.8")));
  CHECK_FALSE(parse_ipv4_net("1.2.3.4/33").ok());
  CHECK_FALSE(parse_ipv4_net("1.2.3.4").ok());
  CHECK(parse_ipv4_port("127.0.0.1:8080")->second == 8080);
  CHECK_FALSE(parse_ipv4_port("127.0.0.1:0").ok());
  CHECK_FALSE(parse_ipv4_port("127.0.0.1:65536").ok());
  CHECK_FALSE(parse_ipv4_port("127.0.0.1").ok());
  CHECK(*parse_l4("udp") == L4::udp);
  CHECK_FALSE(parse_l4("icmp").ok());
}
