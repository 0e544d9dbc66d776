// Policies between signalling 4's messages, the node's policy book and the file that keeps them over a
// restart. Only scheduling_agent.cpp uses it: it makes the call.
#pragma once
#include <functional>
#include <string>

#include "dmsc/node/node.hpp"
#include "dmsc/node/policy_book.hpp"

namespace dmsc::v1 {
class CenterMessage;
class PolicyAck;
}  // namespace dmsc::v1

namespace dmsc::node {

// Gives a policy or a withdrawal to `book` and fills its acknowledgement, or reasoned refusal.
void take_policy(const v1::CenterMessage& message, Time now, PolicyBook& book, v1::PolicyAck& ack);

// All policies held, with what is left of their lifetimes; and back. What does not decode or apply is
// left out: the center sends it again.
std::string encode_policies(Time now, std::uint64_t wall_seconds, const PolicyBook& book);
void restore_policies(std::string_view data, Time now, std::uint64_t wall_seconds,
                      PolicyBook& book);

// For people and JSON: {"sg-4/1": 100} or {"label": ..., "nodes": [...]}.
Json describe_policy(const routing::Policy& policy,
                     const std::function<std::string(NodeId)>& name_of);

}  // namespace dmsc::node
