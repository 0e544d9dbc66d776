#include "dmsc/routing/spf_backoff.hpp"

#include <algorithm>

namespace dmsc::routing {

void SpfBackoff::event(Time now, bool urgent) {
  tick(now);
  Duration wait = urgent ? Duration::zero() : config_.longer;
  if (state_ == State::quiet) {
    wait = config_.initial;
    state_ = State::short_wait;
    learn_ = now + config_.learn;
  } else if (state_ == State::short_wait && !urgent) {
    wait = config_.shorter;
  }
  holddown_ = now + config_.holddown;
  last_event_ = now;
  if (urgent) ++urgent_events_;
  if (!wanted_ || now + wait < *wanted_) wanted_ = now + wait;
}

std::optional<Time> SpfBackoff::due() const {
  if (!wanted_) return std::nullopt;
  Time due = last_run_ ? std::max(*wanted_, *last_run_ + gap_) : *wanted_;
  if (state_ != State::long_wait) return due;
  return std::min(due, last_event_ + std::clamp(gap_, config_.calm, config_.storm_calm));
}

void SpfBackoff::ran(Time now) {
  bool soon = last_run_ && now - *last_run_ < config_.soon;
  bool storm = urgent_events_ > 1 || (urgent_events_ == 1 && soon);
  gap_ = storm ? std::min(2 * gap_, config_.largest_gap) : std::max(gap_ / 2, config_.shorter);
  wanted_.reset();
  last_run_ = now;
  urgent_events_ = 0;
  tick(now);
}

void SpfBackoff::tick(Time now) {
  if (holddown_ && *holddown_ <= now) {
    state_ = State::quiet;
    gap_ = config_.shorter;
    holddown_.reset();
    learn_.reset();
  }
  if (learn_ && *learn_ <= now) {
    state_ = State::long_wait;
    learn_.reset();
  }
}

std::optional<Time> SpfBackoff::next_deadline() const {
  if (!learn_) return holddown_;
  return holddown_ ? std::min(*learn_, *holddown_) : *learn_;
}

}  // namespace dmsc::routing
