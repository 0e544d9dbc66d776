// What a link does to a frame: the arithmetic of one direction, without sockets or clocks.
//
//   arrival -> cut? -> lost? -> queue full? -> serialisation at `rate` -> propagation `delay` ->
//   out, and out a second time by the share `duplicate`
//
// Serialisation is a token bucket kept as one instant (the "virtual clock" of a shaper): a frame
// of n bytes leaves n * 8 / rate after the one before it, except that up to `burst` bytes may leave
// at once after idle time. The queue is what has been accepted and has not yet begun to propagate;
// a frame that would push it over `queue` bytes is dropped (tail drop).
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace linkem {

using Nanoseconds = std::chrono::nanoseconds;
using Random = std::mt19937_64;

struct Parameters {
  Nanoseconds delay{0};                 // one way, at least 0
  Nanoseconds jitter{0};                // each frame's delay varies evenly by up to +- this
  double loss = 0;                      // 0 to 1, independent per frame
  double duplicate = 0;                 // 0 to 1, of the frames that pass: arrive twice
  std::uint64_t rate_bps = 0;           // 0 = unlimited
  std::uint64_t queue_bytes = 262'144;  // of frames waiting for the rate
  std::uint64_t burst_bytes = 0;        // may leave at once after idle time
  bool reorder = false;                 // whether jitter may overtake
  bool cut = false;                     // nothing passes, silently
};

// Applies one "key=value" of the control language to `out`: delay=20ms jitter=2ms loss=1% duplicate=1%
// rate=10Mbit/s queue=64kB burst=3000B reorder=on cut=on. Returns an empty text, or what is wrong
// with it.
std::string apply_setting(std::string_view setting, Parameters& out);
// The inverse: every parameter as settings, "delay=20ms jitter=0ns ...".
std::string describe(const Parameters& parameters);

enum class Fate { pass, cut, lost, queue_full };

struct Counters {
  std::uint64_t frames = 0, bytes = 0;  // accepted
  std::uint64_t cut = 0, lost = 0, queue_full = 0, duplicated = 0;
};

// One direction of a link. Instants are nanoseconds of any monotonic clock; calls come in its
// order.
class Direction {
 public:
  struct Decision {
    Fate fate = Fate::pass;
    Nanoseconds due{0};  // when a passing frame leaves the link
    std::optional<Nanoseconds> copy_due = {};  // and when it does so again; the copy jitters by itself
  };
  // Decides about a frame of `bytes` that arrives at `now`.
  Decision admit(Nanoseconds now, std::uint64_t bytes, Random& random);
  // New parameters from `now` on. Frames already admitted keep their instants; the backlog of the
  // shaper is carried over in bytes.
  void configure(Nanoseconds now, const Parameters& parameters);
  // Bytes waiting for the rate at `now`.
  std::uint64_t backlog(Nanoseconds now) const;
  const Parameters& parameters() const { return parameters_; }
  const Counters& counters() const { return counters_; }

 private:
  Nanoseconds serialisation(std::uint64_t bytes) const;
  Nanoseconds propagated(Nanoseconds departure, Random& random);
  Parameters parameters_;
  Counters counters_;
  Nanoseconds virtual_clock_{0};  // when the bucket has drained what was accepted
  Nanoseconds last_due_{0};
};

}  // namespace linkem
