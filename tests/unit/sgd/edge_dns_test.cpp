#include "sgd/edge_dns.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::dns;

namespace {

const Ipv4Net kRange = *parse_ipv4_net("100.96.0.0/13");

struct Fixture {
  Directory directory;
  VirtualAddresses addresses{kRange, *parse_ipv4("100.96.0.1"), crypto::Key16{7}};
  Zone zone{"svc.dmsc", kRange, *Prefix6::parse("fdc0:646d:7363::/64"), 5, directory, addresses};
  Fixture() {
    for (const char* n : {"B", "B/4", "shop/cart"}) directory.set(*Name::parse(n), false);
    directory.set(*Name::parse("Files"), true);
  }
  std::optional<Answer> ask(const std::string& name, std::uint16_t type = kTypeA,
                            bool ipv6 = false) {
    Query q;
    q.name = name;
    q.type = type;
    q.klass = kClassIn;
    return zone.answer(q, {}, ipv6);
  }
};

Bytes query_bytes(std::string_view name, std::uint16_t type, std::string_view tail = "",
                  std::uint8_t additional = 0) {
  ByteWriter w;
  w.u16(0x1234).u16(0x0100).u16(1).u16(0).u16(0).u16(additional);
  return w.bytes(encode_name(name)).u16(type).u16(1).bytes(from_hex(tail)).take();
}

}  // namespace

TEST_CASE("edge DNS: a query as dig sends it, and its answer, byte by byte") {
  Bytes wire = from_hex(
      "1234012000010000000000010134014203737663"
      "04646d73630000010001000029100000000000000c000a0008aabbccddeeff0011");
  Parsed parsed = parse_query(wire);
  REQUIRE_FALSE(parsed.drop);
  REQUIRE(parsed.rcode == Rcode::no_error);
  CHECK(parsed.query.name == "4.B.svc.dmsc");
  CHECK(parsed.query.edns);
  CHECK(parsed.query.udp_payload == 4096);
  Answer answer{.authoritative = true, .address = *parse_ipv4("100.96.12.34"), .ttl = 5};
  CHECK(to_hex(build_answer(parsed.query, answer, "svc.dmsc", false)) ==
        "1234850000010001000000010134014203737663"
        "04646d73630000010001"
        "c00c000100010000000500046460"
        "0c22"
        "00002904d0000000000000");
}

TEST_CASE("edge DNS: names are found in any case, answered with the address of the one name") {
  Fixture f;
  auto lower = f.ask("4.b.svc.dmsc"), upper = f.ask("4.B.SVC.dmsc");
  REQUIRE(lower->address);
  CHECK(lower->address == upper->address);
  CHECK(lower->authoritative);
  CHECK(lower->ttl == 5);
  CHECK(*f.addresses.find(*lower->address) == "B/4");
  CHECK(f.ask("cart.shop.svc.dmsc")->address);
}

TEST_CASE("edge DNS: NODATA and NXDOMAIN carry the SOA, an empty non-terminal is no NXDOMAIN") {
  Fixture f;
  auto aaaa = f.ask("4.b.svc.dmsc", kTypeAaaa);
  CHECK(aaaa->rcode == Rcode::no_error);
  CHECK_FALSE(aaaa->address);
  CHECK(aaaa->soa_authority);
  auto gone = f.ask("9.b.svc.dmsc");
  CHECK(gone->rcode == Rcode::name_error);
  CHECK(gone->soa_authority);
  CHECK(f.ask("shop.svc.dmsc")->rcode == Rcode::no_error);
  CHECK_FALSE(f.ask("shop.svc.dmsc")->address);
  CHECK(f.ask("svc.dmsc", kTypeSoa)->soa_answer);
  CHECK(f.addresses.size() == 0);  // nothing was allocated for all that
}

TEST_CASE("edge DNS: below a covering prefix every name is known, below a plain one none") {
  Fixture f;
  auto a = f.ask("Two.One.FILES.svc.dmsc");
  REQUIRE(a->address);
  CHECK(*f.addresses.find(*a->address) == "Files/one/two");
  CHECK(f.ask("x.4.b.svc.dmsc")->rcode == Rcode::name_error);
}

TEST_CASE("edge DNS: other zones are not ours, reverse names of the range are") {
  Fixture f;
  CHECK_FALSE(f.ask("www.example.com"));
  CHECK_FALSE(f.ask("xsvc.dmsc"));
  CHECK_FALSE(f.ask("1.1.168.192.in-addr.arpa", kTypePtr));
  Ipv4 a = *f.ask("4.b.svc.dmsc")->address;
  std::string reverse = to_string(Ipv4{__builtin_bswap32(a.value)}) + ".in-addr.arpa";
  CHECK(f.ask(reverse, kTypePtr)->pointer == "4.b.svc.dmsc");
  CHECK(f.ask("9.9.96.100.in-addr.arpa", kTypePtr)->rcode == Rcode::name_error);
}

TEST_CASE("edge DNS: a dot inside a label never passes for a separator") {
  Fixture f;
  ByteWriter w;
  w.u16(1).u16(0).u16(1).u16(0).u16(0).u16(0);
  w.text8("4.b").bytes(encode_name("svc.dmsc")).u16(kTypeA).u16(1);
  Parsed parsed = parse_query(w.view());
  REQUIRE(parsed.rcode == Rcode::no_error);
  CHECK(parsed.query.name == "4\\046b.svc.dmsc");
  CHECK(f.zone.answer(parsed.query, {}, true)->rcode == Rcode::name_error);
}

TEST_CASE("edge DNS: what is no proper query gets its error or nothing") {
  Bytes good = query_bytes("4.b.svc.dmsc", kTypeA);
  CHECK(parse_query(good).rcode == Rcode::no_error);
  for (std::size_t n = 0; n < good.size(); ++n) {
    Parsed p = parse_query(ByteView(good).first(n));
    CHECK((p.drop || p.rcode == Rcode::format_error));
    CHECK(p.drop == (n < 12));
  }
  Bytes response = good;
  response[2] |= 0x80;
  CHECK(parse_query(response).drop);
  Bytes update = good;
  update[2] |= 5 << 3;
  CHECK(parse_query(update).rcode == Rcode::not_implemented);
  CHECK(to_hex(build_error(parse_query(update))) == "1234a9040000000000000000");
  Bytes two = good;
  two[5] = 2;
  CHECK(parse_query(two).rcode == Rcode::format_error);
  Bytes pointer = from_hex("123401000001000000000000c00c00010001");
  CHECK(parse_query(pointer).rcode == Rcode::format_error);
  // OPT: not at the root, twice, version 1, trailing bytes.
  CHECK(parse_query(query_bytes("a.svc.dmsc", 1, "0000291000000000000000", 1)).query.edns);
  CHECK(parse_query(query_bytes("a.svc.dmsc", 1, "016100002910000000000000", 1)).rcode ==
        Rcode::format_error);
  CHECK(parse_query(query_bytes("a.svc.dmsc", 1, "00002910000000000000000000291000000000000000", 2))
            .rcode == Rcode::format_error);
  CHECK(parse_query(query_bytes("a.svc.dmsc", 1, "0000291000000100000000", 1)).rcode ==
        Rcode::bad_version);
  CHECK(parse_query(query_bytes("a.svc.dmsc", 1, "00", 0)).rcode == Rcode::format_error);
}

TEST_CASE("edge DNS: the longest name's answers fit 512 bytes") {
  std::string label(63, 'a');
  std::string dotted = label + "." + label + "." + label + "." + std::string(61, 'b');
  Parsed p = parse_query(query_bytes(dotted, kTypeA));
  REQUIRE(p.rcode == Rcode::no_error);
  Answer nx{.rcode = Rcode::name_error, .authoritative = true, .soa_authority = true, .ttl = 5};
  CHECK(build_answer(p.query, nx, "svc.dmsc", true).size() <= 512);
  CHECK(parse_query(query_bytes(dotted + "x", kTypeA)).rcode == Rcode::format_error);
}

TEST_CASE("edge DNS: a prefix that went is unknown, another spelling that took its place stays") {
  Directory d;
  d.set(*Name::parse("B/4"), false);
  d.set(*Name::parse("b/4"), false);
  d.remove(*Name::parse("B/4"));
  CHECK(d.resolve(*Name::parse("B/4"))->text() == "b/4");
  d.remove(*Name::parse("b/4"));
  CHECK_FALSE(d.resolve(*Name::parse("b/4")));
}

TEST_CASE("edge DNS: AAAA is the prefix in front of the A, and only for who has IPv6") {
  Fixture f;
  Prefix6 prefix = *Prefix6::parse("fdc0:646d:7363::/64");
  auto six = f.ask("4.b.svc.dmsc", kTypeAaaa, true), four = f.ask("4.b.svc.dmsc", kTypeA, true);
  REQUIRE(six->address6);
  CHECK_FALSE(six->address);
  CHECK(prefix.inside(*six->address6) == four->address);
  CHECK_FALSE(four->address6);
  CHECK_FALSE(f.ask("4.b.svc.dmsc", kTypeAaaa, false)->address6);
  CHECK(f.ask("9.b.svc.dmsc", kTypeAaaa, true)->rcode == Rcode::name_error);
  Query q = parse_query(query_bytes("4.b.svc.dmsc", kTypeAaaa)).query;
  std::string wire = to_hex(build_answer(q, *six, "svc.dmsc", false));
  CHECK(wire.find("c00c001c0001000000050010" + to_hex(*six->address6)) != std::string::npos);
  // And the way back.
  std::string reverse;
  for (std::size_t i = 16; i-- > 0;) {
    std::string hex = to_hex(ByteView(*six->address6).subspan(i, 1));
    reverse += {hex[1], '.', hex[0], '.'};
  }
  CHECK(f.ask(reverse + "ip6.arpa", kTypePtr)->pointer == "4.b.svc.dmsc");
}
