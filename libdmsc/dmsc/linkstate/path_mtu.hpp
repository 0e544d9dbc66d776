// What a link carries (RFC 8899, DPLPMTUD): a search by padded probes, upwards from what every link
// carries, and after it a probe of the found size every second, so that a path below the link that
// has become narrower is noticed: it swallows large datagrams and says nothing.
//
//            ┌──── answered, or kTries lost: halve ────┐
//   start ─► search ◄───────────────────────────────────┘
//               │ nothing left between                ▲ kConfirmTries lost: published is the floor
//               ▼                                     │
//            found ── confirm(), once in kConfirm ─► confirming ── answered ─► found
//               └── below the ceiling: again after kRepeat ─► search above
#pragma once
#include <optional>

#include "dmsc/core/time.hpp"

namespace dmsc::linkstate {

class PathMtuSearch {
 public:
  static constexpr std::uint16_t kFloor = 1280;  // assumed to pass; an update never needs more
  static constexpr int kTries = 3, kConfirmTries = 5;
  static constexpr Duration kProbeTimeout = milliseconds(250), kRepeat = minutes(10);
  static constexpr Duration kConfirm = milliseconds(700);  // hellos are 800 ms apart at least

  // Starts at the adjacency's coming up. `ceiling`: what both interfaces carry, bytes.
  void start(Time now, std::uint16_t ceiling);
  void stop();
  // A hello leaves: a probe of what is in use may leave with it, and costs no wake-up of its own.
  void confirm(Time now);
  std::optional<Time> due() const { return state_ == State::found ? search_at_ : due_; }
  // The probe size to send now (call when due); nullopt if there is nothing to send.
  std::optional<std::uint16_t> next(Time now);
  void answered(Time now, std::uint16_t size);
  // What the link carries: raised when a search has ended, lowered at once.
  std::uint16_t mtu() const { return known_; }

 private:
  enum class State { stopped, searching, found, confirming };
  void search(Time now);
  void conclude(Time now);
  void lost(Time now);
  std::uint16_t known_ = kFloor;                // published
  std::uint16_t low_ = kFloor, high_ = kFloor;  // of the search going on
  std::uint16_t ceiling_ = kFloor, probing_ = 0;
  int tries_ = 0;
  State state_ = State::stopped;
  Time confirmed_{};               // when a confirmation was last begun
  std::optional<Time> search_at_;  // the next search above; none = the ceiling is reached
  std::optional<Time> due_;        // of the probe; while searching or confirming
};

}  // namespace dmsc::linkstate
