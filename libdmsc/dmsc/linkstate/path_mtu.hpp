// Search for the largest control datagram a link carries (RFC 8899, DPLPMTUD): binary search by
// padded probes, each tried kTries times; a new round every kRepeat, because paths change.
#pragma once
#include <optional>

#include "dmsc/core/time.hpp"

namespace dmsc::linkstate {

class PathMtuSearch {
 public:
  static constexpr std::uint16_t kFloor = 1280;  // assumed to pass; an update never needs more
  static constexpr int kTries = 3;
  static constexpr Duration kProbeTimeout = milliseconds(250), kRepeat = minutes(10);

  // Starts at the adjacency's coming up. `ceiling`: what both interfaces carry, bytes.
  void start(Time now, std::uint16_t ceiling);
  void stop() { due_.reset(); }
  std::optional<Time> due() const { return due_; }
  // The probe size to send now (call when due); nullopt if the search has ended for this round.
  std::optional<std::uint16_t> next(Time now);
  void answered(Time now, std::uint16_t size);
  // Largest size known to pass.
  std::uint16_t mtu() const { return known_; }

 private:
  void conclude(Time now);
  std::uint16_t known_ = kFloor;                     // published
  std::uint16_t low_ = kFloor, high_ = kFloor;       // of the round going on
  std::uint16_t ceiling_ = kFloor, probing_ = 0;
  int tries_ = 0;
  std::optional<Time> due_;
};

}  // namespace dmsc::linkstate
