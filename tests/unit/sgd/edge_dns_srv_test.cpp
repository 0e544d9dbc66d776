// docs/protocol.md, U22: SRV, and the sizes of answers.
#include <catch2/catch.hpp>

#include "sgd/edge_dns.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::dns;
using wire::kPortTcp;
using wire::kPortUdp;

namespace {

const Ipv4Net kRange = *parse_ipv4_net("100.96.0.0/13");

struct Fixture {
  Directory directory;
  VirtualAddresses addresses{kRange, *parse_ipv4("100.96.0.1"), crypto::Key16{7}};
  Zone zone{"svc.dmsc", kRange, *Prefix6::parse("fdc0:646d:7363::/64"), 5, directory, addresses};
  Fixture() {
    for (const char* n : {"B", "B/4", "B/5"}) directory.set(*Name::parse(n), false);
    directory.set(*Name::parse("Files"), true);
    directory.set_ports(*Name::parse("B/4"), {{"http", 80, kPortTcp, 100},
                                              {"http", 81, kPortTcp, 300},
                                              {"dns", 53, kPortTcp | kPortUdp, 1},
                                              {"", 9, kPortTcp, 1}});
    directory.set_ports(*Name::parse("Files"), {{"nfs", 2049, kPortTcp, 1}});
  }
  std::optional<Answer> ask(const std::string& name, std::uint16_t type = kTypeSrv, bool ipv6 = false) {
    Query q;
    q.name = name;
    q.type = type;
    q.klass = kClassIn;
    return zone.answer(q, {}, ipv6);
  }
  void no_data(const std::string& name, std::uint16_t type = kTypeSrv) {
    INFO(name);
    auto a = ask(name, type);
    REQUIRE(a);
    CHECK(a->rcode == Rcode::no_error);
    CHECK(a->services.empty());
    CHECK_FALSE(a->address);
    CHECK(a->soa_authority);
    CHECK(a->authoritative);
    CHECK(a->ttl == 5);
  }
};

Parsed query(std::string_view name, std::uint16_t type, std::uint16_t edns = 0) {
  ByteWriter w;
  w.u16(0x1234).u16(0x0100).u16(1).u16(0).u16(0).u16(edns != 0 ? 1 : 0);
  w.bytes(encode_name(name)).u16(type).u16(1);
  if (edns != 0) w.u8(0).u16(kTypeOpt).u16(edns).u32(0).u16(0);
  return parse_query(w.view());
}

unsigned count(const Bytes& message, std::size_t section) {  // 1 answers, 2 authorities, 3 additional
  return message.at(4 + 2 * section) << 8 | message.at(5 + 2 * section);
}
bool truncated(const Bytes& message) { return (message.at(2) & 0x02) != 0; }

}  // namespace

TEST_CASE("U22 SRV: the ports called so, by protocol, in any case, the largest capacity first") {
  Fixture f;
  auto http = f.ask("_http._tcp.4.b.svc.dmsc");
  REQUIRE(http);
  CHECK(http->services == std::vector<Answer::Service>{{300, 81}, {100, 80}});
  CHECK(http->target == "4.b.svc.dmsc");
  CHECK(http->authoritative);
  CHECK(http->address == f.ask("4.b.svc.dmsc", kTypeA)->address);
  CHECK_FALSE(http->address6);
  CHECK(f.ask("_HTTP._TCP.4.B.svc.dmsc", kTypeSrv, true)->address6);
  for (const char* n : {"_dns._tcp.4.b.svc.dmsc", "_dns._udp.4.b.svc.dmsc"}) {
    CHECK(f.ask(n)->services == std::vector<Answer::Service>{{1, 53}});
  }
  // Below a covering prefix every name has its ports.
  auto below = f.ask("_nfs._tcp.x.y.FILES.svc.dmsc");
  CHECK(below->target == "x.y.files.svc.dmsc");
  CHECK(*f.addresses.find(*below->address) == "Files/y/x");
}

TEST_CASE("U22 SRV: NODATA where the name is there and not the service, NXDOMAIN where it is not") {
  Fixture f;
  for (const char* n : {"_http._udp.4.b.svc.dmsc", "_ftp._tcp.4.b.svc.dmsc", "_tcp.4.b.svc.dmsc",
                        "_http._tcp.5.b.svc.dmsc", "_._tcp.4.b.svc.dmsc", "4.b.svc.dmsc",
                        "_http._tcp.b.svc.dmsc"}) {
    f.no_data(n);
  }
  for (std::uint16_t type : {kTypeA, kTypeAaaa, kTypePtr}) f.no_data("_http._tcp.4.b.svc.dmsc", type);
  for (const char* n : {"_http._tcp.9.b.svc.dmsc", "_http._sctp.4.b.svc.dmsc", "_http.4.b.svc.dmsc",
                        "_http._tcp.svc.dmsc", "_tcp.svc.dmsc", "x._tcp.4.b.svc.dmsc",
                        "a._http._tcp.4.b.svc.dmsc"}) {
    INFO(n);
    CHECK(f.ask(n)->rcode == Rcode::name_error);
    CHECK(f.ask(n)->soa_authority);
  }
  CHECK(f.addresses.size() == 0);  // nothing was allocated for all that
}

TEST_CASE("U22 SRV: a name that only looks like a service is itself; ports go with their prefix") {
  Fixture f;
  f.directory.set(*Name::parse("B/4/_tcp/_http"), false);
  CHECK(f.ask("_http._tcp.4.b.svc.dmsc", kTypeA)->address);
  f.directory.remove(*Name::parse("B/4/_tcp/_http"));
  f.directory.set(*Name::parse("B/4"), true);  // known again: the ports stay
  CHECK(f.ask("_http._tcp.4.b.svc.dmsc")->services.size() == 2);
  f.directory.set_ports(*Name::parse("B/4"), {});
  f.no_data("_http._tcp.4.b.svc.dmsc");
  f.directory.set_ports(*Name::parse("B/4"), {{"http", 80, kPortTcp, 1}});
  f.directory.remove(*Name::parse("B/4"));
  CHECK(f.ask("_http._tcp.4.b.svc.dmsc")->rcode == Rcode::name_error);
  f.directory.set(*Name::parse("B/4"), false);
  f.no_data("_http._tcp.4.b.svc.dmsc");
  f.directory.set_ports(*Name::parse("unknown"), {{"http", 80, kPortTcp, 1}});
  CHECK(f.ask("_http._tcp.unknown.svc.dmsc")->rcode == Rcode::name_error);
}

TEST_CASE("U22 SRV: the answer byte by byte, the target in full and its addresses besides") {
  Fixture f;
  Answer a{.authoritative = true, .ttl = 5};
  a.services = {{100, 80}};
  a.target = "4.b.svc.dmsc";
  a.address = *parse_ipv4("100.96.12.34");
  const std::string target = "01340162" "03737663" "04646d7363" "00";
  CHECK(to_hex(build_answer(query("_http._tcp.4.b.svc.dmsc", kTypeSrv).query, a, "svc.dmsc", false)) ==
        "1234850000010001" "00000001" "055f68747470" "045f746370" + target + "00210001"
        "c00c" "00210001" "00000005" "0014" "000000640050" + target +
        target + "00010001" "00000005" "0004" "64600c22");
}

TEST_CASE("U22 sizes: without EDNS 512 bytes, with EDNS at most 1,232; additional records go first, then TC") {
  CHECK(udp_limit(query("a.svc.dmsc", kTypeA).query) == 512);
  CHECK(udp_limit(query("a.svc.dmsc", kTypeA, 100).query) == 512);
  CHECK(udp_limit(query("a.svc.dmsc", kTypeA, 800).query) == 800);
  CHECK(udp_limit(query("a.svc.dmsc", kTypeA, 4096).query) == 1232);
  Fixture f;
  std::vector<wire::ServicePort> ports;
  for (std::uint16_t i = 1; i <= 100; ++i) ports.push_back({"http", i, kPortTcp, i});
  auto answered = [&](std::uint16_t edns, std::size_t records, std::size_t limit) {
    f.directory.set_ports(*Name::parse("B/4"), {ports.begin(), ports.begin() + static_cast<int>(records)});
    Parsed p = query("_http._tcp.4.b.svc.dmsc", kTypeSrv, edns);
    Bytes out = build_answer(p.query, *f.zone.answer(p.query, {}, true), "svc.dmsc", true, limit);
    CHECK(out.size() <= limit);
    return out;
  };
  Bytes one = answered(0, 1, 512);
  CHECK((count(one, 1) == 1 && count(one, 3) == 2 && !truncated(one)));
  Bytes tight = answered(0, 14, 512);  // records alone fit
  CHECK((count(tight, 1) == 14 && count(tight, 3) == 0 && !truncated(tight)));
  Bytes over = answered(0, 15, 512);
  CHECK((count(over, 1) == 0 && count(over, 3) == 0 && truncated(over)));
  Bytes edns = answered(1232, 15, 1232);  // with the OPT record
  CHECK((count(edns, 1) == 15 && count(edns, 3) == 3 && !truncated(edns)));
  Bytes tc = answered(1232, 64, 1232);
  CHECK((count(tc, 1) == 0 && count(tc, 3) == 1 && truncated(tc)));
  Bytes tcp = answered(0, 100, 65535);
  CHECK((count(tcp, 1) == kMaxServices && count(tcp, 3) == 2 && !truncated(tcp)));
}

TEST_CASE("U22 other types of known names are NODATA: MX, TXT, SVCB, HTTPS, NS; ANY is the address") {
  Fixture f;
  for (std::uint16_t type : {2, 5, 6, 15, 16, 33, 64, 65, 12}) f.no_data("4.b.svc.dmsc", type);
  auto any = f.ask("4.b.svc.dmsc", kTypeAny);
  CHECK(any->address);
  Query chaos{.name = "4.b.svc.dmsc", .type = kTypeA, .klass = 3};
  CHECK(f.zone.answer(chaos, {}, false)->rcode == Rcode::refused);
}

TEST_CASE("U22 EDNS of another version is BADVERS, with the version we speak") {
  Bytes wire = from_hex("123401000001000000000001" "0134" "0162" "03737663" "04646d7363" "0000010001"
                        "0000291000" "00010000" "0000");
  Parsed parsed = parse_query(wire);
  CHECK(parsed.rcode == Rcode::bad_version);
  CHECK(to_hex(build_error(parsed)) == "123481000001000000000001" "0134016203737663" "04646d7363" "0000010001"
                                       "00002904d0" "01000000" "0000");
}
