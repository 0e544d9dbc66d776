// What one neighbour still has to receive (DESIGN section 4, flooding). Membership of a key in the
// queue *is* the flag "send it": one slot per key, and what is sent is what the LSDB holds at that
// moment, so newest wins by construction and an LSA is never copied or encoded again.
//
//   push ──► queued ──take/sent──► in flight ──acknowledged/drop──► gone
//              ▲                      │
//              └──── timeout, newer ──┘
#pragma once
#include <deque>
#include <optional>
#include <set>
#include <unordered_map>

#include "dmsc/core/time.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate {

class FloodQueue {
 public:
  // Marks `key` for sending. `urgent` keys (topology, identities, trust) overtake the others.
  // `hash` is the front of the newest copy's hash: nothing happens if just that copy is in flight.
  // `news`: a change of topology. While the neighbour lacks some, packets circle; so it goes before all
  // else, needs no window, and is sent again after moments, as long as it is little.
  void push(std::uint64_t key, std::uint64_t hash, bool urgent, bool news = false);
  // The link's shortest round trip of the last seconds; zero = unknown.
  void set_round_trip(Duration least) { least_ = least; }
  // The neighbour is known to hold the newest copy, or there is nothing left to send.
  void drop(std::uint64_t key);
  // True if `ref` was sent and not acknowledged yet. Opens the window and measures the round trip.
  bool acknowledged(Time now, const wire::LsaRef& ref);
  // The next key to send, if window and pacing allow; it stays queued until sent(). A change after a
  // quiet moment leaves at once; what follows within kBurstPeriod leaves together, packed.
  std::optional<std::uint64_t> peek(Time now);
  // The copy with this hash has been put into a datagram. True if it was sent before.
  bool sent(Time now, std::uint64_t key, std::uint64_t hash);
  // One datagram has left at `now`: pacing.
  void datagram_sent(Time now);
  // Queues again what was not acknowledged in time.
  void expire(Time now);
  // When peek() or expire() has something to do; nullopt = only an input can change anything.
  std::optional<Time> next_deadline(Time now) const;
  // How many LSAs the neighbour takes unacknowledged (from its hello).
  void set_peer_window(std::uint16_t window) { peer_window_ = window; }
  void clear();

  std::size_t queued() const { return slots_.size() - flight_.size(); }
  std::size_t in_flight() const { return flight_.size(); }
  std::size_t pending() const { return slots_.size(); }
  bool contains(std::uint64_t key) const { return slots_.count(key) != 0; }
  Duration timeout() const;
  std::size_t window() const;

 private:
  struct Slot {
    bool in_flight = false, urgent = false, news = false;
    bool early = false;      // what follows is not a loss but an early copy
    std::uint64_t hash = 0;  // of the copy in flight
    Time sent, deadline;
    unsigned tries = 0, copies = 0;  // sent; sent with an early copy to follow
  };
  std::deque<std::uint64_t>& queue_of(const Slot& slot);
  Duration news_wait(const Slot& slot) const;
  void land(std::uint64_t key, Slot& slot);
  void skip_gone();
  bool in_burst(Time now) const { return burst_start_ && now < *burst_start_ + kBurstPeriod; }
  bool measure(Time now, Duration sample);
  void grow();
  void shrink(Time now);

  std::unordered_map<std::uint64_t, Slot> slots_;  // looked up only, never walked
  std::deque<std::uint64_t> news_, urgent_, normal_;  // keys no longer queued are skipped
  std::size_t news_pending_ = 0;                   // slots with news
  std::set<std::pair<Time, std::uint64_t>> flight_;
  std::size_t window_ = kInitialWindow, threshold_ = kMaxWindow, grown_ = 0;
  std::uint16_t peer_window_ = kInitialWindow;
  Duration rtt_{}, rtt_var_{}, least_{};
  Duration base_{}, base_before_{};                // shortest round trips of this and the last period
  Time base_since_{}, measured_at_{};
  Duration measured_{};                            // the newest sample
  bool queueing_ = false;                          // and whether it told of a queue
  unsigned backoff_ = 0;                           // doublings of the timeout
  Time shrink_again_{}, backoff_again_{};
  std::optional<Time> burst_start_;
  unsigned burst_used_ = 0;

  static constexpr std::size_t kInitialWindow = 64, kMinWindow = 32, kMaxWindow = 4096;
  static constexpr unsigned kMaxBackoff = 4;
  static constexpr unsigned kNewsCopies = 4;                   // early ones, after the first
  static constexpr std::size_t kNewsAtOnce = 16;               // with more to be sent none is early
  static constexpr unsigned kBurst = 48;                       // datagrams per kBurstPeriod
  static constexpr Duration kBurstPeriod = milliseconds(2);
};

}  // namespace dmsc::linkstate
