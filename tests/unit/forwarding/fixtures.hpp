// What the tests of this room share.
#pragma once
#include <deque>
#include <string_view>
#include <vector>

#include "dmsc/forwarding/decision.hpp"

namespace dmsc::forwarding {

inline Name name(std::string_view text) { return Name::parse(text).value(); }

inline NextHop hop(std::uint32_t link, std::uint32_t neighbour) {
  return {link, NodeId{neighbour}};
}

inline InstanceEntry instance(std::uint32_t egress, std::uint16_t id, std::uint32_t weight = 1) {
  return {NodeId{egress}, InstanceId{id}, false, true, weight};
}

inline PrefixRoute group(std::string_view prefix, std::vector<InstanceEntry> instances,
                         bool covering = false) {
  return {name(prefix), covering, std::move(instances)};
}

// Frees nothing until told, like a reader that has not come to its quiescent point.
class HoldingReclaimer : public Reclaimer {
 public:
  ~HoldingReclaimer() override { release(); }
  void retire(std::function<void()> free) override { held_.push_back(std::move(free)); }
  void release() {
    for (auto& free : held_) free();
    held_.clear();
  }
  std::size_t held() const { return held_.size(); }

 private:
  std::deque<std::function<void()>> held_;
};

struct TestFib {
  ImmediateReclaimer reclaimer;
  Fib fib{crypto::Key16{1, 2, 3}, reclaimer};
};

// A packet in its own buffer.
struct TestPacket {
  explicit TestPacket(const wire::ServicePacketSpec& spec)
      : raw(wire::build_service_packet(spec, as_bytes("x")).value()),
        packet(wire::ServicePacket::parse(raw).value()) {}
  Bytes raw;
  wire::ServicePacket packet;
};

inline wire::ServicePacketSpec packet_to(std::uint32_t egress,
                                         std::string_view destination = "B/4") {
  wire::ServicePacketSpec spec;
  spec.egress = NodeId{egress};
  spec.ingress = NodeId{1};
  spec.destination = destination;
  return spec;
}

}  // namespace dmsc::forwarding
