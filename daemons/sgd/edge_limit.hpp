// The rate limit of a prefix at an ingress gateway (`limits` in sgd.yaml; docs/protocol.md, U15): what pods
// send to its names leaves at no more than the rate, in fair turns by pod.
//
//   packet ─► within the rate, nobody waits: leaves at once
//        └──► waits in its pod's queue ─► turns of a packet's size each (deficit round robin, RFC 8290 4.2)
//        └──► the pod's share of 20 ms is full: dropped, `rate_limited`
//
// The queue is short on purpose: it turns bursts into the rate, and TCP finds the rate by its losses.
// Pure: time comes in, one thread.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/name/name.hpp"

namespace dmsc::sgd {

struct RateLimit {
  Name prefix;                        // with all names below it
  std::uint64_t bits_per_second = 0;  // of IP packets as pods send them, and of messages as if in UDP; > 0
  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

class FairShaper {
 public:
  static constexpr Duration kQueue = milliseconds(20);  // the longest that anything waits
  static constexpr Duration kBurst = milliseconds(5);   // of silence, or of a late wake-up, that may be made up for

  explicit FairShaper(std::uint64_t bits_per_second);

  // A packet that has to wait: enough to send it later.
  struct Waiting {
    std::uint64_t flow = 0;
    std::uint8_t tos = 0;
    Bytes buffer;          // kHeadroom free bytes, then the L4 segment; of a message the service packet
    std::uint32_t size = 0;  // as it counts
    bool message = false;    // a segment of a call, which has no flow
  };
  enum class Answer { pass, wait, drop };
  // A packet of `size` bytes of `sender`. wait: the caller hands it over by push().
  Answer offer(Time now, std::uint32_t sender, std::size_t size);
  void push(std::uint32_t sender, Waiting packet);
  // Sends what the rate allows by now.
  void release(Time now, const std::function<void(Waiting&)>& send);
  // When release() has something to do; nullopt = nothing waits.
  std::optional<Time> due() const { return due_; }
  std::size_t waiting_bytes() const { return waiting_; }

 private:
  struct Sender {
    std::deque<Waiting> queue;
    std::size_t bytes = 0;
    std::int64_t deficit = 0;
  };
  void refill(Time now);
  std::size_t share() const;
  void plan();
  void send_one(std::map<std::uint32_t, Sender>::iterator at,
                const std::function<void(Waiting&)>& send);

  double bytes_per_ns_;
  double tokens_, most_;       // bytes
  Time filled_{};
  std::optional<Time> due_;
  std::size_t waiting_ = 0;
  std::map<std::uint32_t, Sender> senders_;  // those with something waiting
  std::uint32_t turn_ = 0;                   // whose turn it is, or the next one's
  bool begun_ = false;                       // its quantum was given
};

}  // namespace dmsc::sgd
