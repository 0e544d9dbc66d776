// Probes the instances of names in use, end to end through the data plane (draft sections 4.2-5 and
// 5-3; DESIGN section 9): a gateway's half of signalling 4. Owned by the control thread; probes run
// on worker 0 and their results are posted back.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "dmsc/measure/probe_record.hpp"
#include "dmsc/node/node.hpp"

namespace dmsc::node {

struct InstanceMeasure {
  Name prefix;
  routing::Instance instance;
  bool measured = false;       // false: silence, unknown
  Duration delay{}, jitter{};  // one way: half the round trip
  std::uint32_t loss_ppm = 0;
  bool available = true;  // the pod's own word, or "no such instance" from its gateway
  Duration age{};         // since the last answer
};

struct UseCount {
  Name prefix;
  std::uint64_t calls = 0, bytes = 0;
};

class InstanceProber : public std::enable_shared_from_this<InstanceProber> {
 public:
  static constexpr Duration kInUse = seconds(60);  // a name is in use this long after a call
  static constexpr Duration kOnDemand = seconds(10);
  static constexpr std::size_t kMaxTargets = 2000;  // probed per interval; the rest waits its turn

  InstanceProber(Node& node, Duration interval);
  void start();
  void stop();
  void set_interval(Duration interval) { interval_ = interval; }
  // Calls to `prefix` since the last time, as counted by the gateway. Marks it in use.
  void used(const Name& prefix, std::uint64_t calls, std::uint64_t bytes);
  // Names the scheduling center wants measured although nobody here calls them.
  void watch(std::set<Name> prefixes) { watched_ = std::move(prefixes); }
  // Probes all instances of one name now (draft 4.1: on demand), and keeps probing for ten seconds
  // so that the answer is reported.
  void probe_now(const Name& prefix);

  std::vector<InstanceMeasure> measures() const;
  // Uses since the last call.
  std::vector<UseCount> take_uses();

 private:
  struct Key {
    Name prefix;
    routing::Instance instance;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  void round();
  std::set<Name> names(Time now);
  void probe(const Key& key);
  void take(const Key& key, const dataplane::ProbeResult& result);
  std::uint64_t way_to(NodeId egress) const;

  Node& node_;
  Duration interval_;
  boost::asio::steady_timer timer_;
  std::map<Name, Time> in_use_;
  std::set<Name> watched_;
  std::map<Key, measure::ProbeRecord> records_;
  std::map<Name, UseCount> uses_;
  Key resume_;  // where the next round begins when there are too many targets
  bool stopped_ = false;
};

}  // namespace dmsc::node
