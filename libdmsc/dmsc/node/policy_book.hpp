// The policies a node holds from the scheduling center: epochs and versions, lifetimes, what to do
// with a refusal. Time is handed in; the control thread owns it. Rules P1-P6 of docs/protocol.md,
// "Policies at a node".
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/routing/policy.hpp"

namespace dmsc::node {

// Puts a policy into effect, or takes it out.
class PolicyTarget {
 public:
  virtual ~PolicyTarget() = default;
  // `previous`: the version in effect so far, to be replaced; nullptr if none. On error the previous
  // one must still be in effect.
  virtual Status apply(const routing::Policy& policy, const routing::Policy* previous) = 0;
  virtual void withdraw(const routing::Policy& policy) = 0;
};

struct HeldPolicy {
  routing::Policy policy;
  std::uint64_t epoch = 0, version = 0;
  Time received{}, expires{};
};

class PolicyBook {
 public:
  explicit PolicyBook(PolicyTarget& target) : target_(target) {}

  // Takes a policy for `lifetime`. An older epoch or version is refused; the same version again only
  // renews the lifetime; a policy that cannot be applied leaves the last good one in effect until
  // its time is over. The error's text goes back as the reason.
  Status accept(Time now, routing::Policy policy, std::uint64_t epoch, std::uint64_t version,
                Duration lifetime);
  // Withdrawing what is not held succeeds: the end is the same. An older epoch is refused.
  Status withdraw(const std::string& id, std::uint64_t epoch);
  // A center with a newer epoch speaks: what it does not confirm dies with its lifetime.
  void heard_epoch(std::uint64_t epoch);
  // Takes out what has expired; returns the ids.
  std::vector<std::string> tick(Time now);
  void clear();

  const std::map<std::string, HeldPolicy>& held() const { return held_; }
  std::uint64_t epoch() const { return epoch_; }

 private:
  PolicyTarget& target_;
  std::map<std::string, HeldPolicy> held_;
  std::uint64_t epoch_ = 0;
};

}  // namespace dmsc::node
