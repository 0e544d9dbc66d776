// A scheduling center on Figure 2 in virtual time, with nodes that acknowledge at once.
#pragma once
#include "scscd/decider.hpp"
#include "tests/unit/scscd/figure2.hpp"

namespace dmsc::test {

using namespace dmsc::scscd;

inline measure::Quality delay_ms(double ms) {
  measure::Quality q;
  q.delay_us = static_cast<std::uint64_t>(ms * 1000);
  q.jitter_us = 100;
  q.loss_ppm = 0;
  q.available = true;
  return q;
}

// Everything a center has, with nodes that acknowledge at once, in virtual time.
struct Harness {
  Figure2 figure;
  DomainView view = figure.view();
  Decider decider{config(), 7};
  Rollout rollout;
  double t = 0;
  std::map<Target, measure::Quality> targets;
  std::map<std::pair<std::uint32_t, std::uint32_t>, measure::Quality> links;
  std::set<NodeId> silent, refusing;
  std::vector<Decision> log;
  // What every node holds now: node -> id -> policy.
  std::map<NodeId, std::map<std::string, Policy>> held;

  static DeciderConfig config() {
    ThresholdSet set;
    set.levels = {{Metric::delay, {50'000, 40'000}}, {Metric::bandwidth, {1e6, 2e6}}};
    DeciderConfig c;
    c.thresholds = {set};
    return c;
  }

  Harness() {
    for (const auto& [n, peers] : figure.links) {
      rollout.session_opened(at(), NodeId{n}, {});
      for (std::uint32_t peer : peers) links[{n, peer}] = delay_ms(1);
    }
  }
  Time at() const { return Time(Duration(static_cast<std::int64_t>(t * 1e9))); }
  void link_delay(std::uint32_t a, std::uint32_t b, double ms) {
    links[{a, b}] = links[{b, a}] = delay_ms(ms);
  }

  void run(double duration) {
    for (double end = t + duration; t < end; t += 0.5) {
      view.set_now(at());
      for (auto& [target, q] : targets) decider.observe(at(), target, q);
      for (auto& [ends, q] : links) {
        decider.observe_link(at(), NodeId{ends.first}, NodeId{ends.second}, q);
      }
      for (int i = 0; i < 3; ++i) step();
    }
  }

  void step() {
    for (Decision& d : decider.decide(at(), view, rollout)) log.push_back(std::move(d));
    for (const Outgoing& o : rollout.poll(at())) {
      if (silent.count(o.node) != 0) continue;
      bool accepted = refusing.count(o.node) == 0;
      if (accepted && !o.withdraw) held[o.node][o.policy.id] = o.policy;
      if (o.withdraw) held[o.node].erase(o.policy.id);
      rollout.acknowledged(at(), o.node, o.policy.id, o.version, accepted, "because");
    }
  }

  template <class T>
  std::vector<T> of(std::uint32_t node) {
    std::vector<T> out;
    for (const auto& [id, policy] : held[NodeId{node}]) {
      if (const T* content = std::get_if<T>(&policy.content)) out.push_back(*content);
    }
    return out;
  }
};

inline scscd::Target target(std::uint32_t ingress, const char* prefix, std::uint32_t egress) {
  return {NodeId{ingress}, name(prefix), {NodeId{egress}, InstanceId{1}}};
}

}  // namespace dmsc::test
