// May this pod, at this gateway, announce this prefix? A pure function of the registry
// (DESIGN section 8; docs/protocol.md, "Authentication").
#pragma once
#include "spad/view.hpp"

namespace dmsc::spad {

struct Question {
  std::string gateway;         // name and id from the caller's certificate
  std::uint32_t node_id = 0;
  crypto::PublicKey key{};
  std::string identity;        // "pod:pod-4", as the gateway established it
  std::string prefix;
  bool covering = false, join_pool = false;
};

struct Decision {
  std::string refusal;         // stable code; empty = yes
  std::string reason;          // for people
  Rule rule;                   // the one that allows it
  std::vector<Name> pools;     // what a grant of this rule names
  bool granted() const { return refusal.empty(); }
};

// Refusal codes: bad_name, unknown_gateway, unknown_identity, not_owner, wrong_gateway, too_deep,
// not_covering, not_a_pool. (name_conflict and revoked depend on what was granted: Office.)
Decision decide(const View& view, const Question& question);

// True if `rule` speaks of `identity` at `gateway`; `elsewhere` is set if it does at another gateway.
bool rule_matches(const Rule& rule, const std::string& identity, const std::string& gateway,
                  bool* elsewhere = nullptr);
// The pools instances under `rule` may join: the parent of its subtree, and pools inside its reach.
std::vector<Name> pools_of(const View& view, const Rule& rule);

// An identity as registry rules name it: "pod:NAME", "unit:NAME" or "uid:N", then perhaps "@GATEWAY".
Status check_identity(std::string_view identity, bool gateway_allowed);

}  // namespace dmsc::spad
