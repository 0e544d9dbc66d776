// docs/protocol.md, U22: which ports of a name a gateway tells its programs.
#include "sgd/name_ports.hpp"

#include <catch2/catch.hpp>

#include "sgd/announcements.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using wire::kPortTcp;
using wire::kPortUdp;

namespace {

wire::LsaPtr lsa(std::uint32_t origin, std::vector<wire::PrefixEntry> entries,
                 std::uint16_t fragment = 0) {
  crypto::SigningKey key(crypto::Key32{1});
  return *wire::make_lsa({NodeId{origin}, wire::LsaType::prefix, fragment}, {1, 1}, 60, false,
                         wire::encode(wire::PrefixBody{std::move(entries), {}}), key);
}

wire::PrefixEntry entry(const std::string& name, std::vector<wire::ServicePort> ports) {
  wire::PrefixEntry e{*Name::parse(name), false, 0, {{InstanceId{1}, 100}}};
  e.ports = std::move(ports);
  return e;
}

AnnouncedService service(std::string endpoint, std::vector<PortMapping> ports) {
  AnnouncedService s;
  s.endpoint = std::move(endpoint);
  s.ports = std::move(ports);
  return s;
}

using Ports = std::vector<wire::ServicePort>;

}  // namespace

TEST_CASE("U22 the ports of a name are those of all its origins, with their capacities added") {
  NamePorts book;
  const Name b = *Name::parse("B"), c = *Name::parse("C");
  CHECK(book.installed(*lsa(1, {entry("B", {{"http", 80, kPortTcp, 100}}), entry("A", {})})) ==
        std::vector<Name>{b});
  book.installed(*lsa(2, {entry("B", {{"http", 80, kPortTcp, 50}, {"http", 81, kPortTcp, 7}})}));
  const NodeId both[] = {NodeId{1}, NodeId{2}}, one[] = {NodeId{1}};
  CHECK(book.of(b, both) == Ports{{"http", 80, kPortTcp, 150}, {"http", 81, kPortTcp, 7}});
  CHECK(book.of(b, one) == Ports{{"http", 80, kPortTcp, 100}});  // 2 may not announce it
  CHECK(book.of(c, both).empty());
  // A new version replaces the old one; what it told before has changed too.
  CHECK(book.installed(*lsa(2, {entry("C", {{"", 9, kPortUdp, 1}})})) == std::vector<Name>{b, c});
  CHECK(book.of(b, both) == Ports{{"http", 80, kPortTcp, 100}});
  CHECK(book.removed({NodeId{2}, wire::LsaType::prefix, 0}) == std::vector<Name>{c});
  CHECK_FALSE(book.knows(c));
  CHECK(book.installed(*lsa(1, {entry("B", {})})) == std::vector<Name>{b});
  CHECK_FALSE(book.knows(b));
}

TEST_CASE("U22 an announcement tells its mapped service ports, else its endpoint's port") {
  auto told = [](const AnnouncedService& s) { return told_ports(s, 10); };
  CHECK(told(service("127.0.0.1:8080", {})) == Ports{{"", 8080, kPortTcp | kPortUdp, 10}});
  CHECK(told(service("[::1]:8080", {})) == Ports{{"", 8080, kPortTcp | kPortUdp, 10}});
  CHECK(told(service("", {})).empty());
  CHECK(told(service("127.0.0.1:8080", {{80, 8080, "tcp", "http"}, {53, 5353, "udp", ""}})) ==
        Ports{{"http", 80, kPortTcp, 10}, {"", 53, kPortUdp, 10}});
  // Both protocols of one port become one; with other capacities they stay two.
  CHECK(united({{"dns", 53, kPortTcp, 10}, {"dns", 53, kPortUdp, 10}}) ==
        Ports{{"dns", 53, kPortTcp | kPortUdp, 10}});
  CHECK(united({{"dns", 53, kPortTcp, 10}, {"dns", 53, kPortUdp, 9}}) ==
        Ports{{"dns", 53, kPortTcp, 10}, {"dns", 53, kPortUdp, 9}});
  CHECK(united({{"a", 1, kPortTcp, 65535}, {"a", 1, kPortTcp, 9}}) == Ports{{"a", 1, kPortTcp, 65535}});
}

TEST_CASE("U22 wrong port maps are told: too many, too many names, a name twice") {
  std::vector<PortMapping> ports(257, PortMapping{80, 80, "tcp", ""});
  CHECK(check_ports(ports).error().message == "more than 256");
  ports.resize(256);
  CHECK(check_ports(ports).ok());
  for (std::size_t i = 0; i < wire::kMaxNamedPorts; ++i) ports[i].name = "p" + std::to_string(i);
  CHECK(check_ports(ports).ok());
  ports[20].name = "one-more";
  CHECK(check_ports(ports).error().message == "more than 12 have a name");
  ports[20].name = "p0";
  CHECK(check_ports(ports).error().message == "the name \"p0\" twice for tcp");
  ports[20] = {80, 80, "udp", "p0"};
  ports[11].name = "";
  CHECK(check_ports(ports).ok());
  CHECK(to_text({{80, 8080, "tcp", "http"}, {53, 53, "udp", ""}}) == "http 80:8080/tcp, 53/udp");
}
