// Programs that speak IPv6 (docs/protocol.md, "L4 segments", U14).
#include "sgd/edge_ipv6.hpp"

#include <arpa/inet.h>

#include <catch2/catch.hpp>

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
