// Explicit paths: chosen around degraded links, set up in two phases, retired in the reverse order.
#include <algorithm>

#include "scscd/decider.hpp"

namespace dmsc::scscd {
namespace {
constexpr Duration kTransitMemory = seconds(30);  // transit forgets this long after the last use
constexpr Duration kPathRetry = seconds(10);
constexpr double kUnknownLinkDelayUs = 5000;      // a link nobody has measured is a last resort
}  // namespace

void Decider::decide_paths(Time now, const DomainView& view, Rollout& rollout) {
  for (const auto& [target, state] : targets_) {
    bool steered = weights_.count({target.ingress, target.prefix}) != 0;
    bool wanted = state.watchdog.tripped() && !state.watchdog.tripped(Metric::availability) &&
                  !steered && target.instance.egress != target.ingress;
    auto it = paths_.find(target);
    if (it == paths_.end()) {
      auto backoff = path_backoff_.find(target);
      bool allowed = backoff == path_backoff_.end() || backoff->second <= now;
      if (wanted && allowed) open_path(now, target, view, rollout);
    } else if (!wanted) {
      retire_path(now, std::move(it->second), "quality is back", rollout);
      paths_.erase(it);
    } else {
      advance_path(now, target, it->second, view, rollout);
    }
  }
  for (auto it = paths_.begin(); it != paths_.end();) {
    if (targets_.count(it->first) != 0 && !it->second.id.empty()) {
      ++it;
      continue;
    }
    if (!it->second.id.empty()) {
      retire_path(now, std::move(it->second), "its target is no longer reported", rollout);
    }
    it = paths_.erase(it);
  }
  std::erase_if(path_backoff_, [&](const auto& entry) { return entry.second <= now; });
}

void Decider::open_path(Time now, const Target& target, const DomainView& view,
                        Rollout& rollout) {
  const ThresholdSet* set = thresholds_for(config_.thresholds, target.prefix);
  if (set == nullptr) return;
  auto cost = [&](LinkName link) -> std::optional<double> {
    measure::Quality q = link_quality(link);
    if (meets_trip(*set, q)) return std::nullopt;
    return 100 + (q.delay_us ? static_cast<double>(*q.delay_us) : kUnknownLinkDelayUs);
  };
  std::vector<NodeId> nodes = view.best_path(target.ingress, target.instance.egress, cost);
  if (nodes.empty() || nodes == view.spf_path(target.ingress, target.instance.egress) ||
      meets_trip(*set, path_quality(nodes))) {
    return;  // nothing better is known: SPF serves
  }
  auto label = labels_.take(now);
  if (!label) return;
  ActivePath active;
  active.id = "path/" + target.prefix.text() + "/" + std::to_string(label->value);
  active.path = {*label, Path::Phase::install, nodes, target.prefix};
  const std::string reason = describe(target, view) + ": " + targets_.at(target).watchdog.reason(now);
  for (NodeId node : nodes) rollout.desire(now, node, {active.id, active.path, reason});
  std::string hops;
  for (NodeId node : nodes) hops += (hops.empty() ? "" : " > ") + view.node_name(node);
  say(now, "path", active.id + ": " + hops, reason);
  paths_.emplace(target, std::move(active));
}

bool Decider::path_still_good(const ActivePath& active, const DomainView& view,
                              const Rollout& rollout) const {
  for (NodeId node : active.path.nodes) {
    if (rollout.refused(node, active.id)) return false;
  }
  for (std::size_t i = 0; i + 1 < active.path.nodes.size(); ++i) {
    if (view.link_id(active.path.nodes[i], active.path.nodes[i + 1]) == 0) return false;
  }
  const ThresholdSet* set = thresholds_for(config_.thresholds, active.path.prefix);
  return set == nullptr || !meets_trip(*set, path_quality(active.path.nodes));
}

void Decider::advance_path(Time now, const Target& target, ActivePath& active,
                           const DomainView& view, Rollout& rollout) {
  if (!path_still_good(active, view, rollout)) {
    path_backoff_[target] = now + kPathRetry;
    retire_path(now, std::move(active), "a node refused it, or it is no longer good", rollout);
    active.id.clear();  // decide_paths drops it
    return;
  }
  if (active.used) return;
  bool installed = std::all_of(active.path.nodes.begin(), active.path.nodes.end(),
                               [&](NodeId node) { return rollout.accepted(node, active.id); });
  if (!installed) return;
  active.used = true;
  Path use = active.path;
  use.phase = Path::Phase::use;
  rollout.desire(now, use.nodes.front(),
                 {active.id, use, describe(target, view) + ": path installed on every node"});
  say(now, "path", active.id, "in use");
}

void Decider::retire_path(Time now, ActivePath active, const std::string& why, Rollout& rollout) {
  rollout.withdraw(now, active.path.nodes.front(), active.id);
  say(now, "withdrawn", active.id, why);
  active.retired = now;
  retired_.push_back(std::move(active));
}

void Decider::bury_paths(Time now, Rollout& rollout) {
  std::erase_if(retired_, [&](const ActivePath& active) {
    if (active.used && now < active.retired + kTransitMemory) return false;
    for (NodeId node : active.path.nodes) rollout.withdraw(now, node, active.id);
    labels_.give_back(now, active.path.label);
    return true;
  });
}

}  // namespace dmsc::scscd
