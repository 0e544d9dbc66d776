// The outside world's clock and randomness. Only this file and the simulator make instants.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "dmsc/core/time.hpp"

namespace dmsc::runtime {

// CLOCK_MONOTONIC. Any thread.
Time now();
// Seconds of the wall clock since the Unix epoch. A hint only: trust uses domain time (DESIGN 8).
std::uint64_t wall_seconds();

// Fills `out` from the kernel's generator; ends the program if there is none. Any thread.
void random_bytes(std::span<std::uint8_t> out);
std::uint64_t random_u64();
template <std::size_t N>
std::array<std::uint8_t, N> random_array() {
  std::array<std::uint8_t, N> out;
  random_bytes(out);
  return out;
}

}  // namespace dmsc::runtime
