// docs/protocol.md, "LSAs", LS-L9: the ports of a prefix entry.
#include "dmsc/wire/service_port.hpp"

#include <catch2/catch.hpp>

#include "dmsc/wire/lsa.hpp"

using namespace dmsc;
using namespace dmsc::wire;

namespace {

constexpr std::uint8_t kBoth = kPortTcp | kPortUdp;

PrefixEntry entry(const std::string& name, std::vector<ServicePort> ports) {
  PrefixEntry e{*Name::parse(name), false, 0, {{InstanceId{1}, 100}}};
  e.ports = std::move(ports);
  return e;
}

std::vector<ServicePort> read(std::string_view hex) { return read_service_ports(from_hex(hex)); }

}  // namespace

TEST_CASE("LS-L9 the ports of an entry come behind it and are found again") {
  PrefixBody body;
  body.entries = {entry("A/1", {{"http", 80, kPortTcp, 100}, {"", 53, kBoth, 0}}), entry("A", {}),
                  entry("B", {{"sip", 5060, kPortUdp, 65535}})};
  const Bytes bytes = encode(body);
  std::size_t sum = 0;
  for (const PrefixEntry& e : body.entries) sum += encoded_size(e);
  CHECK(bytes.size() == sum);
  auto read = decode_prefix_body(bytes);
  REQUIRE(read.ok());
  CHECK(*read == body);
  CHECK(to_hex(bytes).find("0002000e" "4400500064" "68747470" "c000350000") != std::string::npos);
}

TEST_CASE("LS-L9 ports that break a rule tell nothing, and the prefix stays") {
  CHECK(read("4400500064" "68747470") == std::vector<ServicePort>{{"http", 80, kPortTcp, 100}});
  CHECK(read("4400500064" "687474").empty());      // bytes missing
  CHECK(read("4400500064" "6874747000").empty());  // left over
  CHECK(read("4400000064" "68747470").empty());    // port 0
  CHECK(read("0400500064" "68747470").empty());    // no protocol
  CHECK(read("5400500064" "68747470").empty());    // the zero bits
  CHECK(read("4400500064" "48747470").empty());    // not in lower case
  CHECK(read("4400500064" "2d747470").empty());    // no service name
  CHECK(read("41").empty());
  Bytes large;
  while (large.size() <= kMaxServicePortBytes) {
    for (std::uint8_t b : {0x40, 0, 80, 0, 1}) large.push_back(b);
  }
  CHECK(read_service_ports(large).empty());
  ByteWriter w;
  w.bytes(from_hex("00020005" "4000500064"));  // before any entry
  w.bytes(encode(PrefixBody{{entry("A", {{"", 81, kPortTcp, 1}})}, {}}));
  w.bytes(from_hex("00020005" "4000520064"));  // twice
  auto body = decode_prefix_body(w.view());
  REQUIRE(body.ok());
  CHECK(body->entries == std::vector<PrefixEntry>{entry("A", {{"", 81, kPortTcp, 1}})});
  CHECK(body->unknown.empty());
}

TEST_CASE("LS-L9 ports are fitted to 240 bytes, named ones first, and with the longest name to a fragment") {
  std::vector<ServicePort> ports;
  for (std::uint16_t i = 1; i <= 200; ++i) ports.push_back({"", i, kPortTcp, 1});
  for (std::uint16_t i = 0; i < kMaxNamedPorts; ++i) {
    ports.push_back({"a-name-of-15-c" + std::string(1, static_cast<char>('a' + i)), i, kPortUdp, 1});
  }
  fit_service_ports(ports);
  REQUIRE(ports.size() == kMaxNamedPorts);
  for (const ServicePort& p : ports) CHECK(p.name.size() == kMaxServiceName);
  ports.resize(2);
  for (std::uint16_t i = 1; i <= 200; ++i) ports.push_back({"", i, kPortTcp, 1});
  fit_service_ports(ports);
  CHECK(ports.size() == 2 + (240 - 40) / 5);
  CHECK(ports[0].name == "a-name-of-15-ca");
  CHECK(ports.back().port == 40);
  PrefixEntry largest = entry("A", ports);
  CHECK(encoded_size(largest.ports) == 4 + kMaxServicePortBytes);
}

TEST_CASE("U22 service names are those of RFC 6335, in lower case") {
  CHECK(parse_service_name("HTTP").value() == "http");
  CHECK(parse_service_name("x-11").value() == "x-11");
  CHECK(parse_service_name("a23456789012345").ok());
  for (const char* bad : {"", "a234567890123456", "80", "-a", "a-", "a--b", "a_b", "a.b", "a b", "\xc3\xa4"}) {
    auto parsed = parse_service_name(bad);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().message.find("no service name") != std::string::npos);
  }
  CHECK(to_text({{"http", 80, kPortTcp, 1}, {"", 53, kPortUdp, 1}, {"", 8080, kBoth, 1}}) ==
        "http 80/tcp, 53/udp, 8080");
}
