// CallRoutes over the forwarding table: longest match, then of two instances drawn by weight the one
// with fewer of our calls open per unit of weight (DESIGN section 9). Worker thread.
#pragma once
#include <map>

#include "dmsc/forwarding/fib.hpp"
#include "sgd/ingress_calls.hpp"

namespace dmsc::sgd {

class FibRoutes : public CallRoutes {
 public:
  FibRoutes(const forwarding::Fib& fib, NodeId self) : fib_(fib), self_(self) {}
  Choice choose(std::string_view name, std::uint64_t flow, const std::vector<Pin>& avoid) override;
  bool matches(std::string_view name) override { return fib_.match(name) != nullptr; }
  bool reachable(NodeId egress) override { return egress == self_ || fib_.node(egress) != nullptr; }
  void flow_opened(const Pin& pin) override { ++load_[pin]; }
  void flow_closed(const Pin& pin) override;

 private:
  const forwarding::InstanceEntry* draw(const forwarding::InstanceGroup& group, std::uint64_t flow,
                                        const std::vector<Pin>& avoid) const;
  double load(const forwarding::InstanceEntry& entry) const;

  const forwarding::Fib& fib_;
  NodeId self_;
  std::map<Pin, unsigned> load_;
};

}  // namespace dmsc::sgd
