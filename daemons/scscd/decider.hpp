// Decides policies from what is measured (draft sections 5-3, 5-4; DESIGN section 9). Sans-I/O.
//
//   a target (ingress gateway, prefix, instance) trips a threshold
//     ├─ other instances of the prefix are healthy (above the floor) ─► Weights at the ingress
//     ├─ a path that avoids the degraded links is good enough ────────► Path: INSTALL on every node,
//     │                                                                 acknowledged, then USE
//     └─ a degraded link hurts targets of several gateways ───────────► Bias at both its ends
//   the target's measurements clear ─► all of it is withdrawn, the path 30 s after its last use
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scscd/domain_view.hpp"
#include "scscd/labels.hpp"
#include "scscd/rollout.hpp"
#include "scscd/thresholds.hpp"

namespace dmsc::scscd {

struct Target {
  NodeId ingress;
  Name prefix;
  routing::Instance instance;
  friend auto operator<=>(const Target&, const Target&) = default;
};

struct DeciderConfig {
  std::vector<ThresholdSet> thresholds;
  std::size_t bias_after = 2;      // ingress gateways hurt by one link before it is biased
  std::uint32_t bias = 1000;       // added to the metric of a biased link
  Duration target_idle = seconds(30);  // forget a target nobody reports
};

// What happened, for the log and the history.
struct Decision {
  Time at{};
  std::string event;    // "tripped", "cleared", "weights", "path", "bias", "withdrawn"
  std::string subject;  // target, link or policy id
  std::string reason;
};

class Decider {
 public:
  Decider(DeciderConfig config, std::uint64_t epoch);

  void observe(Time now, const Target& target, const measure::Quality& quality);
  void observe_link(Time now, NodeId node, NodeId neighbour, const measure::Quality& quality);
  // Reads the view and acknowledgements, brings `rollout` to what should be. Call about every 100 ms
  // and after every observation that matters. Returns what it decided since the last call.
  std::vector<Decision> decide(Time now, const DomainView& view, Rollout& rollout);
  void reconfigure(DeciderConfig config);

  struct TargetState {
    explicit TargetState(const ThresholdSet& set) : watchdog(set) {}
    Watchdog watchdog;
    measure::Quality last;
    Time seen{};
    bool was_tripped = false;
  };
  struct LinkState {
    explicit LinkState(const ThresholdSet& set) : watchdog(set) {}
    Watchdog watchdog;
    std::map<NodeId, measure::Quality> ends;  // as each end reports it
    Time seen{};
    bool was_tripped = false;
  };
  const std::map<Target, TargetState>& targets() const { return targets_; }
  const std::map<LinkName, LinkState>& links() const { return links_; }
  // The worse of what both ends say, part by part.
  measure::Quality link_quality(LinkName link) const;
  measure::Quality path_quality(const std::vector<NodeId>& path) const;
  const DeciderConfig& config() const { return config_; }

 private:
  struct ActivePath {
    std::string id;
    Path path;
    bool used = false;            // USE was issued
    Time retired{};               // when USE was withdrawn
  };
  void forget_idle(Time now);
  void note_trips(Time now, const DomainView& view);
  void decide_weights(Time now, const DomainView& view, Rollout& rollout);
  void decide_paths(Time now, const DomainView& view, Rollout& rollout);
  void decide_bias(Time now, const DomainView& view, Rollout& rollout);
  void open_path(Time now, const Target& target, const DomainView& view, Rollout& rollout);
  bool path_still_good(const ActivePath& active, const DomainView& view,
                       const Rollout& rollout) const;
  void advance_path(Time now, const Target& target, ActivePath& active, const DomainView& view,
                    Rollout& rollout);
  void retire_path(Time now, ActivePath active, const std::string& why, Rollout& rollout);
  void bury_paths(Time now, Rollout& rollout);
  std::optional<Weights> wanted_weights(NodeId ingress, const Name& prefix,
                                        const DomainView& view) const;
  std::set<NodeId> gateways_hurt_by(LinkName link, const DomainView& view) const;
  bool meets_trip(const ThresholdSet& set, const measure::Quality& quality) const;
  std::string describe(const Target& target, const DomainView& view) const;
  void say(Time now, std::string event, std::string subject, std::string reason);

  DeciderConfig config_;
  LabelPool labels_;
  std::map<Target, TargetState> targets_;
  std::map<LinkName, LinkState> links_;
  std::map<std::pair<NodeId, Name>, Weights> weights_;
  std::map<Target, ActivePath> paths_;
  std::map<Target, Time> path_backoff_;  // no new attempt before
  std::vector<ActivePath> retired_;
  std::map<LinkName, std::vector<std::pair<NodeId, std::string>>> biases_;
  std::vector<Decision> decisions_;
};

}  // namespace dmsc::scscd
