#include "dmsc/linkstate/path_mtu.hpp"

#include <algorithm>

namespace dmsc::linkstate {

void PathMtuSearch::start(Time now, std::uint16_t ceiling) {
  ceiling_ = std::max(ceiling, kFloor);
  known_ = low_ = kFloor;
  confirmed_ = now;
  search(now);
}

void PathMtuSearch::stop() {
  state_ = State::stopped;
  due_.reset();
}

void PathMtuSearch::confirm(Time now) {
  if (state_ != State::found || known_ <= kFloor || now < confirmed_ + kConfirm) return;
  state_ = State::confirming;
  confirmed_ = now;
  probing_ = known_;
  tries_ = 0;
  due_ = now;
}

// Between low_, which passes, and the ceiling.
void PathMtuSearch::search(Time now) {
  state_ = State::searching;
  high_ = ceiling_;
  probing_ = 0;
  due_ = now;
}

void PathMtuSearch::conclude(Time now) {
  state_ = State::found;
  known_ = low_;
  search_at_ = known_ < ceiling_ ? std::optional(now + kRepeat) : std::nullopt;
}

// The probe in hand was tried often enough.
void PathMtuSearch::lost(Time now) {
  if (state_ == State::confirming) {  // what was published passes no more: from the beginning
    known_ = low_ = kFloor;
    return search(now);
  }
  high_ = static_cast<std::uint16_t>(std::max<int>(probing_ - 1, low_));
  probing_ = 0;
}

std::optional<std::uint16_t> PathMtuSearch::next(Time now) {
  auto at = due();
  if (!at || now < *at) return std::nullopt;
  if (state_ == State::found) search(now);
  if (probing_ != 0 && tries_ >= (state_ == State::confirming ? kConfirmTries : kTries)) lost(now);
  if (probing_ == 0) {
    if (high_ <= low_) {
      conclude(now);
      return std::nullopt;
    }
    // The ceiling first: most links carry what their interfaces say.
    int middle = low_ + (high_ - low_ + 1) / 2;
    probing_ = high_ == ceiling_ ? ceiling_ : static_cast<std::uint16_t>(middle);
    tries_ = 0;
  }
  ++tries_;
  due_ = now + kProbeTimeout;
  return probing_;
}

void PathMtuSearch::answered(Time now, std::uint16_t size) {
  if (probing_ == 0 || size != probing_) return;
  probing_ = 0;
  if (state_ == State::confirming) {
    state_ = State::found;
    return;
  }
  low_ = size;
  due_ = now;
  if (high_ <= low_) conclude(now);
}

}  // namespace dmsc::linkstate
