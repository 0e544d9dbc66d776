#include "dmsc/routing/spf_backoff.hpp"

#include <algorithm>

namespace dmsc::routing {

void SpfBackoff::event(Time now, bool bad_news) {
  tick(now);
  Duration wait = config_.longer;
  if (state_ == State::quiet) {
    wait = config_.initial;
    state_ = State::short_wait;
    learn_ = now + config_.learn;
  } else if (state_ == State::short_wait) {
    wait = bad_news ? Duration::zero() : config_.shorter;
  } else if (bad_news) {
    Time earliest = last_run_ ? *last_run_ + config_.learn : now;
    wait = std::max(earliest - now, Duration::zero());
  }
  holddown_ = now + config_.holddown;
  if (!due_) {
    due_ = now + wait;
  } else if (bad_news) {
    due_ = std::min(*due_, now + wait);
  }
}

void SpfBackoff::ran(Time now) {
  due_.reset();
  last_run_ = now;
  tick(now);
}

void SpfBackoff::tick(Time now) {
  if (holddown_ && *holddown_ <= now) {
    state_ = State::quiet;
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
