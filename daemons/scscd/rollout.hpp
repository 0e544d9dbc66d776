// Gets policies to nodes and knows what each node has: versions, acknowledgements, reasoned refusals,
// refresh before the lifetime ends, withdrawal until acknowledged. Sans-I/O, one thread.
#pragma once
#include <map>
#include <optional>
#include <vector>

#include "dmsc/core/time.hpp"
#include "scscd/policy.hpp"

namespace dmsc::scscd {

inline constexpr std::uint32_t kPolicyLifetime = 30;  // seconds, from receipt

enum class Delivery { sent, accepted, refused, withdrawing };
const char* to_string(Delivery delivery);

struct PolicyState {
  Policy policy;
  std::uint64_t version = 0;
  Delivery delivery = Delivery::sent;
  std::string refusal;
  Time changed{};
  std::optional<Time> sent;
};

struct Outgoing {
  NodeId node;
  bool withdraw = false;
  Policy policy;             // withdraw: only the id counts
  std::uint64_t version = 0;
};

class Rollout {
 public:
  // The node shall have this policy; same content as before is no change.
  void desire(Time now, NodeId node, Policy policy);
  void withdraw(Time now, NodeId node, const std::string& id);
  // A session opened. `held`: policies (id) the node still has, of any epoch; those nobody desires
  // are withdrawn, the rest is sent again.
  void session_opened(Time now, NodeId node, const std::vector<std::string>& held);
  void session_closed(NodeId node);
  // Ignores acknowledgements of versions that are not the newest.
  void acknowledged(Time now, NodeId node, const std::string& id, std::uint64_t version,
                    bool accepted, std::string reason);
  // What is due now: new, unacknowledged for two seconds, or due for refresh. Only to open sessions.
  std::vector<Outgoing> poll(Time now);

  bool accepted(NodeId node, const std::string& id) const;
  bool refused(NodeId node, const std::string& id) const;
  const std::map<NodeId, std::map<std::string, PolicyState>>& states() const { return states_; }

 private:
  std::map<NodeId, std::map<std::string, PolicyState>> states_;
  std::map<NodeId, bool> sessions_;
  std::uint64_t next_version_ = 1;
};

}  // namespace dmsc::scscd
