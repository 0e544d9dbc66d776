#include "dmsc/forwarding/flow_table.hpp"

#include <algorithm>

#include "dmsc/forwarding/name_hash.hpp"

namespace dmsc::forwarding {

FlowTable::FlowTable(std::size_t capacity, Duration idle, std::uint64_t seed)
    : slots_(std::clamp<std::size_t>(capacity, 1, kNil - 1)), idle_(idle), seed_(seed) {
  std::size_t buckets = 1;
  while (buckets < slots_.size()) buckets *= 2;
  buckets_.assign(buckets, kNil);
  for (std::size_t i = slots_.size(); i-- > 0;) {
    slots_[i].older = free_;
    free_ = static_cast<std::uint32_t>(i);
  }
}

std::uint32_t& FlowTable::bucket_of(std::uint64_t flow) {
  return buckets_[mix(mix(flow ^ seed_) + seed_) & (buckets_.size() - 1)];
}

std::uint32_t FlowTable::lookup(std::uint64_t flow) {
  std::uint32_t slot = bucket_of(flow);
  while (slot != kNil && slots_[slot].flow != flow) slot = slots_[slot].next;
  return slot;
}

void FlowTable::unlink(std::uint32_t slot) {
  Slot& s = slots_[slot];
  (s.newer == kNil ? newest_ : slots_[s.newer].older) = s.older;
  (s.older == kNil ? oldest_ : slots_[s.older].newer) = s.newer;
}

void FlowTable::push_newest(std::uint32_t slot) {
  Slot& s = slots_[slot];
  s.newer = kNil;
  s.older = newest_;
  (newest_ == kNil ? oldest_ : slots_[newest_].newer) = slot;
  newest_ = slot;
}

void FlowTable::touch(std::uint32_t slot, Time now) {
  slots_[slot].last_use = now;
  if (newest_ == slot) return;
  unlink(slot);
  push_newest(slot);
}

void FlowTable::release(std::uint32_t slot) {
  std::uint32_t* link = &bucket_of(slots_[slot].flow);
  while (*link != slot) link = &slots_[*link].next;
  *link = slots_[slot].next;
  unlink(slot);
  slots_[slot].older = free_;
  free_ = slot;
  --size_;
}

const FlowPin* FlowTable::find(std::uint64_t flow, Time now) {
  std::uint32_t slot = lookup(flow);
  if (slot == kNil) return nullptr;
  if (now - slots_[slot].last_use >= idle_) {
    release(slot);
    return nullptr;
  }
  touch(slot, now);
  return &slots_[slot].pin;
}

void FlowTable::pin(std::uint64_t flow, FlowPin pin, Time now) {
  std::uint32_t slot = lookup(flow);
  if (slot != kNil) {
    slots_[slot].pin = pin;
    touch(slot, now);
    return;
  }
  if (free_ == kNil) {
    release(oldest_);
    ++evictions_;
  }
  slot = free_;
  free_ = slots_[slot].older;
  std::uint32_t& bucket = bucket_of(flow);
  slots_[slot] = Slot{flow, pin, now, kNil, kNil, bucket};
  bucket = slot;
  push_newest(slot);
  ++size_;
}

void FlowTable::establish(std::uint64_t flow, Time now) {
  std::uint32_t slot = lookup(flow);
  if (slot == kNil) return;
  slots_[slot].pin.established = true;
  touch(slot, now);
}

bool FlowTable::erase(std::uint64_t flow) {
  std::uint32_t slot = lookup(flow);
  if (slot == kNil) return false;
  release(slot);
  return true;
}

std::size_t FlowTable::expire(Time now, std::size_t most) {
  std::size_t dropped = 0;
  for (; dropped < most && oldest_ != kNil; ++dropped) {
    if (now - slots_[oldest_].last_use < idle_) break;
    release(oldest_);
  }
  return dropped;
}

void FlowTable::for_each(
    const std::function<void(std::uint64_t, const FlowPin&, Time)>& visit) const {
  for (std::uint32_t slot = newest_; slot != kNil; slot = slots_[slot].older) {
    visit(slots_[slot].flow, slots_[slot].pin, slots_[slot].last_use);
  }
}

std::optional<FlowPin> pin_flow(const Fib& fib, Instances instances, FlowTable& flows,
                                std::uint64_t flow, Time now, Below below,
                                const InstanceLoad* load) {
  if (const FlowPin* pin = flows.find(flow, now)) {
    bool lives = serves(fib, instances, pin->egress, pin->instance);
    if (lives && (pin->established || can_reach(fib, pin->egress))) return *pin;
  }
  const InstanceEntry* chosen = choose_instance(fib, instances, flow, below, load);
  if (chosen == nullptr) return std::nullopt;
  FlowPin pin{chosen->egress, chosen->id, false};
  flows.pin(flow, pin, now);
  return pin;
}

}  // namespace dmsc::forwarding
