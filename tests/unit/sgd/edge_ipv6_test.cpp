// Programs that speak IPv6 (docs/protocol.md, "L4 segments", U14).
#include "sgd/edge_ipv6.hpp"

#include <arpa/inet.h>

#include <catch2/catch.hpp>
#include <set>

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

const Prefix6 kPrefix = *Prefix6::parse("fdc0:646d:7363::/64");
const Ipv4 kPod = *parse_ipv4("100.64.1.2"), kName = *parse_ipv4("100.96.7.9");

std::uint16_t get16(ByteView b, std::size_t at) {
  return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}

// The sum over an IPv6 pseudo-header and what follows (RFC 8200 8.1): 0 if the checksum is right.
std::uint16_t sum6(ByteView packet) {
  ByteView l4 = packet.subspan(kIp6HeaderBytes);
  return checksum_finish(checksum_add(
      l4, checksum_add(packet.subspan(8, 32)) + packet[6] + static_cast<std::uint32_t>(l4.size())));
}

// An IPv6 packet from the pod to the name, its checksum right by IPv6's own rule.
Bytes packet6(std::uint8_t protocol, Bytes l4, const Ipv6& to = kPrefix.of(kName)) {
  Bytes out{6 << 4 | 0x0b,
            0x80,
            0,
            0,
            static_cast<std::uint8_t>(l4.size() >> 8),
            static_cast<std::uint8_t>(l4.size()),
            protocol,
            61};
  Ipv6 from = kPrefix.of(kPod);
  out.insert(out.end(), from.begin(), from.end());
  out.insert(out.end(), to.begin(), to.end());
  out.insert(out.end(), l4.begin(), l4.end());
  std::size_t at = kIp6HeaderBytes + (protocol == kProtoTcp ? 16 : protocol == kProtoUdp ? 6 : 2);
  std::uint16_t sum = sum6(out);
  out[at] = static_cast<std::uint8_t>(sum >> 8);
  out[at + 1] = static_cast<std::uint8_t>(sum);
  return out;
}

Bytes udp(std::string_view text) {
  ByteWriter w;
  w.u16(4000).u16(53).u16(8 + text.size()).u16(0).bytes(as_bytes(text));
  return w.take();
}
Bytes syn() { return from_hex("0fa01f90000003e8000000005002faf000000000"); }

}  // namespace

TEST_CASE("U14 the prefix is neutral to checksums and holds every IPv4 address") {
  for (const char* text : {"fdc0:646d:7363::/64", "2001:db8:1:2::/64", "fd00::/64"}) {
    Prefix6 prefix = *Prefix6::parse(text);
    CHECK(checksum_finish(checksum_add(ByteView(prefix.of({})))) == 0);
    CHECK(prefix.inside(prefix.of(kName)) == kName);
  }
  CHECK_FALSE(kPrefix.inside(Prefix6::parse("fd00::/64")->of(kName)));
  CHECK(kPrefix.text() == to_string(kPrefix.of({})) + "/96");
}

TEST_CASE("U14 a prefix that cannot serve is refused, and why") {
  auto why = [](const char* text) { return Prefix6::parse(text).error().message; };
  CHECK(why("fd00::") == "'fd00::' is no ADDRESS/64");
  CHECK(why("fd00::/48") == "'fd00::/48' is no ADDRESS/64");
  CHECK(why("fd0g::/64") == "'fd0g::/64' is no IPv6 address");
  CHECK(why("fd00::1/64") == "'fd00::1/64' has bits behind its /64");
  for (const char* text : {"fe80::/64", "ff02::/64", "::/64"}) {
    CHECK(why(text).find("is no unicast prefix") != std::string::npos);
  }
}

TEST_CASE("U14 an IPv6 packet becomes an IPv4 one whose segment is unchanged and right") {
  Bytes before = packet6(kProtoTcp, syn());
  Bytes buffer(100);
  buffer.insert(buffer.end(), before.begin(), before.end());
  Ip6Taken taken = take_ip6(buffer, 100, kPrefix);
  REQUIRE(taken.fate == Ip6Fate::taken);
  auto ip = parse_ip4(std::span(buffer).subspan(taken.at));
  REQUIRE(ip);
  CHECK(ip->source == kPod);
  CHECK(ip->destination == kName);
  CHECK(ip->tos == 0xb8);
  CHECK(ip->ttl == 61);
  CHECK(ip->dont_fragment);
  CHECK(Bytes(ip->l4.begin(), ip->l4.end()) == Bytes(before.begin() + 40, before.end()));
  CHECK(segment_checksum_ok(kProtoTcp, ip->l4, kPod, kName));
  // And back.
  Ip4Fields fields{
      .source = kName, .destination = kPod, .protocol = kProtoTcp, .ttl = 64, .tos = 0xb8};
  Bytes l4 = syn();
  fill_segment_checksum(kProtoTcp, l4, kName, kPod);
  auto header = make_ip6_header(make_ip4_header(fields, l4.size()), kPrefix);
  Bytes six(header.begin(), header.end());
  six.insert(six.end(), l4.begin(), l4.end());
  CHECK(sum6(six) == 0);
  CHECK(six[0] == 0x6b);
  CHECK(six[1] == 0x80);
  CHECK(get16(six, 4) == l4.size());
  CHECK(kPrefix.inside(ByteView(six).subspan(24)) == kPod);
}

TEST_CASE("U14 what is no TCP, UDP or ping between addresses of the prefix is left out") {
  auto fate = [](Bytes packet) { return take_ip6(packet, 0, kPrefix).fate; };
  CHECK(fate(packet6(kProtoUdp, udp("hello"))) == Ip6Fate::taken);
  CHECK(fate(packet6(kProtoIcmp6, from_hex("8000000000010001"))) == Ip6Fate::taken);
  CHECK(fate(packet6(kProtoIcmp6, from_hex("8500000000000000"))) ==
        Ip6Fate::ignored);  // router solicitation
  CHECK(fate(packet6(44, udp("a fragment"))) == Ip6Fate::ignored);
  CHECK(fate(packet6(kProtoUdp, udp("x"), Prefix6::parse("fd00::/64")->of(kName))) ==
        Ip6Fate::ignored);
  Bytes bare = packet6(kProtoUdp, udp("x"));
  bare[46] = bare[47] = 0;
  CHECK(fate(bare) == Ip6Fate::malformed);
  Bytes whole = packet6(kProtoUdp, udp("hello"));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CHECK(fate(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))) ==
          Ip6Fate::malformed);
  }
}

TEST_CASE("U14 errors become ICMPv6, with the MTU of the larger header") {
  struct Pair {
    std::uint8_t type, code, type6, code6;
  };
  Bytes buffer = packet6(kProtoTcp, syn());
  Bytes original = buffer;
  Ip6Taken taken = take_ip6(buffer, 0, kPrefix);
  auto offending = *parse_ip4(std::span(buffer).subspan(taken.at));
  for (Pair p :
       {Pair{3, 1, 1, 3}, {3, 2, 4, 1}, {3, 3, 1, 4}, {3, 4, 2, 0}, {3, 13, 1, 1}, {11, 0, 3, 0}}) {
    Bytes error = icmp_as_icmp6(make_icmp_error(offending, kName, p.type, p.code, 1260), kPrefix);
    REQUIRE(error.size() == 40 + 8 + original.size());
    CHECK(sum6(error) == 0);
    CHECK(error[40] == p.type6);
    CHECK(error[41] == p.code6);
    if (p.type6 == 2) CHECK(get16(error, 46) == 1280);
    // It quotes what the program sent, but for the flow label.
    CHECK(Bytes(error.begin() + 48, error.end()) == original);
  }
  CHECK(icmp_as_icmp6(make_icmp_error(offending, kName, 5, 0), kPrefix).empty());
}

TEST_CASE("U14 large segments of IPv6 are cut and joined as those of IPv4") {
  VnetHeader six{.flags = 1,
                 .gso_type = VnetHeader::kGsoTcp6,
                 .header_bytes = 60,
                 .gso_size = 1200,
                 .checksum_start = 40,
                 .checksum_offset = 16};
  VnetHeader four = vnet_of_ip4(six);
  CHECK(four.gso_type == VnetHeader::kGsoTcp4);
  CHECK(four.header_bytes == 40);
  CHECK(four.checksum_start == 20);
  VnetHeader again = vnet_of_ip6(four);
  CHECK(encode_vnet(again) == encode_vnet(six));
  CHECK(encode_vnet(vnet_of_ip6({})) == encode_vnet({}));
}

TEST_CASE("U14 a reverse name of IPv6 is read nibble by nibble") {
  Ipv6 address = kPrefix.of(kName);
  std::string name;
  for (std::size_t i = 16; i-- > 0;) {
    const char* digits = "0123456789abcdef";
    name += {digits[address[i] & 15], '.', digits[address[i] >> 4], '.'};
  }
  CHECK(reverse_address6(name + "ip6.arpa") == address);
  CHECK_FALSE(reverse_address6(name + "ip6.arpb"));
  CHECK_FALSE(reverse_address6(name.substr(2) + "ip6.arpa"));
  name[0] = 'g';
  CHECK_FALSE(reverse_address6(name + "ip6.arpa"));
}

TEST_CASE("U23 where a server listens: an IPv4 or IPv6 address and port, and what is none") {
  CHECK(to_string(*parse_server("127.0.0.1:8080")) == "127.0.0.1:8080");
  CHECK(to_string(*parse_server("[::1]:8080")) == "[::1]:8080");
  CHECK(to_string(*parse_server("[2001:DB8:0::7]:1")) == "[2001:db8::7]:1");
  for (const char* text : {"", "::1", "[::1]", "[::1]:", "[::1]:0", "[::1]:65536", "[::1]:8x", "[:::1]:80",
                           "[127.0.0.1]:80", "[::]:80", "[ff02::1]:80", "[fe80::1]:80",
                           "[::ffff:1.2.3.4]:80", "::1:80", "localhost:80"}) {
    INFO(text);
    CHECK_FALSE(parse_server(text).ok());
  }
  CHECK(parse_server("[::]:80").error().message.find("is no server's address") != std::string::npos);
  CHECK(parse_address_port("[::]:80").ok());  // one may listen there
}

TEST_CASE("U23 a server's address has an alias that no checksum tells from it") {
  Addresses6 addresses(kPrefix);
  auto sum = [](ByteView b) { return checksum_finish(checksum_add(b)) % 0xffff; };
  std::set<Ipv4> taken;
  for (const char* text : {"::1", "2001:db8::7", "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", "fd00::1:0:0:1"}) {
    Ipv6 server = *parse_server("[" + std::string(text) + "]:1")->v6;
    CHECK_FALSE(addresses.inside(server));
    Ipv4 alias = *addresses.take(server);
    CHECK(alias.is_loopback());
    CHECK(taken.insert(alias).second);
    CHECK(addresses.of(alias) == server);
    CHECK(addresses.inside(server) == alias);
    std::uint8_t words[4];
    for (int i = 0; i < 4; ++i) words[i] = static_cast<std::uint8_t>(alias.value >> (24 - 8 * i));
    CHECK(sum(words) == sum(server));
  }
  // One of the prefix stands for itself; an alias goes when nobody uses it any more.
  CHECK(addresses.take(kPrefix.of(kPod)) == kPod);
  Ipv6 one = *parse_server("[::1]:1")->v6;
  Ipv4 alias = *addresses.take(one);
  addresses.release(alias);
  CHECK(addresses.inside(one) == alias);
  addresses.release(alias);
  CHECK_FALSE(addresses.inside(one));
  CHECK(addresses.of(alias) == kPrefix.of(alias));
  // Addresses of one sum: 256 of them have one each.
  for (unsigned i = 0; i < 256; ++i) {
    Ipv6 a{0x20, 1};
    a[5] = static_cast<std::uint8_t>(i);
    a[7] = static_cast<std::uint8_t>(255 - i);
    CHECK(addresses.take(a));
  }
  Ipv6 more{0x20, 1};
  more[9] = 255;
  CHECK_FALSE(addresses.take(more));
}

TEST_CASE("U23 an IPv6 server's answer becomes an IPv4 packet whose segment is right, and back") {
  Addresses6 addresses(kPrefix);
  Ipv6 server = *parse_server("[::1]:1")->v6;
  Ipv4 alias = *addresses.take(server);
  Bytes before = packet6(kProtoUdp, udp("hello"));
  std::copy(server.begin(), server.end(), before.begin() + 8);
  before[46] = before[47] = 0;
  std::uint16_t right = sum6(before);
  before[46] = static_cast<std::uint8_t>(right >> 8);
  before[47] = static_cast<std::uint8_t>(right);
  Bytes buffer = before;
  Ip6Taken taken = take_ip6(buffer, 0, addresses);
  REQUIRE(taken.fate == Ip6Fate::taken);
  auto packet = parse_ip4(std::span(buffer).subspan(taken.at));
  REQUIRE(packet);
  CHECK(packet->source == alias);
  CHECK(packet->destination == kName);
  CHECK(segment_checksum_ok(kProtoUdp, packet->l4, packet->source, packet->destination));
  auto again = make_ip6_header(packet->header, addresses);
  CHECK(to_hex(again).substr(16) == to_hex(ByteView(before).first(40)).substr(16));
  // Of an address that is nobody's here nothing is taken.
  before[23] = 2;
  CHECK(take_ip6(before, 0, addresses).fate == Ip6Fate::ignored);
}

TEST_CASE("U23 a server's kernel says unreachable: as ICMP about the packet that we wrote") {
  Addresses6 addresses(kPrefix);
  Ipv6 server = *parse_server("[::1]:1")->v6;
  Ipv4 alias = *addresses.take(server);
  struct Case {
    std::uint8_t code6, code;
  };
  for (const Case& c : {Case{4, icmp::kPort}, Case{1, icmp::kAdminProhibited}, Case{3, icmp::kHost}}) {
    Bytes about = packet6(kProtoUdp, udp("hello"), server);  // from the client to the server
    ByteWriter w;
    w.u8(1).u8(c.code6).u16(0).u32(0).bytes(about);
    Bytes error = packet6(kProtoIcmp6, w.take(), kPrefix.of(kPod));
    std::copy(server.begin(), server.end(), error.begin() + 8);
    Ip6Taken taken = take_ip6(error, 0, addresses);
    REQUIRE(taken.fate == Ip6Fate::taken);
    auto packet = parse_ip4(std::span(error).subspan(taken.at));
    REQUIRE(packet);
    CHECK((packet->source == alias && packet->destination == kPod && packet->protocol == kProtoIcmp));
    auto quoted = parse_icmp_error(packet->l4);
    REQUIRE(quoted);
    CHECK((quoted->type == icmp::kUnreachable && quoted->code == c.code));
    CHECK((quoted->source == kPod && quoted->destination == alias && quoted->protocol == kProtoUdp));
    CHECK((quoted->source_port == 4000 && quoted->destination_port == 53));
  }
  for (std::size_t size = 0; size < 96; ++size) {  // cut short anywhere
    Bytes error = packet6(kProtoIcmp6, Bytes(std::max<std::size_t>(size, 4), 1), kPrefix.of(kPod));
    error.resize(40 + size);
    error[5] = static_cast<std::uint8_t>(size);
    CHECK(take_ip6(error, 0, addresses).fate != Ip6Fate::taken);
  }
}
