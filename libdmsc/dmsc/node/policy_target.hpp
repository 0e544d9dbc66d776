// Puts policies into effect at a router node: weights into the RIB, biases into the node's own LSA,
// labels into the FIB.
#pragma once
#include "dmsc/node/node.hpp"
#include "dmsc/node/policy_book.hpp"

namespace dmsc::node {

class NodePolicyTarget : public PolicyTarget {
 public:
  explicit NodePolicyTarget(Node& node) : node_(node) {}
  Status apply(const routing::Policy& policy, const routing::Policy* previous) override;
  void withdraw(const routing::Policy& policy) override;

 private:
  Status apply_weights(const routing::InstanceWeights& weights);
  Status apply_bias(const routing::LinkBias& bias);
  Status apply_path(const routing::ExplicitPath& path, const routing::ExplicitPath* previous);

  Node& node_;
  std::uint64_t version_ = 0;
};

}  // namespace dmsc::node
