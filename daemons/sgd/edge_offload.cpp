#include "sgd/edge_offload.hpp"

#include <algorithm>

namespace dmsc::sgd {
namespace {

constexpr std::size_t kTcpChecksumAt = 16, kTcpSequenceAt = 4, kTcpFlagsAt = 13;
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
  std::uint8_t type = header.gso_type & static_cast<std::uint8_t>(~VnetHeader::kGsoEcn);
  if (type == VnetHeader::kGsoTcp4) return cut(header, packet, emit);
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
  if (!ip || ip->protocol != kProtoTcp || ip->is_fragment() || header.gso_size == 0) return false;
  auto tcp = parse_segment(kProtoTcp, ip->l4);
  if (!tcp) return false;
  std::size_t headers = ip->header.size() + tcp->header_bytes;
  auto data = ip->l4.subspan(tcp->header_bytes);
  std::uint8_t flags = tcp->tcp_flags;
  for (std::size_t from = 0; from < data.size(); from += header.gso_size) {
    std::size_t size = std::min<std::size_t>(header.gso_size, data.size() - from);
    auto out = std::span(piece_).subspan(headroom_, headers + size);
    std::copy_n(packet.begin(), headers, out.begin());
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(from), size,
                out.begin() + static_cast<std::ptrdiff_t>(headers));
    refit(out.first(ip->header.size()), tcp->header_bytes + size);
    auto l4 = out.subspan(ip->header.size());
    put32(l4, kTcpSequenceAt, tcp->sequence + static_cast<std::uint32_t>(from));
    std::uint8_t own = flags;
    if (from + size < data.size()) own &= static_cast<std::uint8_t>(~(kTcpFin | kTcpPsh));
    if (from > 0) own &= static_cast<std::uint8_t>(~kTcpCwr);
    l4[kTcpFlagsAt] = own;
    fill_segment_checksum(kProtoTcp, l4, ip->source, ip->destination);
    emit(std::span(piece_).first(headroom_ + headers + size), headroom_);
  }
  return true;
}

void Joiner::first(ByteView ip_header, ByteView l4, const Segment& segment) {
  tcp_header_ = segment.header_bytes;
  std::fill_n(head_.begin(), kVnetBytes, std::uint8_t{0});
  std::copy(ip_header.begin(), ip_header.end(), head_.begin() + kVnetBytes);
  std::copy_n(l4.begin(), tcp_header_, head_.begin() + kVnetBytes + kIpHeaderBytes);
  parts_.assign(1, {head_.data(), kVnetBytes + kIpHeaderBytes + tcp_header_});
  copied_.clear();
  segment_bytes_ = l4.size() - tcp_header_;
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
  const std::size_t bytes = kIpHeaderBytes + tcp_header_ + data_bytes_;
  if (closed_ || segment.sequence != next_sequence_ || segment.header_bytes != tcp_header_ ||
      segments_ >= kMaxSegments || l4.size() - tcp_header_ > segment_bytes_ ||
      bytes + l4.size() - tcp_header_ > kMaxBytes) {
    return false;
  }
  ByteView held(head_);
  ByteView ip = held.subspan(kVnetBytes, kIpHeaderBytes);
  ByteView tcp = held.subspan(kVnetBytes + kIpHeaderBytes, tcp_header_);
  auto same = [](ByteView a, ByteView b, std::size_t from, std::size_t to) {
    return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from),
                      a.begin() + static_cast<std::ptrdiff_t>(to),
                      b.begin() + static_cast<std::ptrdiff_t>(from));
  };
  // All of IP but length and checksum; all of TCP but sequence, flags and checksum.
  return same(ip, ip_header, 0, 2) && same(ip, ip_header, 4, 10) && same(ip, ip_header, 12, 20) &&
         same(tcp, l4, 0, kTcpSequenceAt) && same(tcp, l4, 8, kTcpFlagsAt) &&
         same(tcp, l4, 14, kTcpChecksumAt) && same(tcp, l4, 18, tcp_header_);
}

bool Joiner::add(ByteView ip_header, ByteView l4, bool stays) {
  if (ip_header.size() != kIpHeaderBytes || ip_header[9] != kProtoTcp || (ip_header[6] & 0x3f) != 0 ||
      ip_header[7] != 0) {
    return false;
  }
  auto segment = parse_segment(kProtoTcp, l4);
  if (!segment || (segment->tcp_flags & ~kTcpPsh) != kTcpAck || l4.size() == segment->header_bytes ||
      kIpHeaderBytes + l4.size() > kMaxBytes) {
    return false;
  }
  if (!empty() && !follows(ip_header, l4, *segment)) return false;
  if (!segment_checksum_ok(kProtoTcp, l4, address_at(ip_header, 12), address_at(ip_header, 16))) {
    return false;
  }
  if (empty()) first(ip_header, l4, *segment);
  const bool push = (segment->tcp_flags & kTcpPsh) != 0;
  if (push) head_[kVnetBytes + kIpHeaderBytes + kTcpFlagsAt] |= kTcpPsh;
  hold(l4.subspan(tcp_header_), stays);
  closed_ = push || l4.size() - tcp_header_ < segment_bytes_;
  return true;
}

std::span<const iovec> Joiner::frame() {
  if (segments_ < 2) return parts_;
  auto ip = std::span(head_).subspan(kVnetBytes, kIpHeaderBytes);
  auto tcp = std::span(head_).subspan(kVnetBytes + kIpHeaderBytes, tcp_header_);
  const std::size_t l4 = tcp_header_ + data_bytes_;
  put16(ip, 2, kIpHeaderBytes + l4);
  put16(ip, 10, 0);
  put16(ip, 10, checksum_finish(checksum_add(ip)));
  VnetHeader h;
  h.flags = VnetHeader::kNeedsChecksum;
  h.gso_type = VnetHeader::kGsoTcp4;
  h.header_bytes = static_cast<std::uint16_t>(kIpHeaderBytes + tcp_header_);
  h.gso_size = static_cast<std::uint16_t>(segment_bytes_);
  h.checksum_start = kIpHeaderBytes;
  h.checksum_offset = kTcpChecksumAt;
  auto bytes = encode_vnet(h);
  std::copy(bytes.begin(), bytes.end(), head_.begin());
  // The kernel adds the segments' own sums to this one of the pseudo-header.
  std::uint32_t sum =
      checksum_add(ip.subspan(12, 8)) + kProtoTcp + static_cast<std::uint32_t>(l4);
  put16(tcp, kTcpChecksumAt, static_cast<std::uint16_t>(~checksum_finish(sum)));
  return parts_;
}

void Joiner::clear() {
  parts_.clear();
  copied_.clear();
  segments_ = 0;
  closed_ = false;
}

}  // namespace dmsc::sgd
