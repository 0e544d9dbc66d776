#include "sgd/edge_packet.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dmsc::sgd {
namespace {

std::uint16_t get16(ByteView b, std::size_t at) {
  return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}
std::uint32_t get32(ByteView b, std::size_t at) {
  return std::uint32_t{get16(b, at)} << 16 | get16(b, at + 2);
}
void put16(std::span<std::uint8_t> b, std::size_t at, std::uint32_t v) {
  b[at] = static_cast<std::uint8_t>(v >> 8);
  b[at + 1] = static_cast<std::uint8_t>(v);
}
void put32(std::span<std::uint8_t> b, std::size_t at, std::uint32_t v) {
  put16(b, at, v >> 16);
  put16(b, at + 2, v & 0xffff);
}

constexpr std::size_t kTcpChecksum = 16, kUdpChecksum = 6;
std::size_t checksum_at(std::uint8_t protocol) {
  return protocol == kProtoTcp ? kTcpChecksum : kUdpChecksum;
}
// UDP writes a sum of zero as all ones: zero means "absent" (RFC 768).
std::uint16_t as_written(std::uint8_t protocol, std::uint16_t checksum) {
  return protocol == kProtoUdp && checksum == 0 ? 0xffff : checksum;
}

std::uint32_t pseudo_sum(std::uint8_t protocol, std::size_t length, Ipv4 source,
                         Ipv4 destination) {
  return (source.value >> 16) + (source.value & 0xffff) + (destination.value >> 16) +
         (destination.value & 0xffff) + protocol + static_cast<std::uint32_t>(length);
}

}  // namespace

// The sum does not care for byte order (RFC 1071 2B): whole machine words, swapped at the end.
std::uint32_t checksum_add(ByteView data, std::uint32_t sum) {
  // Halves of words in sums of their own: no carry that the next addition would have to wait for. A sum of
  // 64 KiB cannot overflow.
  constexpr std::uint64_t kLow = 0xffffffffU;
  std::uint64_t low = 0, high = 0;
  std::size_t i = 0;
  for (; i + 32 <= data.size(); i += 32) {
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), data.data() + i, sizeof words);
    low += (words[0] & kLow) + (words[1] & kLow) + (words[2] & kLow) + (words[3] & kLow);
    high += (words[0] >> 32) + (words[1] >> 32) + (words[2] >> 32) + (words[3] >> 32);
  }
  for (; i + 4 <= data.size(); i += 4) {
    std::uint32_t word;
    std::memcpy(&word, data.data() + i, sizeof word);
    low += word;
  }
  std::uint64_t wide = low + high;
  std::uint32_t rest = 0;
  if (i < data.size()) std::memcpy(&rest, data.data() + i, data.size() - i);
  wide += rest;
  wide = (wide & 0xffffffffU) + (wide >> 32);
  wide = (wide & 0xffff) + (wide >> 16 & 0xffff) + (wide >> 32);
  while (wide >> 16) wide = (wide & 0xffff) + (wide >> 16);
  auto folded = static_cast<std::uint16_t>(wide);
  if constexpr (std::endian::native == std::endian::little) {
    folded = static_cast<std::uint16_t>(folded << 8 | folded >> 8);
  }
  return sum + folded;
}

std::uint16_t checksum_finish(std::uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint16_t checksum_update(std::uint16_t checksum, std::uint16_t from, std::uint16_t to) {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  sum += static_cast<std::uint16_t>(~from);
  return checksum_finish(sum + to);
}

std::uint16_t checksum_update32(std::uint16_t checksum, std::uint32_t from, std::uint32_t to) {
  checksum = checksum_update(checksum, static_cast<std::uint16_t>(from >> 16),
                             static_cast<std::uint16_t>(to >> 16));
  return checksum_update(checksum, static_cast<std::uint16_t>(from),
                         static_cast<std::uint16_t>(to));
}

std::optional<Ip4Packet> parse_ip4(std::span<std::uint8_t> packet) {
  if (packet.size() < kIpHeaderBytes || packet[0] >> 4 != 4) return std::nullopt;
  std::size_t header = std::size_t{packet[0] & 15U} * 4;
  std::size_t total = get16(packet, 2);
  if (header < kIpHeaderBytes || total < header || total > packet.size()) return std::nullopt;
  if (checksum_finish(checksum_add(packet.first(header))) != 0) return std::nullopt;
  Ip4Packet out;
  out.tos = packet[1];
  out.id = get16(packet, 4);
  std::uint16_t fragment = get16(packet, 6);
  out.dont_fragment = fragment & 0x4000;
  out.more_fragments = fragment & 0x2000;
  out.fragment_offset = static_cast<std::uint16_t>((fragment & 0x1fff) * 8);
  out.ttl = packet[8];
  out.protocol = packet[9];
  out.source = {get32(packet, 12)};
  out.destination = {get32(packet, 16)};
  out.header = packet.first(header);
  out.l4 = packet.subspan(header, total - header);
  return out;
}

std::array<std::uint8_t, kIpHeaderBytes> make_ip4_header(const Ip4Fields& f, std::size_t payload) {
  std::array<std::uint8_t, kIpHeaderBytes> h{};
  h[0] = 0x45;
  h[1] = f.tos;
  put16(h, 2, static_cast<std::uint32_t>(kIpHeaderBytes + payload));
  put16(h, 4, f.id);
  put16(h, 6, f.dont_fragment ? 0x4000 : 0);
  h[8] = f.ttl;
  h[9] = f.protocol;
  put32(h, 12, f.source.value);
  put32(h, 16, f.destination.value);
  put16(h, 10, checksum_finish(checksum_add(h)));
  return h;
}

bool decrement_ttl(std::span<std::uint8_t> header) {
  if (header[8] <= 1) return false;
  std::uint16_t before = get16(header, 8);
  --header[8];
  put16(header, 10, checksum_update(get16(header, 10), before, get16(header, 8)));
  return true;
}

std::optional<Segment> parse_segment(std::uint8_t protocol, ByteView l4) {
  Segment s;
  if (protocol == kProtoTcp) {
    if (l4.size() < 20) return std::nullopt;
    s.protocol = L4::tcp;
    s.header_bytes = std::size_t{l4[12]} / 16 * 4;
    if (s.header_bytes < 20 || s.header_bytes > l4.size()) return std::nullopt;
    s.tcp_flags = l4[13];
    s.sequence = get32(l4, 4);
    s.acknowledgement = get32(l4, 8);
    s.window = get16(l4, 14);
  } else if (protocol == kProtoUdp) {
    if (l4.size() < 8 || get16(l4, 4) != l4.size()) return std::nullopt;
    s.protocol = L4::udp;
    s.header_bytes = 8;
  } else {
    return std::nullopt;
  }
  s.source_port = get16(l4, 0);
  s.destination_port = get16(l4, 2);
  return s;
}

bool segment_checksum_ok(std::uint8_t protocol, ByteView l4, Ipv4 source, Ipv4 destination) {
  if (protocol == kProtoUdp && get16(l4, kUdpChecksum) == 0) return true;
  return checksum_finish(checksum_add(
             l4, pseudo_sum(protocol, l4.size(), source, destination))) == 0;
}

void fill_segment_checksum(std::uint8_t protocol, std::span<std::uint8_t> l4, Ipv4 source,
                           Ipv4 destination) {
  std::size_t at = checksum_at(protocol);
  put16(l4, at, 0);
  put16(l4, at,
        as_written(protocol, checksum_finish(checksum_add(
                                 l4, pseudo_sum(protocol, l4.size(), source, destination)))));
}

void readdress_checksum(std::uint8_t protocol, std::span<std::uint8_t> l4, Ipv4 old_source,
                        Ipv4 old_destination, Ipv4 new_source, Ipv4 new_destination) {
  std::size_t at = checksum_at(protocol);
  std::uint16_t checksum = get16(l4, at);
  if (protocol == kProtoUdp && checksum == 0) return;
  checksum = checksum_update32(checksum, old_source.value, new_source.value);
  checksum = checksum_update32(checksum, old_destination.value, new_destination.value);
  put16(l4, at, as_written(protocol, checksum));
}

void set_port(std::uint8_t protocol, std::span<std::uint8_t> l4, PortField field,
              std::uint16_t port) {
  std::size_t where = static_cast<std::size_t>(field), at = checksum_at(protocol);
  std::uint16_t before = get16(l4, where);
  if (before == port) return;
  put16(l4, where, port);
  std::uint16_t checksum = get16(l4, at);
  if (protocol == kProtoUdp && checksum == 0) return;
  put16(l4, at, as_written(protocol, checksum_update(checksum, before, port)));
}

bool clamp_mss(std::span<std::uint8_t> tcp, std::uint16_t mss) {
  if (tcp.size() < 20 || (tcp[13] & kTcpSyn) == 0) return false;
  std::size_t end = std::min(tcp.size(), std::size_t{tcp[12]} / 16 * 4);
  for (std::size_t i = 20; i < end && tcp[i] != 0;) {
    if (tcp[i] == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= end || tcp[i + 1] < 2 || i + tcp[i + 1] > end) return false;
    if (tcp[i] == 2 && tcp[i + 1] == 4) {
      std::uint16_t before = get16(tcp, i + 2);
      if (before <= mss) return false;
      put16(tcp, i + 2, mss);
      // An option at an odd offset puts its bytes into the other halves of the summed words.
      bool odd = (i + 2) % 2 != 0;
      auto swap = [odd](std::uint16_t v) {
        return odd ? static_cast<std::uint16_t>(v << 8 | v >> 8) : v;
      };
      put16(tcp, kTcpChecksum,
            checksum_update(get16(tcp, kTcpChecksum), swap(before), swap(mss)));
      return true;
    }
    i += tcp[i + 1];
  }
  return false;
}

std::uint16_t mss_for(std::size_t l4) {
  constexpr std::size_t kTcpHeader = 20, kLeast = 88, kMost = 65495;
  std::size_t mss = l4 > kTcpHeader ? l4 - kTcpHeader : 0;
  return static_cast<std::uint16_t>(std::clamp(mss, kLeast, kMost));
}

bool may_answer_with_icmp(const Ip4Packet& p) {
  if (p.fragment_offset != 0 || p.source.value == 0 || p.source.is_multicast_or_broadcast() ||
      p.destination.is_multicast_or_broadcast()) {
    return false;
  }
  if (p.protocol != kProtoIcmp) return true;
  // Only queries may be answered: echo, timestamp, address mask (types 8, 13, 17).
  return !p.l4.empty() && (p.l4[0] == 8 || p.l4[0] == 13 || p.l4[0] == 17);
}

Bytes make_icmp_error(const Ip4Packet& offending, Ipv4 self, std::uint8_t type, std::uint8_t code,
                      std::uint16_t mtu) {
  constexpr std::size_t kMax = 576;  // RFC 1812 4.3.2.3
  std::size_t room = kMax - kIpHeaderBytes - 8 - offending.header.size();
  std::size_t quoted = std::min(room, offending.l4.size());
  Bytes message(8);
  message[0] = type;
  message[1] = code;
  put16(message, 6, mtu);
  message.insert(message.end(), offending.header.begin(), offending.header.end());
  message.insert(message.end(), offending.l4.begin(),
                 offending.l4.begin() + static_cast<std::ptrdiff_t>(quoted));
  put16(message, 2, checksum_finish(checksum_add(message)));
  Ip4Fields fields;
  fields.source = self;
  fields.destination = offending.source;
  fields.protocol = kProtoIcmp;
  fields.tos = 0xc0;  // internetwork control
  fields.dont_fragment = false;
  auto header = make_ip4_header(fields, message.size());
  message.insert(message.begin(), header.begin(), header.end());
  return message;
}

std::optional<Bytes> make_rst(ByteView tcp, Ipv4 from, Ipv4 to) {
  auto segment = parse_segment(kProtoTcp, tcp);
  if (!segment || (segment->tcp_flags & kTcpRst) != 0) return std::nullopt;
  Bytes rst(20);
  put16(rst, 0, segment->destination_port);
  put16(rst, 2, segment->source_port);
  rst[12] = 5 << 4;
  if ((segment->tcp_flags & kTcpAck) != 0) {
    put32(rst, 4, segment->acknowledgement);
    rst[13] = kTcpRst;
  } else {
    std::size_t length = tcp.size() - segment->header_bytes;
    if ((segment->tcp_flags & kTcpSyn) != 0) ++length;
    if ((segment->tcp_flags & kTcpFin) != 0) ++length;
    put32(rst, 8, segment->sequence + static_cast<std::uint32_t>(length));
    rst[13] = kTcpRst | kTcpAck;
  }
  fill_segment_checksum(kProtoTcp, rst, from, to);
  return rst;
}

std::optional<Quoted> parse_icmp_error(ByteView m) {
  if (m.size() < 8 + kIpHeaderBytes + 8 || checksum_finish(checksum_add(m)) != 0) {
    return std::nullopt;
  }
  Quoted q;
  q.type = m[0];
  q.code = m[1];
  if (q.type != icmp::kUnreachable && q.type != icmp::kTimeExceeded) return std::nullopt;
  q.mtu = get16(m, 6);
  ByteView inner = m.subspan(8);
  std::size_t header = std::size_t{inner[0] & 15U} * 4;
  if (inner[0] >> 4 != 4 || header < kIpHeaderBytes || inner.size() < header + 8) {
    return std::nullopt;
  }
  if ((get16(inner, 6) & 0x1fff) != 0) return std::nullopt;
  q.protocol = inner[9];
  q.source = {get32(inner, 12)};
  q.destination = {get32(inner, 16)};
  q.source_port = get16(inner, header);
  q.destination_port = get16(inner, header + 2);
  return q;
}

}  // namespace dmsc::sgd
