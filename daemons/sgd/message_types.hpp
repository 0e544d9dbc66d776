// What the two halves of the message engine share: where a call is pinned, how messages are put
// together again, and the bounds both keep (docs/protocol.md, "Messages").
//
//   program ─ message.sock ─► IngressCalls ─ request segments ─► network ─► EgressCalls ─► program
//            ◄── outcome ────      ▲  ▲  └── acks of the response ───────►    │   │
//                                  │  └────── acks of the request ────────────┘   │
//                                  └───────── response segments, errors ──────────┘
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/wire/message.hpp"

namespace dmsc::sgd {

// (egress node, instance): where the ingress sends a flow (DESIGN section 6).
struct Pin {
  NodeId egress;          // 0 = forwarded by name at every hop
  InstanceId instance;    // 0 = any at the egress
  friend auto operator<=>(const Pin&, const Pin&) = default;
};

// Receives the segments of one message.
class Assembler {
 public:
  explicit Assembler(std::uint32_t total) : data_(total) {}
  // False if it held all of the segment already, or cannot take it (docs: at most 1,024 ranges).
  bool add(const wire::Segment& segment, ByteView payload) {
    auto size = static_cast<std::uint32_t>(payload.size());
    if (segment.total != data_.size() || !held_.add(segment.offset, segment.offset + size)) {
      return false;
    }
    std::copy(payload.begin(), payload.end(), data_.begin() + segment.offset);
    return true;
  }
  bool complete() const { return held_.complete(total()); }
  // True while something is missing below what is held.
  bool has_gap() const { return !held_.ranges().empty() && held_.byte_count() > held_.cumulative(); }
  std::uint32_t total() const { return static_cast<std::uint32_t>(data_.size()); }
  const wire::ByteRanges& held() const { return held_; }
  Bytes take() { return std::move(data_); }

 private:
  Bytes data_;
  wire::ByteRanges held_;
};

inline wire::ByteRanges whole_message(std::size_t total) {
  wire::ByteRanges all;
  all.add(0, static_cast<std::uint32_t>(total));
  return all;
}

// Acknowledge at least every fourth segment, and none later than this.
inline constexpr unsigned kAckEvery = 4;
inline constexpr Duration kAckDelay = milliseconds(20);
// Empty record slots of a traced request: nodes on the way there; the reply carries as many more.
inline constexpr std::uint8_t kRecordSlots = 16;

}  // namespace dmsc::sgd
