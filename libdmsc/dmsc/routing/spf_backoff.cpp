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
  if (now >= last_event_ + config_.storm_calm) forgive(now);
  last_event_ = now;
  if (!wanted_ || now + wait < *wanted_) wanted_ = now + wait;
  if (urgent && *due() > now && now >= charged_until_) charge(now);
}

void SpfBackoff::forgive(Time now) {
  gap_ = Duration::zero();
  paid_until_ = std::min(paid_until_, now);
}

void SpfBackoff::charge(Time now) {
  charged_until_ = now + config_.together;
  paid_until_ = std::max(paid_until_, now) + config_.price;
  gap_ = gap_of(paid_until_ - now - config_.credit);
  // No deeper in debt than the largest gap is worth.
  if (gap_ == config_.largest_gap) paid_until_ -= config_.price;
}

// Nothing within the credit; beyond it `first_gap`, twice as much for every `doubling` of debt.
Duration SpfBackoff::gap_of(Duration debt) const {
  if (debt <= Duration::zero()) return Duration::zero();
  Duration gap = config_.first_gap;
  for (; debt >= config_.doubling && gap < config_.largest_gap; debt -= config_.doubling) gap *= 2;
  if (debt < config_.doubling)
    gap += gap * (debt / microseconds(1)) / (config_.doubling / microseconds(1));
  return std::min(gap, config_.largest_gap);
}

std::optional<Time> SpfBackoff::due() const {
  if (!wanted_) return std::nullopt;
  // What one failure tells comes within LEARN: it waits no longer than routers wait in SHORT_WAIT.
  Duration gap = state_ == State::short_wait ? std::min(gap_, config_.short_gap) : gap_;
  Time due = last_run_ ? std::max(*wanted_, *last_run_ + gap) : *wanted_;
  if (state_ != State::long_wait && gap_ == Duration::zero()) return due;
  return std::min(due, last_event_ + std::clamp(gap_ / 8, config_.calm, config_.storm_calm));
}

void SpfBackoff::ran(Time now) {
  charge(now);
  wanted_.reset();
  last_run_ = now;
  tick(now);
}

void SpfBackoff::tick(Time now) {
  if (holddown_ && *holddown_ <= now) {
    state_ = State::quiet;
    forgive(now);
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
