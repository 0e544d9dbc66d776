// Where prefixes lie: side by side in chunks, large ones in huge pages, without the heap's header for each. One writer
// allocates; any thread gives back.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "dmsc/forwarding/table_memory.hpp"

namespace dmsc::forwarding {

class CellArena {
 public:
  static constexpr std::size_t kLargest = 288;  // bytes of a block
  CellArena() = default;
  ~CellArena() {
    for (auto [memory, bytes] : chunks_) free_table(memory, bytes);
  }
  CellArena(const CellArena&) = delete;
  CellArena& operator=(const CellArena&) = delete;

  // What a block of `n` bytes takes. It is aligned to 8 bytes.
  static constexpr std::size_t taken(std::size_t n) { return (std::max(n, sizeof(Free)) + 7) / 8 * 8; }

  // Writer. 1 .. kLargest bytes, not initialised.
  void* allocate(std::size_t n) {
#if defined(__SANITIZE_ADDRESS__)
    return ::operator new(n);  // so that the sanitizer sees each block's end, and its use after that
#else
    const std::size_t bytes = taken(n);
    Free*& list = free_[bytes / 8];
    if (list == nullptr) take_back();
    if (list != nullptr) return std::exchange(list, list->next);
    if (left_ < bytes) add_chunk();
    left_ -= bytes;
    return std::exchange(next_, next_ + bytes);
#endif
  }
  // Any thread. `n` as it was allocated with.
  void release(void* block, std::size_t n) {
#if defined(__SANITIZE_ADDRESS__)
    (void)n;
    ::operator delete(block);
#else
    auto* free = new (block) Free{returned_.load(std::memory_order_relaxed), taken(n)};
    while (!returned_.compare_exchange_weak(free->next, free, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
#endif
  }
  std::size_t bytes() const { return held_; }  // writer: of all chunks

 private:
  struct Free {
    Free* next;
    std::size_t bytes;
  };
  static constexpr std::size_t kFirstChunk = 4096;

  void take_back() {
    for (Free* at = returned_.exchange(nullptr, std::memory_order_acquire); at != nullptr;) {
      Free* next = at->next;
      at->next = std::exchange(free_[at->bytes / 8], at);
      at = next;
    }
  }
  // As large as all before, so that few prefixes take little and many take huge pages.
  void add_chunk() {
    left_ = std::clamp(std::bit_floor(held_), kFirstChunk, kHugePage);
    next_ = static_cast<std::uint8_t*>(allocate_table(left_));
    chunks_.emplace_back(next_, left_);
    held_ += left_;
  }

  std::array<Free*, kLargest / 8 + 1> free_{};  // by size
  std::uint8_t* next_ = nullptr;
  std::size_t left_ = 0, held_ = 0;
  std::vector<std::pair<void*, std::size_t>> chunks_;
  std::atomic<Free*> returned_ = nullptr;
};

}  // namespace dmsc::forwarding
