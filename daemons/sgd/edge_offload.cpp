#include "sgd/edge_offload.hpp"

#include <algorithm>

namespace dmsc::sgd {
namespace {

constexpr std::size_t kTcpChecksumAt = 16, kTcpSequenceAt = 4, kTcpFlagsAt = 13;
constexpr std::size_t kUdpLengthAt = 4, kUdpChecksumAt = 6;
constexpr std::uint8_t kTcpPsh = 8, kTcpCwr = 128;

std::uint16_t little16(ByteView b, std::size_t at) {
  return static_cast<std::uint16_t>(b[at] | b[at + 1] << 8);
}
void put16(std::span<std::uint8_t> b, std::size_t at, std::size_t v) {
  b[at] = static_cast<std::uint8_t>(v >> 8);
  b[at + 1] = static_cast<std::uint8_t>(v);
}
void put32(std::span<std::uint8_t> b, std::size_t at, std::uint32_t v) {
  put16(b, at, v >> 16);
  put16(b, at + 2, v & 0xffff);
}

Ipv4 address_at(ByteView header, std::size_t at) {
  return {std::uint32_t{header[at]} << 24 | std::uint32_t{header[at + 1]} << 16 |
          std::uint32_t{header[at + 2]} << 8 | header[at + 3]};
}

// Length and checksum of an IPv4 header for `l4` bytes behind it.
void refit(std::span<std::uint8_t> header, std::size_t l4) {
  put16(header, 2, header.size() + l4);
  put16(header, 10, 0);
  put16(header, 10, checksum_finish(checksum_add(header)));
}

}  // namespace

void fit_piece(std::span<std::uint8_t> l4, const Segment& whole, std::size_t from, bool last) {
  if (whole.protocol == L4::udp) return put16(l4, kUdpLengthAt, l4.size());
  put32(l4, kTcpSequenceAt, whole.sequence + static_cast<std::uint32_t>(from));
  std::uint8_t flags = whole.tcp_flags;
  if (!last) flags &= static_cast<std::uint8_t>(~(kTcpFin | kTcpPsh));
  if (from > 0) flags &= static_cast<std::uint8_t>(~kTcpCwr);
  l4[kTcpFlagsAt] = flags;
}

VnetHeader decode_vnet(std::span<const std::uint8_t, kVnetBytes> b) {
  VnetHeader h;
  h.flags = b[0];
  h.gso_type = b[1];
  h.header_bytes = little16(b, 2);
  h.gso_size = little16(b, 4);
  h.checksum_start = little16(b, 6);
  h.checksum_offset = little16(b, 8);
  return h;
}

std::array<std::uint8_t, kVnetBytes> encode_vnet(const VnetHeader& h) {
  std::array<std::uint8_t, kVnetBytes> b{h.flags, h.gso_type};
  const std::uint16_t words[] = {h.header_bytes, h.gso_size, h.checksum_start, h.checksum_offset};
  for (std::size_t i = 0; i < 4; ++i) {
    b[2 + 2 * i] = static_cast<std::uint8_t>(words[i]);
    b[3 + 2 * i] = static_cast<std::uint8_t>(words[i] >> 8);
  }
  return b;
}

Segmenter::Segmenter(std::size_t headroom) : headroom_(headroom), piece_(headroom + 65535) {}

bool Segmenter::split(const VnetHeader& header, std::span<std::uint8_t> buffer, std::size_t at,
                      const Emit& emit) {
  auto packet = buffer.subspan(at);
  const std::uint8_t type = header.kind();
  if (type == VnetHeader::kGsoTcp4 || type == VnetHeader::kGsoUdp) return cut(header, packet, emit);
  if (type != VnetHeader::kGsoNone) return false;
  if ((header.flags & VnetHeader::kNeedsChecksum) != 0) {
    std::size_t field = std::size_t{header.checksum_start} + header.checksum_offset;
    if (header.checksum_start > packet.size() || field + 2 > packet.size()) return false;
    // The field holds the pseudo-header's sum already. All ones is right for UDP and TCP alike.
    std::uint16_t sum = checksum_finish(checksum_add(packet.subspan(header.checksum_start)));
    put16(packet, field, sum == 0 ? 0xffff : sum);
  }
  emit(buffer, at);
  return true;
}

bool Segmenter::cut(const VnetHeader& header, std::span<std::uint8_t> packet, const Emit& emit) {
  auto ip = parse_ip4(packet);
  const std::uint8_t protocol = header.kind() == VnetHeader::kGsoUdp ? kProtoUdp : kProtoTcp;
  if (!ip || ip->protocol != protocol || ip->is_fragment() || header.gso_size == 0) return false;
  auto whole = parse_segment(protocol, ip->l4);
  if (!whole) return false;
  const std::size_t headers = ip->header.size() + whole->header_bytes;
  auto data = ip->l4.subspan(whole->header_bytes);
  for (std::size_t from = 0; from < data.size(); from += header.gso_size) {
    std::size_t size = std::min<std::size_t>(header.gso_size, data.size() - from);
    auto out = std::span(piece_).subspan(headroom_, headers + size);
    std::copy_n(packet.begin(), headers, out.begin());
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(from), size,
                out.begin() + static_cast<std::ptrdiff_t>(headers));
    refit(out.first(ip->header.size()), whole->header_bytes + size);
    auto l4 = out.subspan(ip->header.size());
    fit_piece(l4, *whole, from, from + size == data.size());
    fill_segment_checksum(protocol, l4, ip->source, ip->destination);
    emit(std::span(piece_).first(headroom_ + headers + size), headroom_);
  }
  return true;
}

void Joiner::first(ByteView ip_header, ByteView l4, const Segment& segment) {
  l4_header_ = segment.header_bytes;
  std::fill_n(head_.begin(), kVnetBytes, std::uint8_t{0});
  std::copy(ip_header.begin(), ip_header.end(), head_.begin() + kVnetBytes);
  std::copy_n(l4.begin(), l4_header_, head_.begin() + kVnetBytes + kIpHeaderBytes);
  parts_.assign(1, {head_.data(), kVnetBytes + kIpHeaderBytes + l4_header_});
  copied_.clear();
  segment_bytes_ = l4.size() - l4_header_;
  data_bytes_ = 0;
  next_sequence_ = segment.sequence;
}

void Joiner::hold(ByteView data, bool stays) {
  if (!stays) {
    copied_.reserve(kMaxBytes);  // so that no part moves
    copied_.insert(copied_.end(), data.begin(), data.end());
    data = ByteView(copied_).last(data.size());
  }
  parts_.push_back({const_cast<std::uint8_t*>(data.data()), data.size()});  // writev() only reads
  ++segments_;
  data_bytes_ += data.size();
  next_sequence_ += static_cast<std::uint32_t>(data.size());
}

bool Joiner::follows(ByteView ip_header, ByteView l4, const Segment& segment) const {
  const bool udp = segment.protocol == L4::udp;
  const std::size_t bytes = kIpHeaderBytes + l4_header_ + data_bytes_;
  if (closed_ || segment.header_bytes != l4_header_ || (!udp && segment.sequence != next_sequence_) ||
      segments_ >= (udp ? kMaxDatagrams : kMaxSegments) ||
      l4.size() - l4_header_ > segment_bytes_ || bytes + l4.size() - l4_header_ > kMaxBytes) {
    return false;
  }
  ByteView held(head_);
  ByteView ip = held.subspan(kVnetBytes, kIpHeaderBytes);
  ByteView head = held.subspan(kVnetBytes + kIpHeaderBytes, l4_header_);
  auto same = [](ByteView a, ByteView b, std::size_t from, std::size_t to) {
    return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from),
                      a.begin() + static_cast<std::ptrdiff_t>(to),
                      b.begin() + static_cast<std::ptrdiff_t>(from));
  };
  // All of IP but length and checksum, the protocol among it; and the ports.
  if (!same(ip, ip_header, 0, 2) || !same(ip, ip_header, 4, 10) || !same(ip, ip_header, 12, 20) ||
      !same(head, l4, 0, 4)) {
    return false;
  }
  // All of TCP but sequence, flags and checksum.
  return udp || (same(head, l4, 8, kTcpFlagsAt) && same(head, l4, 14, kTcpChecksumAt) &&
                 same(head, l4, 18, l4_header_));
}

namespace {

// What can be part of a frame at all.
std::optional<Segment> joinable(ByteView ip_header, ByteView l4) {
  if (ip_header.size() != kIpHeaderBytes || (ip_header[6] & 0x3f) != 0 || ip_header[7] != 0) {
    return std::nullopt;
  }
  const std::uint8_t protocol = ip_header[9];
  auto segment = parse_segment(protocol, l4);
  if (!segment || l4.size() == segment->header_bytes ||
      kIpHeaderBytes + l4.size() > Joiner::kMaxBytes) {
    return std::nullopt;
  }
  const bool fits = protocol == kProtoUdp ? l4[kUdpChecksumAt] != 0 || l4[kUdpChecksumAt + 1] != 0
                                          : (segment->tcp_flags & ~kTcpPsh) == kTcpAck;
  return fits ? segment : std::nullopt;
}

}  // namespace

bool Joiner::add(ByteView ip_header, ByteView l4, bool stays) {
  auto segment = joinable(ip_header, l4);
  if (!segment || (!empty() && !follows(ip_header, l4, *segment))) return false;
  if (!segment_checksum_ok(ip_header[9], l4, address_at(ip_header, 12), address_at(ip_header, 16))) {
    return false;
  }
  if (empty()) first(ip_header, l4, *segment);
  const bool push = (segment->tcp_flags & kTcpPsh) != 0;
  if (push) head_[kVnetBytes + kIpHeaderBytes + kTcpFlagsAt] |= kTcpPsh;
  hold(l4.subspan(l4_header_), stays);
  closed_ = push || l4.size() - l4_header_ < segment_bytes_;
  return true;
}

std::span<const iovec> Joiner::frame() {
  if (segments_ < 2) return parts_;
  auto ip = std::span(head_).subspan(kVnetBytes, kIpHeaderBytes);
  auto head = std::span(head_).subspan(kVnetBytes + kIpHeaderBytes, l4_header_);
  const bool udp = ip[9] == kProtoUdp;
  const std::size_t l4 = l4_header_ + data_bytes_;
  refit(ip, l4);
  VnetHeader h;
  h.flags = VnetHeader::kNeedsChecksum;
  h.gso_type = kind();
  h.header_bytes = static_cast<std::uint16_t>(kIpHeaderBytes + l4_header_);
  h.gso_size = static_cast<std::uint16_t>(segment_bytes_);
  h.checksum_start = kIpHeaderBytes;
  h.checksum_offset = udp ? kUdpChecksumAt : kTcpChecksumAt;
  auto bytes = encode_vnet(h);
  std::copy(bytes.begin(), bytes.end(), head_.begin());
  if (udp) put16(head, kUdpLengthAt, l4);
  // The kernel adds the segments' own sums to this one of the pseudo-header.
  std::uint32_t sum = checksum_add(ip.subspan(12, 8)) + ip[9] + static_cast<std::uint32_t>(l4);
  put16(head, h.checksum_offset, static_cast<std::uint16_t>(~checksum_finish(sum)));
  return parts_;
}

void Joiner::clear() {
  parts_.clear();
  copied_.clear();
  segments_ = 0;
  closed_ = false;
}

}  // namespace dmsc::sgd
