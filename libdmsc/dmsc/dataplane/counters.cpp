#include "dmsc/dataplane/counters.hpp"

#include <numeric>

namespace dmsc::dataplane {

CounterValues& CounterValues::operator+=(const CounterValues& o) {
  received += o.received;
  ended += o.ended;
  drops_elsewhere += o.drops_elsewhere;
  packets_in += o.packets_in;
  bytes_in += o.bytes_in;
  packets_out += o.packets_out;
  bytes_out += o.bytes_out;
  originated += o.originated;
  forwarded += o.forwarded;
  delivered += o.delivered;
  by_name += o.by_name;
  by_label += o.by_label;
  repaired += o.repaired;
  probes_answered += o.probes_answered;
  errors_sent += o.errors_sent;
  errors_suppressed += o.errors_suppressed;
  trains_in += o.trains_in;
  trains_out += o.trains_out;
  trains_refused += o.trains_refused;
  for (std::size_t i = 0; i < kDropReasons; ++i) drops[i] += o.drops[i];
  return *this;
}

std::uint64_t CounterValues::dropped() const {
  return std::accumulate(drops.begin(), drops.end(), std::uint64_t{0});
}

std::int64_t CounterValues::unaccounted() const {
  return static_cast<std::int64_t>(received + originated + drops_elsewhere - packets_out - delivered -
                                   ended - dropped());
}

CounterValues WorkerCounters::read() const {
  CounterValues out;
  out.received = received.get();
  out.ended = ended.get();
  out.drops_elsewhere = drops_elsewhere.get();
  out.packets_in = packets_in.get();
  out.bytes_in = bytes_in.get();
  out.packets_out = packets_out.get();
  out.bytes_out = bytes_out.get();
  out.originated = originated.get();
  out.forwarded = forwarded.get();
  out.delivered = delivered.get();
  out.by_name = by_name.get();
  out.by_label = by_label.get();
  out.repaired = repaired.get();
  out.probes_answered = probes_answered.get();
  out.errors_sent = errors_sent.get();
  out.errors_suppressed = errors_suppressed.get();
  out.trains_in = trains_in.get();
  out.trains_out = trains_out.get();
  out.trains_refused = trains_refused.get();
  for (std::size_t i = 0; i < kDropReasons; ++i) out.drops[i] = drops[i].get();
  return out;
}

}  // namespace dmsc::dataplane
