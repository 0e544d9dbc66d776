#include "scscd/rollout.hpp"

namespace dmsc::scscd {
namespace {
constexpr Duration kResend = seconds(2);
constexpr Duration kRefresh = seconds(kPolicyLifetime / 3);
}  // namespace

const char* to_string(Delivery delivery) {
  switch (delivery) {
    case Delivery::sent: return "sent";
    case Delivery::accepted: return "accepted";
    case Delivery::refused: return "refused";
    case Delivery::withdrawing: return "withdrawing";
  }
  return "unknown";
}

void Rollout::desire(Time now, NodeId node, Policy policy) {
  PolicyState& state = states_[node][policy.id];
  bool same = state.version != 0 && state.delivery != Delivery::withdrawing &&
              state.policy.content == policy.content;
  if (same) {
    state.policy.reason = policy.reason;
    return;
  }
  state.policy = std::move(policy);
  state.version = next_version_++;
  state.delivery = Delivery::sent;
  state.refusal.clear();
  state.changed = now;
  state.sent.reset();
}

void Rollout::withdraw(Time now, NodeId node, const std::string& id) {
  auto of_node = states_.find(node);
  if (of_node == states_.end()) return;
  auto it = of_node->second.find(id);
  if (it == of_node->second.end() || it->second.delivery == Delivery::withdrawing) return;
  it->second.version = next_version_++;
  it->second.delivery = Delivery::withdrawing;
  it->second.changed = now;
  it->second.sent.reset();
}

void Rollout::session_opened(Time now, NodeId node, const std::vector<std::string>& held) {
  sessions_[node] = true;
  auto& mine = states_[node];
  for (const std::string& id : held) {
    if (mine.count(id) != 0) continue;
    PolicyState stale;
    stale.policy.id = id;
    stale.version = next_version_++;
    stale.delivery = Delivery::withdrawing;
    stale.changed = now;
    mine.emplace(id, std::move(stale));
  }
  for (auto& [id, state] : mine) {
    state.sent.reset();
    if (state.delivery == Delivery::accepted) state.delivery = Delivery::sent;
  }
}

void Rollout::session_closed(NodeId node) {
  sessions_[node] = false;
  // What was being withdrawn dies with its lifetime at the node.
  std::erase_if(states_[node], [](const auto& entry) {
    return entry.second.delivery == Delivery::withdrawing;
  });
}

void Rollout::acknowledged(Time now, NodeId node, const std::string& id, std::uint64_t version,
                           bool accepted, std::string reason) {
  auto of_node = states_.find(node);
  if (of_node == states_.end()) return;
  auto it = of_node->second.find(id);
  if (it == of_node->second.end() || it->second.version != version) return;
  if (it->second.delivery == Delivery::withdrawing) {
    of_node->second.erase(it);
    return;
  }
  it->second.delivery = accepted ? Delivery::accepted : Delivery::refused;
  it->second.refusal = std::move(reason);
  it->second.changed = now;
}

std::vector<Outgoing> Rollout::poll(Time now) {
  std::vector<Outgoing> out;
  for (auto& [node, policies] : states_) {
    auto session = sessions_.find(node);
    if (session == sessions_.end() || !session->second) continue;
    for (auto& [id, state] : policies) {
      bool waiting = state.delivery == Delivery::sent || state.delivery == Delivery::withdrawing;
      Duration gap = waiting ? kResend : kRefresh;
      if (state.delivery == Delivery::refused) continue;
      if (state.sent && now < *state.sent + gap) continue;
      state.sent = now;
      out.push_back({node, state.delivery == Delivery::withdrawing, state.policy, state.version});
    }
  }
  return out;
}

bool Rollout::accepted(NodeId node, const std::string& id) const {
  auto of_node = states_.find(node);
  if (of_node == states_.end()) return false;
  auto it = of_node->second.find(id);
  return it != of_node->second.end() && it->second.delivery == Delivery::accepted;
}

bool Rollout::refused(NodeId node, const std::string& id) const {
  auto of_node = states_.find(node);
  if (of_node == states_.end()) return false;
  auto it = of_node->second.find(id);
  return it != of_node->second.end() && it->second.delivery == Delivery::refused;
}

}  // namespace dmsc::scscd
