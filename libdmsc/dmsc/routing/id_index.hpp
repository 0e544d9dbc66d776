// A hash index of small integers that name elements kept elsewhere: open addressing, four bytes a
// slot. The owner of the elements knows their hashes and compares them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dmsc::routing {

class IdIndex {
 public:
  static constexpr std::uint32_t kNone = ~0U;

  // The id for which matches(id) holds among those that may have `hash`; kNone if there is none.
  template <class Matches>
  std::uint32_t find(std::uint32_t hash, Matches matches) const {
    if (slots_.empty()) return kNone;
    for (std::size_t i = hash & mask();; i = (i + 1) & mask()) {
      std::uint32_t id = slots_[i];
      if (id == kNone || matches(id)) return id;
    }
  }
  // `id` must not be in. hash_of(id) gives the hash of any id that is.
  template <class HashOf>
  void insert(std::uint32_t hash, std::uint32_t id, HashOf hash_of) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow(hash_of);
    place(hash, id);
    ++size_;
  }
  // `id` must be in. Later ids of the probe path move up, so that no tombstone is left.
  template <class HashOf>
  void erase(std::uint32_t hash, std::uint32_t id, HashOf hash_of) {
    std::size_t gap = hash & mask();
    while (slots_[gap] != id) gap = (gap + 1) & mask();
    for (std::size_t i = (gap + 1) & mask(); slots_[i] != kNone; i = (i + 1) & mask()) {
      std::size_t home = hash_of(slots_[i]) & mask();
      if (((i - home) & mask()) < ((i - gap) & mask())) continue;  // its home lies behind the gap
      slots_[gap] = slots_[i];
      gap = i;
    }
    slots_[gap] = kNone;
    --size_;
  }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return slots_.capacity() * sizeof(std::uint32_t); }

 private:
  std::size_t mask() const { return slots_.size() - 1; }
  void place(std::uint32_t hash, std::uint32_t id) {
    std::size_t i = hash & mask();
    while (slots_[i] != kNone) i = (i + 1) & mask();
    slots_[i] = id;
  }
  template <class HashOf>
  void grow(HashOf hash_of) {
    std::vector<std::uint32_t> old(slots_.empty() ? 16 : slots_.size() * 2, kNone);
    old.swap(slots_);
    for (std::uint32_t id : old) {
      if (id != kNone) place(hash_of(id), id);
    }
  }

  std::vector<std::uint32_t> slots_;
  std::size_t size_ = 0;
};

}  // namespace dmsc::routing
