#include "sgd/edge_packet.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

const Ipv4 kA = *parse_ipv4("192.168.0.1"), kB = *parse_ipv4("192.168.0.199");

Bytes ip_packet(std::uint8_t protocol, ByteView l4, Ipv4 from = kA, Ipv4 to = kB) {
  Ip4Fields fields;
  fields.source = from;
  fields.destination = to;
  fields.protocol = protocol;
  auto header = make_ip4_header(fields, l4.size());
  Bytes out(header.begin(), header.end());
  out.insert(out.end(), l4.begin(), l4.end());
  return out;
}

// A SYN from 1000 to 80 with MSS 1460, at an even or (after a NOP) odd offset.
Bytes syn(bool odd) {
  Bytes tcp = from_hex("03e80050000000010000000070020fff00000000");
  Bytes options = odd ? from_hex("01020405b4000000") : from_hex("020405b401010000");
  tcp.insert(tcp.end(), options.begin(), options.end());
  tcp[12] = 7 << 4;
  fill_segment_checksum(kProtoTcp, tcp, kA, kB);
  return tcp;
}

}  // namespace

TEST_CASE("edge packet: IPv4 header as in the textbook") {
  // Header of RFC 1071 folklore: 4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7.
  Ip4Fields fields;
  fields.source = kA;
  fields.destination = kB;
  fields.protocol = kProtoUdp;
  auto header = make_ip4_header(fields, 0x73 - 20);
  CHECK(to_hex(header) == "45000073000040004011b861c0a80001c0a800c7");
  Bytes packet(header.begin(), header.end());
  packet.resize(0x73 + 3);  // trailing bytes of a link are no payload
  auto parsed = parse_ip4(packet);
  REQUIRE(parsed);
  CHECK(parsed->l4.size() == 0x73 - 20);
  CHECK(parsed->dont_fragment);
  CHECK_FALSE(parsed->is_fragment());
  CHECK(parsed->source == kA);
}

TEST_CASE("edge packet: a wrong header is no packet") {
  Bytes good = ip_packet(kProtoTcp, syn(false));
  CHECK(parse_ip4(good));
  for (std::size_t bit = 0; bit < 20 * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    INFO("bit " << bit);
    CHECK_FALSE(parse_ip4(bad));
  }
  for (std::size_t n = 0; n < good.size(); ++n) {
    CHECK_FALSE(parse_ip4(std::span(good).first(n)));
  }
}

TEST_CASE("edge packet: TTL goes down with the checksum kept right") {
  Bytes packet = ip_packet(kProtoTcp, syn(false));
  CHECK(decrement_ttl(packet));
  auto parsed = parse_ip4(packet);
  REQUIRE(parsed);
  CHECK(parsed->ttl == 63);
  Ip4Fields last;
  last.ttl = 1;
  auto header = make_ip4_header(last, 0);
  auto before = header;
  CHECK_FALSE(decrement_ttl(header));
  CHECK(header == before);
}

TEST_CASE("edge packet: the sum equals RFC 1071's, byte pair by byte pair, for every length and alignment") {
  auto slow = [](ByteView data) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < data.size(); ++i) sum += i % 2 == 0 ? data[i] << 8 : data[i];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  };
  Bytes data(65536 + 8);
  std::uint64_t random = 1;
  for (auto& byte : data) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<std::uint8_t>(random >> 56);
  }
  Bytes ones(65536, 0xff);
  for (std::size_t size : {65535, 65536, 1400, 1399}) {
    CHECK(checksum_finish(checksum_add(ByteView(ones).first(size))) == slow(ByteView(ones).first(size)));
  }
  for (std::size_t offset = 0; offset < 8; ++offset) {
    for (std::size_t size = 0; size < 200; ++size) {
      ByteView part = ByteView(data).subspan(offset, size);
      REQUIRE(checksum_finish(checksum_add(part)) == slow(part));
    }
    ByteView most = ByteView(data).subspan(offset, 65535);
    CHECK(checksum_finish(checksum_add(most)) == slow(most));
  }
}

TEST_CASE("edge packet: incremental checksums equal full ones") {
  for (std::uint8_t protocol : {kProtoTcp, kProtoUdp}) {
    for (std::uint32_t seed = 0; seed < 500; ++seed) {
      Bytes l4(8 + 20 + seed % 40);
      for (std::size_t i = 0; i < l4.size(); ++i) {
        l4[i] = static_cast<std::uint8_t>((seed * 2654435761U + i * 40503U) >> 7);
      }
      fill_segment_checksum(protocol, l4, kA, kB);
      REQUIRE(segment_checksum_ok(protocol, l4, kA, kB));
      Ipv4 c{seed * 2246822519U}, d{0};
      readdress_checksum(protocol, l4, kA, kB, c, d);
      set_port(protocol, l4, PortField::source, static_cast<std::uint16_t>(seed * 131));
      set_port(protocol, l4, PortField::destination, 8080);
      CHECK(segment_checksum_ok(protocol, l4, c, d));
    }
  }
}

TEST_CASE("edge packet: corruption between the edges still fails the receiver's check") {
  Bytes l4 = syn(false);
  readdress_checksum(kProtoTcp, l4, kA, kB, {}, {});
  l4[5] ^= 1;
  readdress_checksum(kProtoTcp, l4, {}, {}, kB, kA);
  CHECK_FALSE(segment_checksum_ok(kProtoTcp, l4, kB, kA));
}

TEST_CASE("edge packet: an absent UDP checksum stays absent, a zero sum is written as ones") {
  Bytes udp = from_hex("0035003500080000");
  readdress_checksum(kProtoUdp, udp, kA, kB, {1}, {2});
  set_port(kProtoUdp, udp, PortField::source, 9);
  CHECK(to_hex(udp) == "0009003500080000");
  // Ports such that the sum over the rest is ffff.
  Bytes zero = from_hex("ffde000000080000");
  zero[1] = 0xde;
  fill_segment_checksum(kProtoUdp, zero, {}, {});
  CHECK(to_hex(ByteView(zero).subspan(6)) == "ffff");
  CHECK(segment_checksum_ok(kProtoUdp, zero, {}, {}));
}

TEST_CASE("edge packet: MSS is clamped on SYN only, downwards only, at any offset") {
  for (bool odd : {false, true}) {
    Bytes tcp = syn(odd);
    CHECK_FALSE(clamp_mss(tcp, 1460));
    CHECK(clamp_mss(tcp, 1200));
    CHECK(segment_checksum_ok(kProtoTcp, tcp, kA, kB));
    std::size_t at = odd ? 23 : 22;
    CHECK((tcp[at] << 8 | tcp[at + 1]) == 1200);
    tcp = syn(odd);
    tcp[13] = kTcpAck;
    CHECK_FALSE(clamp_mss(tcp, 1200));
  }
  Bytes endless = syn(false);
  endless[20] = 8, endless[21] = 0;  // option of length 0
  CHECK_FALSE(clamp_mss(endless, 1200));
  endless[21] = 200;                 // beyond the header
  CHECK_FALSE(clamp_mss(endless, 1200));
}

TEST_CASE("edge packet: segments lie about their length") {
  Bytes tcp = syn(false);
  CHECK(parse_segment(kProtoTcp, tcp)->destination_port == 80);
  for (std::size_t n = 0; n < tcp.size(); ++n) {
    CHECK_FALSE(parse_segment(kProtoTcp, ByteView(tcp).first(n)));
  }
  tcp[12] = 4 << 4;
  CHECK_FALSE(parse_segment(kProtoTcp, tcp));
  CHECK(parse_segment(kProtoUdp, from_hex("0035003500080000")));
  CHECK_FALSE(parse_segment(kProtoUdp, from_hex("0035003500090000")));
  CHECK_FALSE(parse_segment(kProtoIcmp, tcp));
}

TEST_CASE("edge packet: ICMP errors quote the offender and are never about ICMP errors") {
  Bytes offender = ip_packet(kProtoTcp, syn(false));
  auto parsed = parse_ip4(offender);
  Ipv4 gateway = *parse_ipv4("100.64.1.1");
  REQUIRE(may_answer_with_icmp(*parsed));
  Bytes error = make_icmp_error(*parsed, gateway, icmp::kUnreachable,
                                icmp::kFragmentationNeeded, 1280);
  auto outer = parse_ip4(error);
  REQUIRE(outer);
  CHECK(outer->source == gateway);
  CHECK(outer->destination == kA);
  auto quoted = parse_icmp_error(outer->l4);
  REQUIRE(quoted);
  CHECK(quoted->code == icmp::kFragmentationNeeded);
  CHECK(quoted->mtu == 1280);
  CHECK(quoted->source == kA);
  CHECK(quoted->destination_port == 80);
  CHECK_FALSE(may_answer_with_icmp(*outer));
  Bytes big = ip_packet(kProtoUdp, Bytes(2000));
  CHECK(make_icmp_error(*parse_ip4(big), gateway, 3, 13).size() == 576);
  Bytes multicast = ip_packet(kProtoUdp, Bytes(8), kA, *parse_ipv4("224.0.0.1"));
  CHECK_FALSE(may_answer_with_icmp(*parse_ip4(multicast)));
  for (std::size_t n = 0; n < 8 + 20 + 8; ++n) {  // RFC 792: header and 8 bytes at least
    CHECK_FALSE(parse_icmp_error(ByteView(outer->l4).first(n)));
  }
}

TEST_CASE("edge packet: RST by RFC 9293 3.10.7.1") {
  auto answer = make_rst(syn(false), kB, kA);
  REQUIRE(answer);
  auto s = parse_segment(kProtoTcp, *answer);
  CHECK(s->source_port == 80);
  CHECK(s->destination_port == 1000);
  CHECK(s->tcp_flags == (kTcpRst | kTcpAck));
  CHECK(s->acknowledgement == 2);  // SYN counts one
  CHECK(s->sequence == 0);
  CHECK(segment_checksum_ok(kProtoTcp, *answer, kB, kA));
  CHECK_FALSE(make_rst(*answer, kA, kB));  // never about a RST
  Bytes data = syn(false);
  data[13] = kTcpAck;
  data[8] = 0x12;
  auto to_data = parse_segment(kProtoTcp, *make_rst(data, kB, kA));
  CHECK(to_data->tcp_flags == kTcpRst);
  CHECK(to_data->sequence == 0x12000000);
}
