// What a TUN device with IFF_VNET_HDR trades with the kernel: large TCP segments (TSO, and its reverse) and trains
// of UDP datagrams (USO: UDP_SEGMENT of who sends, UDP_GRO of who receives) in one read or write, and
// checksums left to the other side. Pure; linux/virtio_net.h is the
// format's reference.
#pragma once
#include <sys/uio.h>

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "sgd/edge_packet.hpp"

namespace dmsc::sgd {

inline constexpr std::size_t kVnetBytes = 10;  // struct virtio_net_hdr, little-endian

struct VnetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;                  // flags
  static constexpr std::uint8_t kGsoNone = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoUdp = 5, kGsoEcn = 0x80;  // gso_type
  std::uint8_t flags = 0, gso_type = 0;
  std::uint16_t header_bytes = 0, gso_size = 0, checksum_start = 0, checksum_offset = 0;
  std::uint8_t kind() const { return gso_type & static_cast<std::uint8_t>(~kGsoEcn); }
};
VnetHeader decode_vnet(std::span<const std::uint8_t, kVnetBytes> bytes);
std::array<std::uint8_t, kVnetBytes> encode_vnet(const VnetHeader& header);

// Of one piece of a large segment or a train of datagrams, whose header is a copy of the whole's: all that differs
// but the checksum. `from`: where its data starts in the whole.
void fit_piece(std::span<std::uint8_t> l4, const Segment& whole, std::size_t from, bool last);

// Turns one frame read from a TUN into packets with right checksums.
class Segmenter {
 public:
  // `headroom` free bytes stand in front of every packet handed out.
  explicit Segmenter(std::size_t headroom);
  using Emit = std::function<void(std::span<std::uint8_t> buffer, std::size_t at)>;
  // `buffer[at...]` is the packet behind `header`. Small frames are handed on in place, large ones cut
  // into a buffer of the segmenter's own. False: the header contradicts the packet.
  bool split(const VnetHeader& header, std::span<std::uint8_t> buffer, std::size_t at,
             const Emit& emit);

 private:
  bool cut(const VnetHeader& header, std::span<std::uint8_t> packet, const Emit& emit);
  std::size_t headroom_;
  Bytes piece_;
};

// Joins TCP segments of one connection that follow each other into one frame, as a network card does
// (GRO): same headers but sequence, length and PSH, all but the last of one size, checksums right. And
// UDP datagrams of one flow: same headers but length, all but the last of one size, checksums there and right. Data
// that stays where it is until the frame has been written is not copied.
class Joiner {
 public:
  static constexpr std::size_t kMaxBytes = 65000, kMaxSegments = 256;
  static constexpr std::size_t kMaxDatagrams = 64;  // UDP_MAX_SEGMENTS of older kernels
  // True if the packet was taken; else flush() first what is held, then offer it again or write it.
  bool add(ByteView ip_header, ByteView l4, bool stays = false);
  bool empty() const { return segments_ == 0; }
  // What the frame is to the kernel, as VnetHeader's.
  std::uint8_t kind() const {
    if (segments_ < 2) return VnetHeader::kGsoNone;
    return head_[kVnetBytes + 9] == kProtoUdp ? VnetHeader::kGsoUdp : VnetHeader::kGsoTcp4;
  }
  // True if nothing can follow: write it now.
  bool complete() const { return closed_; }
  // The frame with its vnet header in front, in parts; they hold until clear().
  std::span<const iovec> frame();
  void clear();

 private:
  void first(ByteView ip_header, ByteView l4, const Segment& segment);
  bool follows(ByteView ip_header, ByteView l4, const Segment& segment) const;
  void hold(ByteView data, bool stays);
  std::array<std::uint8_t, kVnetBytes + kIpHeaderBytes + 60> head_{};
  std::vector<iovec> parts_;  // the head, then data
  Bytes copied_;              // of data that does not stay; never grows while it holds some
  std::size_t segments_ = 0, l4_header_ = 0, segment_bytes_ = 0, data_bytes_ = 0;
  std::uint32_t next_sequence_ = 0;
  bool closed_ = false;
};

}  // namespace dmsc::sgd
