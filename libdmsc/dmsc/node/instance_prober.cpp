#include "dmsc/node/instance_prober.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>

namespace dmsc::node {

InstanceProber::InstanceProber(Node& node, Duration interval)
    : node_(node), interval_(interval), timer_(node.io()) {}

void InstanceProber::start() { round(); }

void InstanceProber::stop() {
  stopped_ = true;
  timer_.cancel();
}

void InstanceProber::used(const Name& prefix, std::uint64_t calls, std::uint64_t bytes) {
  in_use_[prefix] = node_.now();
  UseCount& use = uses_[prefix];
  use.prefix = prefix;
  use.calls += calls;
  use.bytes += bytes;
}

std::vector<UseCount> InstanceProber::take_uses() {
  std::vector<UseCount> out;
  for (auto& [name, use] : uses_) out.push_back(std::move(use));
  uses_.clear();
  return out;
}

std::set<Name> InstanceProber::names(Time now) {
  std::erase_if(in_use_, [&](const auto& e) { return e.second + kInUse < now; });
  std::set<Name> out = watched_;
  for (const auto& [name, when] : in_use_) out.insert(name);
  return out;
}

void InstanceProber::round() {
  std::vector<Key> targets;
  for (const Name& name : names(node_.now())) {
    const auto route = node_.rib().find(name);
    if (!route) continue;
    for (const auto& choice : route->choices) targets.push_back({name, choice.instance});
  }
  std::sort(targets.begin(), targets.end());
  std::erase_if(records_, [&](const auto& e) {
    return !std::binary_search(targets.begin(), targets.end(), e.first);
  });
  // With more targets than fit one round, go on where the last one ended.
  auto first = std::lower_bound(targets.begin(), targets.end(), resume_);
  std::rotate(targets.begin(), first, targets.end());
  std::size_t count = std::min(targets.size(), kMaxTargets);
  for (std::size_t i = 0; i < count; ++i) probe(targets[i]);
  resume_ = count < targets.size() ? targets[count] : Key{};
  timer_.expires_after(interval_);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    auto self = weak.lock();
    if (!error && self && !self->stopped_) self->round();
  });
}

void InstanceProber::probe_now(const Name& prefix) {
  Time until_soon = node_.now() - kInUse + kOnDemand;
  Time& last = in_use_.try_emplace(prefix, until_soon).first->second;
  last = std::max(last, until_soon);
  const auto route = node_.rib().find(prefix);
  if (!route) return;
  for (const auto& choice : route->choices) probe({prefix, choice.instance});
}

void InstanceProber::probe(const Key& key) {
  measure::ProbeRecord& record = records_[key];
  std::vector<dataplane::Worker*> workers = node_.workers();
  if (record.waiting() || workers.empty()) return;
  record.sent(way_to(key.instance.egress));
  dataplane::ProbeSpec spec;
  spec.destination = key.prefix.text();
  spec.egress = key.instance.egress;
  spec.instance = key.instance.id;
  Duration timeout = std::clamp(interval_, Duration(milliseconds(200)), Duration(seconds(2)));
  dataplane::Worker* worker = workers.front();
  worker->post([worker, spec, timeout, key, weak = weak_from_this(), io = &node_.io()] {
    worker->probe(spec, timeout, [weak, key, io](const dataplane::ProbeResult& result) {
      boost::asio::post(*io, [weak, key, result] {
        if (auto self = weak.lock(); self && !self->stopped_) self->take(key, result);
      });
    });
  });
}

// Changes with the distance or the next hops: what SPF knows of the way.
std::uint64_t InstanceProber::way_to(NodeId egress) const {
  const auto destination = node_.rib().destination(egress);
  if (!destination) return 0;
  std::uint64_t way = destination->distance;
  for (const routing::FirstHop& hop : destination->next_hops) {
    way = way * 0x9e3779b97f4a7c15ULL + hop.link + 1;
  }
  return way;
}

void InstanceProber::take(const Key& key, const dataplane::ProbeResult& result) {
  auto it = records_.find(key);
  if (it == records_.end()) return;
  using Outcome = dataplane::ProbeResult::Outcome;
  if (result.outcome == Outcome::answered) {
    it->second.answered(node_.now(), result.round_trip / 2,
                        result.health.health != dataplane::Health::failing);
  } else if (result.outcome == Outcome::error && result.error == wire::ErrorCode::no_instance) {
    it->second.refused(node_.now());
  } else {
    it->second.lost(way_to(key.instance.egress));
  }
}

std::vector<InstanceMeasure> InstanceProber::measures() const {
  std::vector<InstanceMeasure> out;
  for (const auto& [key, record] : records_) {
    InstanceMeasure m;
    m.prefix = key.prefix;
    m.instance = key.instance;
    m.age = node_.now() - record.heard().value_or(Time{});
    m.measured = record.heard() && m.age < std::max(interval_ * 10, Duration(seconds(10)));
    m.delay = record.delay().last();  // the center's window does the smoothing
    m.jitter = record.delay().jitter();
    m.loss_ppm = record.loss_ppm().value_or(0);
    m.available = record.available();
    out.push_back(std::move(m));
  }
  return out;
}

}  // namespace dmsc::node
