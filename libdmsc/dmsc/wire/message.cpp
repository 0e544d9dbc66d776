#include "dmsc/wire/message.hpp"

#include <algorithm>

namespace dmsc::wire {

std::size_t segment_bytes(std::size_t header_bytes, std::size_t datagram_limit) {
  std::size_t room = datagram_limit > header_bytes ? datagram_limit - header_bytes : 0;
  return std::clamp(room, kMinSegmentBytes, kSegmentBytes);
}

Result<Segment> segment_of(const ServicePacket& packet) {
  const std::size_t size = packet.payload().size();
  auto tlv = packet.tlv(HeaderTlv::offset);
  if (!tlv) return Segment{0, static_cast<std::uint32_t>(size)};
  if (tlv->size() != 8) {
    return make_error(Errc::invalid, "offset TLV: ", std::to_string(tlv->size()),
                      " bytes, expected 8");
  }
  ByteReader reader(*tlv);
  Segment segment;
  segment.offset = reader.u32();
  segment.total = reader.u32();
  if (segment.total > kMaxMessageBytes) {
    return make_error(Errc::limit, "offset TLV: message of ", std::to_string(segment.total),
                      " bytes, at most ", std::to_string(kMaxMessageBytes));
  }
  if (segment.offset > segment.total || size > segment.total - segment.offset) {
    return make_error(Errc::invalid, "offset TLV: segment of ", std::to_string(size),
                      " bytes at ", std::to_string(segment.offset), " in a message of ",
                      std::to_string(segment.total));
  }
  if (size == 0 && segment.total != 0) {
    return make_error(Errc::invalid, "offset TLV: empty segment of a message of ",
                      std::to_string(segment.total), " bytes");
  }
  return segment;
}

bool ByteRanges::add(std::uint32_t from, std::uint32_t to) {
  if (from >= to || contains(from, to)) return false;
  // The ranges that [from, to) overlaps or touches become one.
  auto first = std::lower_bound(ranges_.begin(), ranges_.end(), from,
                                [](const Range& r, std::uint32_t v) { return r.second < v; });
  auto last = first;
  while (last != ranges_.end() && last->first <= to) {
    from = std::min(from, last->first);
    to = std::max(to, last->second);
    ++last;
  }
  if (first == last) {
    if (ranges_.size() >= kMaxHeldRanges) return false;
    ranges_.insert(first, {from, to});
    return true;
  }
  *first = {from, to};
  ranges_.erase(first + 1, last);
  return true;
}

bool ByteRanges::contains(std::uint32_t from, std::uint32_t to) const {
  auto it = std::upper_bound(ranges_.begin(), ranges_.end(), from,
                             [](std::uint32_t v, const Range& r) { return v < r.second; });
  return it != ranges_.end() && it->first <= from && to <= it->second;
}

std::uint32_t ByteRanges::cumulative() const {
  return !ranges_.empty() && ranges_.front().first == 0 ? ranges_.front().second : 0;
}

std::uint64_t ByteRanges::byte_count() const {
  std::uint64_t sum = 0;
  for (const Range& r : ranges_) sum += r.second - r.first;
  return sum;
}

Bytes encode_ack(const ByteRanges& held) {
  ByteWriter writer;
  writer.u32(held.cumulative());
  std::size_t count = 0;
  for (const auto& [from, to] : held.ranges()) {
    if (from == 0) continue;
    if (count++ == kMaxAckRanges) break;
    writer.u32(from).u32(to);
  }
  return writer.take();
}

Result<ByteRanges> decode_ack(ByteView value) {
  if (value.size() < 4 || (value.size() - 4) % 8 != 0 ||
      (value.size() - 4) / 8 > kMaxAckRanges) {
    return make_error(Errc::invalid, "ack TLV: ", std::to_string(value.size()),
                      " bytes, expected 4 + 8 n with n <= 31");
  }
  ByteReader reader(value);
  ByteRanges held;
  std::uint32_t end = reader.u32();
  if (end > kMaxMessageBytes) {
    return make_error(Errc::invalid, "ack TLV: cumulative part past 1 MiB");
  }
  held.add(0, end);
  while (reader.left() > 0) {
    std::uint32_t from = reader.u32();
    std::uint32_t to = reader.u32();
    if (from <= end || to <= from || to > kMaxMessageBytes) {
      return make_error(Errc::invalid, "ack TLV: range ", std::to_string(from), "-",
                        std::to_string(to), " after ", std::to_string(end));
    }
    held.add(from, to);
    end = to;
  }
  return held;
}

}  // namespace dmsc::wire
