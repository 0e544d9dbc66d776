// The hashes of this room: names (name/name_hash.hpp) and numbers.
#pragma once
#include "dmsc/name/name_hash.hpp"

namespace dmsc::forwarding {

using dmsc::NameHasher;

// Spreads a number that may be regular (flow ids, labels) over 64 bits (the finaliser of
// MurmurHash3).
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

}  // namespace dmsc::forwarding
