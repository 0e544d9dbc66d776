// Messages over service packets (docs/protocol.md, "Messages"): a request or response of up to
// 1 MiB travels as segments, each in its own packet with the `offset` TLV; receivers say what they
// hold with the `ack` TLV, as byte ranges, so neither side needs the other's segment size.
//
//   offset TLV: { offset 32, total 32 }            absent = the whole message is in this packet
//   ack TLV:    { cumulative 32, n x { from 32, to 32 } }   n <= 31, ranges ascending and apart
#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "dmsc/wire/service_header.hpp"

namespace dmsc::wire {

inline constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 20;
// Payload bytes of a full segment when the header leaves room for it.
inline constexpr std::size_t kSegmentBytes = 1200;
inline constexpr std::size_t kMinSegmentBytes = 256;
inline constexpr std::size_t kMaxAckRanges = 31;
// A receiver holds at most this many separate ranges of one message; a segment that would make one
// more is dropped and comes again by retransmission.
inline constexpr std::size_t kMaxHeldRanges = 1024;

// Payload bytes per segment for a header of `header_bytes` in datagrams of at most
// `datagram_limit` bytes: at most kSegmentBytes, at least kMinSegmentBytes.
std::size_t segment_bytes(std::size_t header_bytes, std::size_t datagram_limit);

// Where a packet's payload belongs in its message.
struct Segment {
  std::uint32_t offset = 0;
  std::uint32_t total = 0;
};
// From the offset TLV and the payload's length. Errors: a TLV that is not 8 bytes (malformed), a
// total over kMaxMessageBytes (limit), a segment past the total, an empty one of a non-empty
// message (invalid).
Result<Segment> segment_of(const ServicePacket& packet);

// A set of byte positions, kept as ascending half-open ranges that do not touch.
class ByteRanges {
 public:
  using Range = std::pair<std::uint32_t, std::uint32_t>;
  // Adds [from, to). False if it was wholly present already or would need more than
  // kMaxHeldRanges ranges; then nothing changes.
  bool add(std::uint32_t from, std::uint32_t to);
  bool contains(std::uint32_t from, std::uint32_t to) const;
  // True if [0, total) is present.
  bool complete(std::uint32_t total) const { return total == 0 || contains(0, total); }
  // Length of the part that starts at 0.
  std::uint32_t cumulative() const;
  std::uint64_t byte_count() const;
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

// The ack TLV's value for what a receiver holds. Ranges past the first kMaxAckRanges after the
// cumulative part are left out.
Bytes encode_ack(const ByteRanges& held);
// Errors: wrong length (malformed), ranges that are empty, out of order, touching, or past
// kMaxMessageBytes (invalid).
Result<ByteRanges> decode_ack(ByteView value);

}  // namespace dmsc::wire
