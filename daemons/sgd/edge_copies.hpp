// Copies of the TCP segments that programs sent again (docs/protocol.md, U20). A segment that is sent again
// into a path that is dead, and nobody knows it yet, is lost like the first; the next try of the kernel comes
// only after twice the time. So the gateway sends its copy when routes change: to TCP a duplicate like any
// other. Pure, one thread; no memory before the first copy.
#pragma once
#include <array>
#include <functional>
#include <memory>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/ids.hpp"
#include "dmsc/core/time.hpp"

namespace dmsc::sgd {

class SegmentCopies {
 public:
  static constexpr std::size_t kMost = 256;          // flows; the oldest goes first
  static constexpr std::size_t kMostBytes = 1500;    // of a segment
  static constexpr Duration kYoung = seconds(1);     // older ones the kernel has sent again itself
  static constexpr unsigned kMostSent = 4;           // times that one copy is sent

  struct Copy {
    std::uint64_t flow = 0;
    NodeId peer;              // ingress of a flow that comes in; 0 = of one that goes out
    Time at{};
    std::uint8_t tos = 0;
    unsigned sent = 0;
    Bytes segment;            // as it travels
  };
  // In place of an earlier one of the flow.
  void keep(Time now, std::uint64_t flow, NodeId peer, std::uint8_t tos, ByteView segment);
  // Every young one that may still be sent; counts it as sent.
  void for_each(Time now, const std::function<void(const Copy&)>& send);
  std::size_t size() const { return used_; }

 private:
  std::unique_ptr<std::array<Copy, kMost>> copies_;
  std::size_t used_ = 0, next_ = 0;
};

}  // namespace dmsc::sgd
