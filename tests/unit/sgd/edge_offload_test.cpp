#include "sgd/edge_offload.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

const Ipv4 kA = *parse_ipv4("100.64.1.2"), kB = *parse_ipv4("100.96.3.4");

Bytes segment(std::uint32_t sequence, std::size_t size, std::uint8_t flags = kTcpAck,
              std::uint8_t first = 0) {
  ByteWriter w;
  w.u16(40000).u16(80).u32(sequence).u32(77).u8(8 << 4).u8(flags).u16(500).u16(0).u16(0);
  w.bytes(from_hex("0101080a0000000100000002"));
  Bytes l4 = w.take();
  for (std::size_t i = 0; i < size; ++i) l4.push_back(static_cast<std::uint8_t>(first + i * 7));
  fill_segment_checksum(kProtoTcp, l4, kA, kB);
  return l4;
}

std::array<std::uint8_t, 20> header(const Bytes& l4) {
  Ip4Fields f;
  f.source = kA;
  f.destination = kB;
  f.protocol = kProtoTcp;
  return make_ip4_header(f, l4.size());
}

Bytes datagram(std::size_t size, std::uint8_t first = 0, std::uint16_t port = 40000) {
  ByteWriter w;
  w.u16(port).u16(443).u16(8 + size).u16(0);
  Bytes l4 = w.take();
  for (std::size_t i = 0; i < size; ++i) l4.push_back(static_cast<std::uint8_t>(first + i * 7));
  fill_segment_checksum(kProtoUdp, l4, kA, kB);
  return l4;
}

std::array<std::uint8_t, 20> udp_header(const Bytes& l4) {
  Ip4Fields f;
  f.source = kA;
  f.destination = kB;
  f.protocol = kProtoUdp;
  return make_ip4_header(f, l4.size());
}

// The frame a joiner holds, in one piece; empties it.
Bytes take(Joiner& joiner) {
  Bytes out;
  for (const iovec& part : joiner.frame()) {
    const auto* data = static_cast<const std::uint8_t*>(part.iov_base);
    out.insert(out.end(), data, data + part.iov_len);
  }
  joiner.clear();
  return out;
}

// The frame a joiner made, cut again.
std::vector<Bytes> cut(Bytes frame, std::size_t headroom = 100) {
  std::vector<Bytes> out;
  VnetHeader h = decode_vnet(std::span<const std::uint8_t, kVnetBytes>(frame.data(), kVnetBytes));
  Bytes buffer(headroom);
  buffer.insert(buffer.end(), frame.begin() + kVnetBytes, frame.end());
  Segmenter s(headroom);
  REQUIRE(s.split(h, buffer, headroom, [&](std::span<std::uint8_t> b, std::size_t at) {
    REQUIRE(at == headroom);
    out.push_back(to_bytes(b.subspan(at)));
  }));
  return out;
}

}  // namespace

TEST_CASE("edge offload: what is joined and cut again are the same packets") {
  Joiner j;
  std::vector<Bytes> packets;
  for (int i = 0; i < 5; ++i) {
    bool last = i == 4;
    Bytes l4 = segment(1000 + static_cast<std::uint32_t>(i) * 600, last ? 100 : 600,
                       last ? kTcpAck | 8 : kTcpAck, static_cast<std::uint8_t>(i));
    auto ip = header(l4);
    REQUIRE(j.add(ip, l4));
    CHECK(j.complete() == last);
    Bytes whole(ip.begin(), ip.end());
    whole.insert(whole.end(), l4.begin(), l4.end());
    packets.push_back(whole);
  }
  CHECK(cut(take(j)) == packets);
  CHECK(j.empty());
}

TEST_CASE("edge offload: data that stays is not copied, other data is; both join") {
  Joiner j;
  Bytes staying = segment(1000, 600, kTcpAck, 1);
  std::vector<Bytes> packets;
  auto whole = [](const Bytes& l4) {
    auto ip = header(l4);
    Bytes out(ip.begin(), ip.end());
    out.insert(out.end(), l4.begin(), l4.end());
    return out;
  };
  REQUIRE(j.add(header(staying), staying, true));
  packets.push_back(whole(staying));
  {
    Bytes passing = segment(1600, 600, kTcpAck, 2);
    REQUIRE(j.add(header(passing), passing, false));
    packets.push_back(whole(passing));
    std::fill(passing.begin(), passing.end(), std::uint8_t{0xee});
  }
  auto parts = j.frame();
  REQUIRE(parts.size() == 3);
  CHECK(parts[1].iov_base == staying.data() + 32);
  CHECK(parts[1].iov_len == 600);
  CHECK(cut(take(j)) == packets);
}

TEST_CASE("edge offload: one segment alone travels as it came") {
  Joiner j;
  Bytes l4 = segment(5, 10);
  REQUIRE(j.add(header(l4), l4));
  Bytes frame = take(j);
  CHECK(to_hex(ByteView(frame).first(kVnetBytes)) == std::string(20, '0'));
  CHECK(ByteView(frame).size() == kVnetBytes + 20 + l4.size());
  CHECK(std::equal(l4.begin(), l4.end(), frame.begin() + kVnetBytes + 20));
}

TEST_CASE("edge offload: only what is one stream without a break is joined") {
  auto joins = [](const Bytes& a, const Bytes& b, bool other_tos = false) {
    Joiner j;
    REQUIRE(j.add(header(a), a));
    auto ip = header(b);
    if (other_tos) ip[1] = 3;
    return j.add(ip, b);
  };
  Bytes first = segment(1000, 600);
  CHECK(joins(first, segment(1600, 600)));
  CHECK(joins(first, segment(1600, 1)));
  CHECK_FALSE(joins(first, segment(1601, 600)));        // a gap
  CHECK_FALSE(joins(first, segment(1600, 601)));        // larger than the first
  CHECK_FALSE(joins(first, segment(1600, 600), true));  // another class
  CHECK_FALSE(joins(segment(1000, 600, kTcpAck | 8), segment(1600, 600)));
  Bytes window = segment(1600, 600);
  window[14] ^= 1;
  fill_segment_checksum(kProtoTcp, window, kA, kB);
  CHECK_FALSE(joins(first, window));
  Bytes corrupt = segment(1600, 600);
  corrupt[100] ^= 1;  // joining would put a right checksum over it
  CHECK_FALSE(joins(first, corrupt));
  Joiner j;
  for (int flags : {+kTcpSyn, kTcpAck | kTcpFin, +kTcpRst}) {
    Bytes l4 = segment(1, 10, static_cast<std::uint8_t>(flags));
    CHECK_FALSE(j.add(header(l4), l4));
  }
  Bytes ack = segment(1, 0);
  CHECK_FALSE(j.add(header(ack), ack));
}

TEST_CASE("edge offload: a joined frame stays below 64 KiB") {
  Joiner j;
  std::uint32_t sequence = 0;
  while (true) {
    Bytes l4 = segment(sequence, 1300);
    if (!j.add(header(l4), l4)) break;
    sequence += 1300;
  }
  CHECK(sequence > 60000);
  CHECK(take(j).size() <= Joiner::kMaxBytes + kVnetBytes);
}

TEST_CASE("edge offload: a checksum left to us is finished, a lying header refused") {
  Bytes l4 = segment(1, 33);
  Bytes want = l4;
  auto ip = header(l4);
  // As the kernel leaves it: the sum of the pseudo-header, not complemented.
  std::uint32_t sum = checksum_add(ByteView(ip).subspan(12, 8)) + kProtoTcp +
                      static_cast<std::uint32_t>(l4.size());
  std::uint16_t partial = static_cast<std::uint16_t>(~checksum_finish(sum));
  l4[16] = static_cast<std::uint8_t>(partial >> 8), l4[17] = static_cast<std::uint8_t>(partial);
  Bytes buffer(100);
  buffer.insert(buffer.end(), ip.begin(), ip.end());
  buffer.insert(buffer.end(), l4.begin(), l4.end());
  VnetHeader h;
  h.flags = VnetHeader::kNeedsChecksum;
  h.checksum_start = 20;
  h.checksum_offset = 16;
  Segmenter s(100);
  int emitted = 0;
  CHECK(s.split(h, buffer, 100, [&](std::span<std::uint8_t> b, std::size_t at) {
    ++emitted;
    CHECK(to_hex(b.subspan(at + 20)) == to_hex(want));
  }));
  CHECK(emitted == 1);
  auto never = [&](std::span<std::uint8_t>, std::size_t) { FAIL("emitted"); };
  h.checksum_start = 60000;
  CHECK_FALSE(s.split(h, buffer, 100, never));
  h = {};
  h.gso_type = VnetHeader::kGsoTcp4;  // without a size
  CHECK_FALSE(s.split(h, buffer, 100, never));
  h.gso_type = 3;                     // UDP fragmentation: never asked for
  CHECK_FALSE(s.split(h, buffer, 100, never));
}

TEST_CASE("U27 USO: datagrams that are joined and cut again are the same packets") {
  for (std::size_t last : {std::size_t{1200}, std::size_t{1}}) {
    Joiner j;
    std::vector<Bytes> packets;
    for (int i = 0; i < 5; ++i) {
      Bytes l4 = datagram(i == 4 ? last : 1200, static_cast<std::uint8_t>(i));
      auto ip = udp_header(l4);
      REQUIRE(j.add(ip, l4));
      CHECK(j.complete() == (i == 4 && last < 1200));
      Bytes whole(ip.begin(), ip.end());
      whole.insert(whole.end(), l4.begin(), l4.end());
      packets.push_back(whole);
    }
    CHECK(j.kind() == VnetHeader::kGsoUdp);
    Bytes frame = take(j);
    VnetHeader h = decode_vnet(std::span<const std::uint8_t, kVnetBytes>(frame.data(), kVnetBytes));
    CHECK(h.gso_type == 5);  // VIRTIO_NET_HDR_GSO_UDP_L4
    CHECK(h.gso_size == 1200);
    CHECK(h.header_bytes == 28);
    CHECK(h.checksum_offset == 6);
    CHECK(cut(frame) == packets);
    CHECK(j.empty());
  }
}

TEST_CASE("U27 USO: only datagrams of one flow and one size are joined, with checksums that are right") {
  auto joins = [](const Bytes& a, const Bytes& b, bool other_tos = false) {
    Joiner j;
    if (!j.add(udp_header(a), a)) return false;
    auto ip = udp_header(b);
    if (other_tos) ip[1] = 3;
    return j.add(ip, b);
  };
  const Bytes first = datagram(1200);
  CHECK(joins(first, datagram(1200)));
  CHECK(joins(first, datagram(7)));
  CHECK_FALSE(joins(first, datagram(1201)));
  CHECK_FALSE(joins(datagram(7), first));
  CHECK_FALSE(joins(first, datagram(0)));
  CHECK_FALSE(joins(datagram(0), first));
  CHECK_FALSE(joins(first, datagram(1200, 0, 40001)));  // another flow
  CHECK_FALSE(joins(first, datagram(1200), true));      // another class
  Bytes corrupt = datagram(1200);
  corrupt[100] ^= 1;  // joining would put a right checksum over it
  CHECK_FALSE(joins(first, corrupt));
  CHECK_FALSE(joins(corrupt, first));
  Bytes without = datagram(1200);
  without[6] = without[7] = 0;  // joining would give it a checksum it did not have
  CHECK_FALSE(joins(first, without));
  Joiner tcp;
  Bytes l4 = segment(1, 1200);
  REQUIRE(tcp.add(header(l4), l4));
  CHECK_FALSE(tcp.add(udp_header(first), first));
}

TEST_CASE("U27 USO: a joined train has at most 64 datagrams and 65,000 bytes") {
  Joiner j;
  std::size_t small = 0, large = 0;
  while (j.add(udp_header(datagram(10)), datagram(10))) ++small;
  CHECK(small == 64);
  j.clear();
  while (j.add(udp_header(datagram(1400)), datagram(1400))) ++large;
  CHECK(large == (Joiner::kMaxBytes - 28) / 1400);
  CHECK(take(j).size() <= Joiner::kMaxBytes + kVnetBytes);
}
