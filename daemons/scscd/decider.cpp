#include "scscd/decider.hpp"

#include <algorithm>

namespace dmsc::scscd {
namespace {

// The worse of two reports of the same link.
template <class T>
std::optional<T> worse(std::optional<T> a, std::optional<T> b, bool low_is_bad) {
  if (!a || !b) return a ? a : b;
  return low_is_bad ? std::min(*a, *b) : std::max(*a, *b);
}

}  // namespace

Decider::Decider(DeciderConfig config, std::uint64_t epoch)
    : config_(std::move(config)), labels_(epoch) {}

void Decider::observe(Time now, const Target& target, const measure::Quality& quality) {
  const ThresholdSet* set = thresholds_for(config_.thresholds, target.prefix);
  if (set == nullptr) return;
  auto it = targets_.try_emplace(target, *set).first;
  it->second.last = quality;
  it->second.seen = now;
  it->second.watchdog.observe(now, quality);
}

void Decider::observe_link(Time now, NodeId node, NodeId neighbour,
                           const measure::Quality& quality) {
  const ThresholdSet* set = thresholds_for(config_.thresholds, Name{});
  LinkName link = link_between(node, neighbour);
  auto it = links_.try_emplace(link, set != nullptr ? *set : ThresholdSet{}).first;
  it->second.ends[node] = quality;
  it->second.seen = now;
  it->second.watchdog.observe(now, link_quality(link));
}

void Decider::reconfigure(DeciderConfig config) {
  config_ = std::move(config);
  for (auto& [target, state] : targets_) {
    if (const auto* set = thresholds_for(config_.thresholds, target.prefix)) {
      state.watchdog.reconfigure(*set);
    }
  }
  if (const auto* set = thresholds_for(config_.thresholds, Name{})) {
    for (auto& [link, state] : links_) state.watchdog.reconfigure(*set);
  }
}

measure::Quality Decider::link_quality(LinkName link) const {
  measure::Quality out;
  auto it = links_.find(link);
  if (it == links_.end()) return out;
  for (const auto& [node, q] : it->second.ends) {
    out.delay_us = worse(out.delay_us, q.delay_us, false);
    out.jitter_us = worse(out.jitter_us, q.jitter_us, false);
    out.loss_ppm = worse(out.loss_ppm, q.loss_ppm, false);
    out.bandwidth_bps = worse(out.bandwidth_bps, q.bandwidth_bps, true);
  }
  return out;
}

measure::Quality Decider::path_quality(const std::vector<NodeId>& path) const {
  std::vector<measure::Quality> links;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    links.push_back(link_quality(link_between(path[i], path[i + 1])));
  }
  return measure::compose(links);
}

bool Decider::meets_trip(const ThresholdSet& set, const measure::Quality& q) const {
  auto level = [&](Metric m) -> const Level* {
    auto it = set.levels.find(m);
    return it == set.levels.end() ? nullptr : &it->second;
  };
  auto above = [&](Metric m, const auto& value) {
    return level(m) != nullptr && value && static_cast<double>(*value) >= level(m)->trip;
  };
  const Level* bandwidth = level(Metric::bandwidth);
  bool starved = bandwidth != nullptr && q.bandwidth_bps &&
                 static_cast<double>(*q.bandwidth_bps) <= bandwidth->trip;
  return starved || above(Metric::delay, q.delay_us) || above(Metric::jitter, q.jitter_us) ||
         above(Metric::loss, q.loss_ppm);
}

std::string Decider::describe(const Target& t, const DomainView& view) const {
  return t.prefix.text() + " at " + view.node_name(t.instance.egress) + "/" +
         std::to_string(t.instance.id.value) + " from " + view.node_name(t.ingress);
}

void Decider::say(Time now, std::string event, std::string subject, std::string reason) {
  decisions_.push_back({now, std::move(event), std::move(subject), std::move(reason)});
}

std::vector<Decision> Decider::decide(Time now, const DomainView& view, Rollout& rollout) {
  forget_idle(now);
  note_trips(now, view);
  decide_weights(now, view, rollout);
  decide_paths(now, view, rollout);
  decide_bias(now, view, rollout);
  bury_paths(now, rollout);
  return std::move(decisions_);
}

void Decider::forget_idle(Time now) {
  std::erase_if(targets_, [&](const auto& e) { return e.second.seen + config_.target_idle < now; });
  std::erase_if(links_, [&](const auto& e) { return e.second.seen + config_.target_idle < now; });
}

void Decider::note_trips(Time now, const DomainView& view) {
  for (auto& [target, state] : targets_) {
    bool tripped = state.watchdog.tripped();
    if (tripped == state.was_tripped) continue;
    state.was_tripped = tripped;
    say(now, tripped ? "tripped" : "cleared", describe(target, view), state.watchdog.reason(now));
  }
  for (auto& [link, state] : links_) {
    bool tripped = state.watchdog.tripped();
    if (tripped == state.was_tripped) continue;
    state.was_tripped = tripped;
    say(now, tripped ? "tripped" : "cleared",
        "link " + view.node_name(link.a) + " - " + view.node_name(link.b),
        state.watchdog.reason(now));
  }
}

std::optional<Weights> Decider::wanted_weights(NodeId ingress, const Name& prefix,
                                               const DomainView& view) const {
  struct Candidate {
    ServingInstance serving;
    std::uint32_t distance;
  };
  std::vector<Candidate> healthy;
  Weights out;
  out.prefix = prefix;
  bool any_tripped = false;
  for (const ServingInstance& serving : view.instances(prefix)) {
    out.weights[serving.instance] = 0;
    auto it = targets_.find({ingress, prefix, serving.instance});
    bool tripped = it != targets_.end() && it->second.watchdog.tripped();
    any_tripped = any_tripped || tripped;
    std::uint32_t distance = view.distance(ingress, serving.instance.egress);
    if (!tripped && serving.capacity > 0 && distance != routing::kUnreachable) {
      healthy.push_back({serving, distance});
    }
  }
  const ThresholdSet* set = thresholds_for(config_.thresholds, prefix);
  std::size_t floor = set == nullptr ? 1 : std::max<std::size_t>(set->floor, 1);
  if (!any_tripped || healthy.size() < floor) return std::nullopt;
  std::uint32_t nearest = routing::kUnreachable;
  for (const Candidate& c : healthy) nearest = std::min(nearest, c.distance);
  for (const Candidate& c : healthy) {
    if (c.distance <= nearest + nearest / 4) {
      out.weights[c.serving.instance] = c.serving.capacity;
    }
  }
  return out;
}

void Decider::decide_weights(Time now, const DomainView& view, Rollout& rollout) {
  std::map<std::pair<NodeId, Name>, std::string> reasons;
  for (const auto& [target, state] : targets_) {
    if (!state.watchdog.tripped()) continue;
    std::string& reason = reasons[{target.ingress, target.prefix}];
    reason += (reason.empty() ? "" : "; ") + describe(target, view) + ": " +
              state.watchdog.reason(now);
  }
  std::map<std::pair<NodeId, Name>, Weights> wanted;
  for (const auto& [key, reason] : reasons) {
    auto weights = wanted_weights(key.first, key.second, view);
    if (!weights) continue;
    std::string id = "weights/" + key.second.text();
    auto old = weights_.find(key);
    if (old == weights_.end() || old->second != *weights) {
      say(now, "weights", id + " at " + view.node_name(key.first), reason);
    }
    rollout.desire(now, key.first, {id, *weights, reason});
    wanted.emplace(key, std::move(*weights));
  }
  for (const auto& [key, weights] : weights_) {
    if (wanted.count(key) != 0) continue;
    std::string id = "weights/" + key.second.text();
    rollout.withdraw(now, key.first, id);
    say(now, "withdrawn", id + " at " + view.node_name(key.first), "quality is back");
  }
  weights_ = std::move(wanted);
}

std::set<NodeId> Decider::gateways_hurt_by(LinkName link, const DomainView& view) const {
  std::set<NodeId> hurt;
  for (const auto& [target, state] : targets_) {
    if (!state.watchdog.tripped()) continue;
    std::vector<NodeId> path = view.spf_path(target.ingress, target.instance.egress);
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      if (link_between(path[i], path[i + 1]) == link) hurt.insert(target.ingress);
    }
  }
  return hurt;
}

void Decider::decide_bias(Time now, const DomainView& view, Rollout& rollout) {
  for (auto& [link, state] : links_) {
    if (!state.watchdog.tripped() || biases_.count(link) != 0) continue;
    if (gateways_hurt_by(link, view).size() < config_.bias_after) continue;
    std::string id = "bias/" + view.node_name(link.a) + "-" + view.node_name(link.b);
    std::string reason = "the link hurts several gateways: " + state.watchdog.reason(now);
    for (auto [node, peer] : {std::pair{link.a, link.b}, std::pair{link.b, link.a}}) {
      std::uint32_t own_link = view.link_id(node, peer);
      if (own_link == 0) continue;
      rollout.desire(now, node, {id, Bias{own_link, peer, config_.bias}, reason});
      biases_[link].push_back({node, id});
    }
    say(now, "bias", id, reason);
  }
  std::erase_if(biases_, [&](const auto& entry) {
    auto it = links_.find(entry.first);
    if (it != links_.end() && it->second.watchdog.tripped()) return false;
    for (const auto& [node, id] : entry.second) rollout.withdraw(now, node, id);
    say(now, "withdrawn", entry.second.front().second, "quality is back");
    return true;
  });
}

}  // namespace dmsc::scscd
