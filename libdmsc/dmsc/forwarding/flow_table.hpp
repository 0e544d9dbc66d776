// The ingress gateway's memory of flows (DESIGN section 6): a flow stays with the egress and
// instance it was given while that instance lives. Bounded, least recently used out first, idle
// ones expire by the time handed in. One thread (a worker) owns a table; nothing here allocates
// after the constructor.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/forwarding/decision.hpp"

namespace dmsc::forwarding {

struct FlowPin {
  NodeId egress;
  InstanceId instance;
  bool established = false;  // an answer was seen: the flow has state at its instance
  friend bool operator==(const FlowPin&, const FlowPin&) = default;
};

class FlowTable {
 public:
  // `capacity` >= 1 flows (about 80 bytes each); a flow unused for `idle` or longer is gone. `seed`
  // is secret: flow ids of answers are a peer's input.
  FlowTable(std::size_t capacity, Duration idle, std::uint64_t seed);

  // The pin of a flow, which counts as a use of it; nullptr if there is none or it was idle too
  // long. Valid until the next call of a non-const member.
  const FlowPin* find(std::uint64_t flow, Time now);
  // Makes or replaces a pin. A full table lets its least recently used flow go.
  void pin(std::uint64_t flow, FlowPin pin, Time now);
  // Marks an answered flow; no effect if it is not pinned.
  void establish(std::uint64_t flow, Time now);
  bool erase(std::uint64_t flow);
  // Drops idle flows, at most `most` of them so that a packet loop is not held up. Returns how
  // many.
  std::size_t expire(Time now, std::size_t most = 64);

  // Most recently used first: for show commands and the hand-over at a restart.
  void for_each(
      const std::function<void(std::uint64_t flow, const FlowPin&, Time last_use)>& visit) const;
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return slots_.size(); }
  std::uint64_t evictions() const { return evictions_; }

 private:
  static constexpr std::uint32_t kNil = ~0U;
  struct Slot {
    std::uint64_t flow = 0;
    FlowPin pin;
    Time last_use;
    std::uint32_t newer = kNil, older = kNil;  // by use; `older` also chains the free slots
    std::uint32_t next = kNil;                 // in the hash chain
  };
  std::uint32_t& bucket_of(std::uint64_t flow);
  std::uint32_t lookup(std::uint64_t flow);
  void touch(std::uint32_t slot, Time now);
  void unlink(std::uint32_t slot);
  void push_newest(std::uint32_t slot);
  void release(std::uint32_t slot);

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> buckets_;
  Duration idle_;
  std::uint64_t seed_;
  std::uint32_t newest_ = kNil, oldest_ = kNil, free_ = kNil;
  std::size_t size_ = 0;
  std::uint64_t evictions_ = 0;
};

// Where a packet of `flow` goes: its pin while that instance serves(), else a new choice
// (choose_instance), which is pinned. A flow that is not established moves also when its egress
// cannot be reached; an established one does not (the caller answers egress-unreachable).
// nullopt: no instance can be reached.
std::optional<FlowPin> pin_flow(const Fib& fib, Instances instances, FlowTable& flows,
                                std::uint64_t flow, Time now, Below below = Below::no,
                                const InstanceLoad* load = nullptr);

}  // namespace dmsc::forwarding
