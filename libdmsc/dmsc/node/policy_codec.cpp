#include "dmsc/node/policy_codec.hpp"

#include "dmsc/v1/scheduling.pb.h"

namespace dmsc::node {
namespace {

Result<routing::PolicyContent> weights_of(const v1::InstanceWeights& in) {
  auto prefix = Name::parse(in.prefix());
  if (!prefix) return with_context("weights", prefix.error());
  routing::InstanceWeights out;
  out.prefix = *prefix;
  for (const auto& w : in.weights()) {
    if (w.instance() == 0 || w.instance() > 0xffff) {
      return make_error(Errc::invalid, "weights: instance ", std::to_string(w.instance()),
                        " is not 1-65535");
    }
    out.weights[{NodeId{w.egress()}, InstanceId{static_cast<std::uint16_t>(w.instance())}}] =
        w.weight();
  }
  return routing::PolicyContent(std::move(out));
}

Result<routing::PolicyContent> path_of(const v1::ExplicitPath& in) {
  auto prefix = Name::parse(in.prefix());
  if (!prefix) return with_context("path", prefix.error());
  if (in.label() == 0) return make_error(Errc::invalid, "path: label 0 means SPF");
  routing::ExplicitPath out;
  out.label = PathLabel{in.label()};
  out.phase = in.phase() == v1::ExplicitPath::USE ? routing::ExplicitPath::Phase::use
                                                  : routing::ExplicitPath::Phase::install;
  for (std::uint32_t node : in.nodes()) out.nodes.push_back(NodeId{node});
  out.prefix = *prefix;
  return routing::PolicyContent(std::move(out));
}

Result<routing::Policy> policy_of(const v1::Policy& in) {
  if (in.id().empty()) return make_error(Errc::invalid, "policy without an id");
  Result<routing::PolicyContent> content =
      make_error(Errc::unsupported, "policy of a kind this node does not know");
  if (in.has_weights()) content = weights_of(in.weights());
  if (in.has_path()) content = path_of(in.path());
  if (in.has_bias()) {
    content = routing::PolicyContent(routing::LinkBias{
        in.bias().link(), NodeId{in.bias().neighbour()}, in.bias().bias()});
  }
  if (!content) return content.error();
  return routing::Policy{in.id(), std::move(*content), in.reason()};
}

void fill(v1::Policy& out, const HeldPolicy& held, std::uint32_t seconds_left) {
  out.set_id(held.policy.id);
  out.set_epoch(held.epoch);
  out.set_version(held.version);
  out.set_lifetime_s(seconds_left);
  out.set_reason(held.policy.reason);
  const auto& content = held.policy.content;
  if (const auto* weights = std::get_if<routing::InstanceWeights>(&content)) {
    out.mutable_weights()->set_prefix(weights->prefix.text());
    for (const auto& [instance, weight] : weights->weights) {
      auto* w = out.mutable_weights()->add_weights();
      w->set_egress(instance.egress.value);
      w->set_instance(instance.id.value);
      w->set_weight(weight);
    }
  } else if (const auto* bias = std::get_if<routing::LinkBias>(&content)) {
    out.mutable_bias()->set_link(bias->link);
    out.mutable_bias()->set_neighbour(bias->neighbour.value);
    out.mutable_bias()->set_bias(bias->bias);
  } else if (const auto* path = std::get_if<routing::ExplicitPath>(&content)) {
    out.mutable_path()->set_label(path->label.value);
    out.mutable_path()->set_phase(path->phase == routing::ExplicitPath::Phase::use
                                      ? v1::ExplicitPath::USE
                                      : v1::ExplicitPath::INSTALL);
    for (NodeId node : path->nodes) out.mutable_path()->add_nodes(node.value);
    out.mutable_path()->set_prefix(path->prefix.text());
  }
}

}  // namespace

void take_policy(const v1::CenterMessage& message, Time now, PolicyBook& book,
                 v1::PolicyAck& ack) {
  Status outcome = Ok{};
  if (message.has_policy()) {
    const v1::Policy& in = message.policy();
    ack.set_id(in.id());
    ack.set_epoch(in.epoch());
    ack.set_version(in.version());
    auto policy = policy_of(in);
    outcome = policy ? book.accept(now, std::move(*policy), in.epoch(), in.version(),
                                   seconds(in.lifetime_s()))
                     : Status(policy.error());
  } else {
    const v1::PolicyWithdraw& in = message.withdraw();
    ack.set_id(in.id());
    ack.set_epoch(in.epoch());
    ack.set_version(in.version());
    outcome = book.withdraw(in.id(), in.epoch());
  }
  ack.set_accepted(outcome.ok());
  if (!outcome) ack.set_reason(outcome.error().message);
}

// File: stored-at 64, then per policy length 32 and a serialised v1.Policy.
std::string encode_policies(Time now, std::uint64_t wall_seconds, const PolicyBook& book) {
  ByteWriter out;
  out.u64(wall_seconds);
  for (const auto& [id, held] : book.held()) {
    v1::Policy policy;
    auto left = std::chrono::duration_cast<std::chrono::seconds>(held.expires - now).count();
    if (left <= 0) continue;
    fill(policy, held, static_cast<std::uint32_t>(left));
    std::string bytes = policy.SerializeAsString();
    out.u32(bytes.size()).bytes(as_bytes(bytes));
  }
  return std::string(as_text(out.view()));
}

void restore_policies(std::string_view data, Time now, std::uint64_t wall_seconds,
                      PolicyBook& book) {
  ByteReader in(as_bytes(data));
  std::uint64_t stored = in.u64();
  std::uint64_t away = wall_seconds > stored ? wall_seconds - stored : 0;
  while (in.ok() && in.left() > 0) {
    ByteView bytes = in.bytes(in.u32());
    v1::Policy policy;
    if (!in.ok() || !policy.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
    if (policy.lifetime_s() <= away) continue;
    auto decoded = policy_of(policy);
    if (!decoded) continue;
    (void)book.accept(now, std::move(*decoded), policy.epoch(), policy.version(),
                      seconds(policy.lifetime_s() - away));
  }
}

Json describe_policy(const routing::Policy& policy,
                     const std::function<std::string(NodeId)>& name_of) {
  Json j = Json::object();
  if (const auto* weights = std::get_if<routing::InstanceWeights>(&policy.content)) {
    for (const auto& [instance, weight] : weights->weights) {
      j[name_of(instance.egress) + "/" + std::to_string(instance.id.value)] = weight;
    }
  } else if (const auto* bias = std::get_if<routing::LinkBias>(&policy.content)) {
    j = {{"link", bias->link}, {"neighbour", name_of(bias->neighbour)}, {"bias", bias->bias}};
  } else if (const auto* path = std::get_if<routing::ExplicitPath>(&policy.content)) {
    j["label"] = path->label.value;
    j["phase"] = path->phase == routing::ExplicitPath::Phase::use ? "use" : "install";
    for (NodeId node : path->nodes) j["nodes"].push_back(name_of(node));
  }
  return j;
}

}  // namespace dmsc::node
