// Counters of the data plane: written by one worker, read by anybody without a lock. They only rise.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "dmsc/forwarding/decision.hpp"

namespace dmsc::dataplane {

// A plain number another thread may read while its one owner adds to it.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

inline constexpr std::size_t kDropReasons = static_cast<std::size_t>(forwarding::DropReason::count_);

// Values at one instant; what WorkerCounters is summed into.
struct CounterValues {
  std::uint64_t received = 0;  // datagrams from anybody; packets_in are those that were authentic
  std::uint64_t packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0;
  std::uint64_t originated = 0, forwarded = 0, delivered = 0;
  std::uint64_t by_name = 0, by_label = 0, repaired = 0;  // how forwarded packets were decided
  std::uint64_t ended = 0;  // probes, and what answers them: their way ends in the data plane itself
  std::uint64_t probes_answered = 0, errors_sent = 0, errors_suppressed = 0;
  std::uint64_t trains_in = 0, trains_out = 0, trains_refused = 0;
  std::array<std::uint64_t, kDropReasons> drops{};
  // Of the drops: those of packets already delivered, or not yet originated (Worker::count_drop()).
  std::uint64_t drops_elsewhere = 0;
  CounterValues& operator+=(const CounterValues& o);
  std::uint64_t dropped() const;  // all reasons
  // Packets that came and of which nothing is known (rule D15): 0, but while a worker is busy.
  std::int64_t unaccounted() const;
};

struct WorkerCounters {
  Counter received, ended, drops_elsewhere;
  Counter packets_in, bytes_in, packets_out, bytes_out;
  Counter originated, forwarded, delivered;
  Counter by_name, by_label, repaired;
  Counter probes_answered, errors_sent, errors_suppressed;
  std::array<Counter, kDropReasons> drops;
  // Messages of more than one datagram, as the kernel gave and took them; refused: sent one by one.
  Counter trains_in, trains_out, trains_refused;
  void drop(forwarding::DropReason reason, std::uint64_t packets = 1) {
    drops[static_cast<std::size_t>(reason)].add(packets);
  }
  CounterValues read() const;
};

// Traffic of one link as one worker saw it: for the measured use of the link's bandwidth.
struct LinkCounters {
  Counter packets_in, bytes_in, packets_out, bytes_out;
};
struct LinkCounterValues {
  std::uint64_t packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0;
};

}  // namespace dmsc::dataplane
