// Why packets went in circles: what the nodes of a long circle heard, sent and computed around that
// time. Off unless asked for (--loops); then `sim` prints a story for every circle that lasted
// longer.
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/ids.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/wire/lsa.hpp"

namespace dmsc::sim {

class LoopTrace {
 public:
  LoopTrace(Time begin, Duration longer_than) : begin_(begin), longer_than_(longer_than) {}

  // A datagram left `from` (numbers from 0) and arrives at `arrival`, or never. Node LSAs and their
  // acknowledgements are remembered.
  void packet(Time now, std::size_t from, std::size_t to, ByteView datagram,
              std::optional<Time> arrival);
  void holds(std::size_t node, const wire::LsaKey& key, const wire::LsaVersion& version);
  // These nodes do not have the same Node LSAs.
  bool differ(const std::set<std::size_t>& nodes) const;
  void forget(std::size_t node) { held_.erase(node); }
  void note(Time now, std::size_t node, std::string what);
  // A packet from one node to `name` has circled from `from` to `until` over these nodes.
  void circled(Time from, Time until, const std::set<std::size_t>& nodes, const std::string& name,
               const std::string& causes);

 private:
  struct Event {
    Time at;
    std::size_t node, other;  // equal if it concerns one node
    std::string what;
  };
  void add(Event event);
  double seconds_of(Time t) const { return std::chrono::duration<double>(t - begin_).count(); }

  Time begin_;
  Duration longer_than_;
  std::deque<Event> events_;
  std::set<std::pair<Time, std::set<std::size_t>>> told_;
  std::map<std::size_t, std::map<wire::LsaKey, std::pair<std::uint64_t, std::uint64_t>>> held_;
};

}  // namespace dmsc::sim
