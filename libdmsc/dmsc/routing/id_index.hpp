// A hash index of small integers that name elements kept elsewhere: open addressing, eight bytes a
// slot. The hash is beside the id, so that neither looking, growing nor closing a gap reads
// elements, which are spread over all of memory when there are a million.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dmsc::routing {

class IdIndex {
 public:
  static constexpr std::uint32_t kNone = ~0U;

  // The id for which matches(id) holds among those of that hash; kNone if there is none.
  template <class Matches>
  std::uint32_t find(std::uint32_t hash, Matches matches) const {
    if (slots_.empty()) return kNone;
    for (std::size_t i = hash & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.id == kNone || (slot.hash == hash && matches(slot.id))) return slot.id;
    }
  }
  // `id` must not be in.
  void insert(std::uint32_t hash, std::uint32_t id) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    place({hash, id});
    ++size_;
  }
  // `id` must be in, under that hash. Later ids of the probe path move up, so that no tombstone is
  // left.
  void erase(std::uint32_t hash, std::uint32_t id) {
    std::size_t gap = hash & mask();
    while (slots_[gap].id != id) gap = (gap + 1) & mask();
    for (std::size_t i = (gap + 1) & mask(); slots_[i].id != kNone; i = (i + 1) & mask()) {
      std::size_t home = slots_[i].hash & mask();
      if (((i - home) & mask()) < ((i - gap) & mask())) continue;  // its home lies behind the gap
      slots_[gap] = slots_[i];
      gap = i;
    }
    slots_[gap] = {};
    --size_;
  }
  // Brings the slots of that hash towards the cache.
  void prefetch(std::uint32_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & mask()]);
  }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t id = kNone;
  };
  std::size_t mask() const { return slots_.size() - 1; }
  void place(Slot slot) {
    std::size_t i = slot.hash & mask();
    while (slots_[i].id != kNone) i = (i + 1) & mask();
    slots_[i] = slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.id != kNone) place(slot);
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace dmsc::routing
