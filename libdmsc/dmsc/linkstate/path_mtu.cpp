#include "dmsc/linkstate/path_mtu.hpp"

#include <algorithm>

namespace dmsc::linkstate {

void PathMtuSearch::start(Time now, std::uint16_t ceiling) {
  ceiling_ = std::max(ceiling, kFloor);
  known_ = low_ = kFloor;
  high_ = ceiling_;
  probing_ = 0;
  due_ = now;
}

void PathMtuSearch::conclude(Time now) {
  known_ = low_;
  low_ = kFloor;
  high_ = ceiling_;
  probing_ = 0;
  due_ = now + kRepeat;
}

std::optional<std::uint16_t> PathMtuSearch::next(Time now) {
  if (!due_ || now < *due_) return std::nullopt;
  if (probing_ != 0 && tries_ >= kTries) {  // lost three times: too large
    high_ = static_cast<std::uint16_t>(std::max<int>(probing_ - 1, low_));
    probing_ = 0;
  }
  if (probing_ == 0) {
    // The ceiling first: most links carry what their interfaces say.
    if (high_ <= low_) {
      conclude(now);
      return std::nullopt;
    }
    int middle = low_ + (high_ - low_ + 1) / 2;
    probing_ = high_ == ceiling_ ? ceiling_ : static_cast<std::uint16_t>(middle);
    tries_ = 0;
  }
  ++tries_;
  due_ = now + kProbeTimeout;
  return probing_;
}

void PathMtuSearch::answered(Time now, std::uint16_t size) {
  if (size != probing_) return;
  low_ = size;
  known_ = std::max(known_, size);
  probing_ = 0;
  due_ = now;
  if (high_ <= low_) conclude(now);
}

}  // namespace dmsc::linkstate
