#include "dmsc/node/policy_target.hpp"

#include <algorithm>

namespace dmsc::node {

using routing::ExplicitPath;

Status NodePolicyTarget::apply(const routing::Policy& policy, const routing::Policy* previous) {
  if (const auto* weights = std::get_if<routing::InstanceWeights>(&policy.content)) {
    return apply_weights(*weights);
  }
  if (const auto* bias = std::get_if<routing::LinkBias>(&policy.content)) return apply_bias(*bias);
  const auto* old = previous == nullptr ? nullptr : std::get_if<ExplicitPath>(&previous->content);
  return apply_path(std::get<ExplicitPath>(policy.content), old);
}

Status NodePolicyTarget::apply_weights(const routing::InstanceWeights& weights) {
  bool any = std::any_of(weights.weights.begin(), weights.weights.end(),
                         [](const auto& entry) { return entry.second > 0; });
  if (!any) {
    return make_error(Errc::invalid, "weights of '", weights.prefix.text(),
                      "' leave no instance in use");
  }
  routing::WeightPolicy policy;
  policy.prefix = weights.prefix;
  policy.weights = weights.weights;
  policy.version = ++version_;
  node_.set_weights(policy);
  return Ok{};
}

Status NodePolicyTarget::apply_bias(const routing::LinkBias& bias) {
  for (const LinkQuality& link : node_.link_quality()) {
    if (link.link.value != bias.link) continue;
    if (link.neighbour != bias.neighbour) {
      return make_error(Errc::conflict, "link ", std::to_string(bias.link), " leads to ",
                        node_.name_of(link.neighbour), ", not to ",
                        node_.name_of(bias.neighbour));
    }
    return node_.set_metric_bias(link.link, bias.bias);
  }
  return make_error(Errc::not_found, "no link ", std::to_string(bias.link), " here");
}

Status NodePolicyTarget::apply_path(const ExplicitPath& path, const ExplicitPath* previous) {
  NodeId self = node_.identity().id;
  auto me = std::find(path.nodes.begin(), path.nodes.end(), self);
  if (path.nodes.size() < 2 || me == path.nodes.end()) {
    return make_error(Errc::invalid, "this node is not on the path of label ",
                      std::to_string(path.label.value));
  }
  if (previous != nullptr && (previous->label != path.label || previous->nodes != path.nodes)) {
    return make_error(Errc::conflict, "label ", std::to_string(path.label.value),
                      " would change in place");
  }
  NodeId egress = path.nodes.back();
  if (self != egress && previous == nullptr) {
    if (Status s = node_.set_label(path.label, egress, *(me + 1)); !s) return s;
  }
  if (path.phase != ExplicitPath::Phase::use) return Ok{};
  if (self != path.nodes.front()) {
    return make_error(Errc::invalid, "only the ingress ", node_.name_of(path.nodes.front()),
                      " uses label ", std::to_string(path.label.value));
  }
  node_.set_path(path.prefix, egress, path.label, path.nodes);
  return Ok{};
}

void NodePolicyTarget::withdraw(const routing::Policy& policy) {
  if (const auto* weights = std::get_if<routing::InstanceWeights>(&policy.content)) {
    node_.clear_weights(weights->prefix);
  } else if (const auto* bias = std::get_if<routing::LinkBias>(&policy.content)) {
    (void)node_.set_metric_bias(LinkId{bias->link}, 0);  // the link may be gone: nothing to undo
  } else if (const auto* path = std::get_if<ExplicitPath>(&policy.content)) {
    if (path->phase == ExplicitPath::Phase::use) node_.clear_path(path->prefix, path->nodes.back());
    node_.remove_label(path->label);
  }
}

}  // namespace dmsc::node
