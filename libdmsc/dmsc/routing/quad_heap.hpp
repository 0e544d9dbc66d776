// A 4-ary min-heap of (distance, node) packed into one word each: half the levels of a binary heap,
// four children in one or two cache lines, one compare per child. No decrease-key: the user skips
// entries that were overtaken.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace dmsc::routing {

class QuadHeap {
 public:
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  // The node at a place of the heap: 0 is popped next unless a nearer one is pushed, 1 to 4 are
  // what may come after it. For prefetching.
  std::uint32_t peek(std::size_t place) const { return static_cast<std::uint32_t>(items_[place]); }
  void clear() { items_.clear(); }
  std::size_t bytes() const { return items_.capacity() * sizeof(std::uint64_t); }

  void push(std::uint32_t distance, std::uint32_t node) {
    std::uint64_t item = std::uint64_t{distance} << 32 | node;
    std::size_t at = items_.size();
    items_.push_back(item);
    while (at > 0 && items_[(at - 1) / 4] > item) {
      items_[at] = items_[(at - 1) / 4];
      at = (at - 1) / 4;
    }
    items_[at] = item;
  }

  // The least distance, of equal ones the least node. Not empty.
  std::pair<std::uint32_t, std::uint32_t> pop() {
    std::uint64_t top = items_.front(), item = items_.back();
    items_.pop_back();
    if (!items_.empty()) sift_down(item);
    return {static_cast<std::uint32_t>(top >> 32), static_cast<std::uint32_t>(top)};
  }

 private:
  void sift_down(std::uint64_t item) {
    std::size_t at = 0, n = items_.size();
    while (4 * at + 1 < n) {
      std::size_t child = 4 * at + 1, least = child, end = child + 4 < n ? child + 4 : n;
      for (++child; child < end; ++child) {
        if (items_[child] < items_[least]) least = child;
      }
      if (items_[least] >= item) break;
      items_[at] = items_[least];
      at = least;
    }
    items_[at] = item;
  }

  std::vector<std::uint64_t> items_;
};

}  // namespace dmsc::routing
