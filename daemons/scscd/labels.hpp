// Path labels: leader epoch 12 bits | index 20 bits. A label is never changed in place and a
// withdrawn one is not reused for ten minutes (DESIGN section 6).
#pragma once
#include <deque>
#include <optional>
#include <set>

#include "dmsc/core/ids.hpp"
#include "dmsc/core/time.hpp"

namespace dmsc::scscd {

class LabelPool {
 public:
  explicit LabelPool(std::uint64_t epoch) : epoch_(static_cast<std::uint32_t>(epoch & 0xfff)) {}

  // nullopt when all 2^20-1 are in use or resting.
  std::optional<PathLabel> take(Time now) {
    while (!resting_.empty() && resting_.front().until <= now) {
      free_.push_back(resting_.front().index);
      resting_.pop_front();
    }
    std::uint32_t index = 0;
    if (next_ < kIndices) {
      index = next_++;
    } else if (!free_.empty()) {
      index = free_.front();
      free_.pop_front();
    } else {
      return std::nullopt;
    }
    return PathLabel{epoch_ << 20 | index};
  }
  void give_back(Time now, PathLabel label) {
    resting_.push_back({label.value & (kIndices - 1), now + minutes(10)});
  }

 private:
  static constexpr std::uint32_t kIndices = 1U << 20;
  struct Resting {
    std::uint32_t index;
    Time until;
  };
  std::uint32_t epoch_, next_ = 1;
  std::deque<std::uint32_t> free_;
  std::deque<Resting> resting_;
};

}  // namespace dmsc::scscd
