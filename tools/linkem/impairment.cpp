#include "impairment.hpp"

#include <algorithm>
#include <cmath>

namespace linkem {
namespace {

constexpr double kNanosPerSecond = 1e9;

}  // namespace

Nanoseconds Direction::serialisation(std::uint64_t bytes) const {
  const double nanos =
      static_cast<double>(bytes) * 8 * kNanosPerSecond / static_cast<double>(parameters_.rate_bps);
  return Nanoseconds{static_cast<std::int64_t>(nanos)};
}

std::uint64_t Direction::backlog(Nanoseconds now) const {
  if (parameters_.rate_bps == 0) return 0;
  // What the bucket lets through at once is not waiting.
  const Nanoseconds start = virtual_clock_ - serialisation(parameters_.burst_bytes);
  if (start <= now) return 0;
  const double seconds = static_cast<double>((start - now).count()) / kNanosPerSecond;
  return static_cast<std::uint64_t>(
      std::llround(seconds * static_cast<double>(parameters_.rate_bps) / 8));
}

Direction::Decision Direction::admit(Nanoseconds now, std::uint64_t bytes, Random& random) {
  if (parameters_.cut) return ++counters_.cut, Decision{Fate::cut, now};
  std::uniform_real_distribution<double> even(0, 1);
  if (parameters_.loss > 0 && even(random) < parameters_.loss) {
    return ++counters_.lost, Decision{Fate::lost, now};
  }
  Nanoseconds departure = now;
  if (parameters_.rate_bps != 0) {
    const std::uint64_t waiting = backlog(now);
    // A frame larger than the whole queue still passes an idle link, as on real hardware.
    if (waiting > 0 && waiting + bytes > parameters_.queue_bytes) {
      return ++counters_.queue_full, Decision{Fate::queue_full, now};
    }
    virtual_clock_ = std::max(virtual_clock_, now) + serialisation(bytes);
    departure = std::max(now, virtual_clock_ - serialisation(parameters_.burst_bytes));
  }
  Decision out{Fate::pass, propagated(departure, random)};
  ++counters_.frames;
  counters_.bytes += bytes;
  if (parameters_.duplicate > 0 && even(random) < parameters_.duplicate) {
    out.copy_due = propagated(departure, random);
    ++counters_.duplicated;
  }
  return out;
}

Nanoseconds Direction::propagated(Nanoseconds departure, Random& random) {
  std::uniform_real_distribution<double> even(0, 1);
  Nanoseconds delay = parameters_.delay;
  if (parameters_.jitter.count() > 0) {
    const double swing = (2 * even(random) - 1) * static_cast<double>(parameters_.jitter.count());
    delay = std::max(Nanoseconds{0}, delay + Nanoseconds{static_cast<std::int64_t>(swing)});
  }
  Nanoseconds due = departure + delay;
  if (!parameters_.reorder) due = std::max(due, last_due_);
  last_due_ = std::max(last_due_, due);
  return due;
}

void Direction::configure(Nanoseconds now, const Parameters& parameters) {
  const std::uint64_t waiting = backlog(now);
  parameters_ = parameters;
  virtual_clock_ = now;
  if (parameters_.rate_bps != 0 && waiting > 0) {
    virtual_clock_ += serialisation(waiting + parameters_.burst_bytes);
  }
}

}  // namespace linkem
