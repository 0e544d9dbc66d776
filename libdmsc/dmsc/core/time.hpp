// Time as the pure rooms know it: they are handed instants and never read a clock.
#pragma once
#include <chrono>
#include <cstdint>

namespace dmsc {

using Duration = std::chrono::nanoseconds;

// The monotonic clock of one process or of the simulator. It has no now(): only runtime/ and the
// simulator make instants.
struct MonoClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonoClock, Duration>;
  static constexpr bool is_steady = true;
};
using Time = MonoClock::time_point;

// Seconds since the Unix epoch as signed by an SPA (DESIGN section 8, "domain time").
struct DomainTime {
  std::uint64_t seconds = 0;
  friend auto operator<=>(DomainTime, DomainTime) = default;
};

constexpr DomainTime operator+(DomainTime t, std::uint64_t s) { return {t.seconds + s}; }

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

}  // namespace dmsc
