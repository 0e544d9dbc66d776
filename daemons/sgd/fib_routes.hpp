// CallRoutes over the forwarding table: longest match, then of two instances drawn by weight the one
// with fewer of our calls open per unit of weight (DESIGN section 9). Worker thread.
#pragma once
#include <map>

#include "dmsc/forwarding/decision.hpp"
#include "sgd/ingress_calls.hpp"

namespace dmsc::sgd {

class FibRoutes : public CallRoutes, public forwarding::InstanceLoad {
 public:
  explicit FibRoutes(const forwarding::Fib& fib) : fib_(fib) {}
  Choice choose(std::string_view name, std::uint64_t flow, const std::vector<Pin>& avoid) override;
  bool matches(std::string_view name) override { return static_cast<bool>(fib_.match(name)); }
  // Lost only when SPF has lost it: while a link is down and its alternate not yet in use, calls
  // go on being retransmitted.
  bool reachable(NodeId egress) override { return static_cast<bool>(fib_.node(egress)); }
  void flow_opened(const Pin& pin) override { ++open_[pin]; }
  void flow_closed(const Pin& pin) override;
  std::uint64_t load(const forwarding::InstanceEntry& instance) const override;

 private:
  const forwarding::Fib& fib_;
  std::map<Pin, std::uint64_t> open_;  // calls of this gateway by instance
};

}  // namespace dmsc::sgd
