// An array that grows in chunks: nothing moves, nothing is copied and no half-empty doubling is
// held, which matters with a million elements.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

namespace dmsc::routing {

template <class T>
class ChunkedArray {
 public:
  T& operator[](std::uint32_t i) { return chunks_[i >> kBits][i & kMask]; }
  const T& operator[](std::uint32_t i) const { return chunks_[i >> kBits][i & kMask]; }
  std::uint32_t size() const { return size_; }
  // Appends a default-made element and returns its index.
  std::uint32_t grow() {
    if ((size_ & kMask) == 0) chunks_.push_back(std::make_unique<T[]>(kMask + 1));
    return size_++;
  }
  std::size_t bytes() const { return chunks_.size() * (kMask + 1) * sizeof(T); }

 private:
  static constexpr std::uint32_t kBits = 10, kMask = (1U << kBits) - 1;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::uint32_t size_ = 0;
};

}  // namespace dmsc::routing
