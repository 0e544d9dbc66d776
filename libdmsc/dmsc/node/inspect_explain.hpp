// What `explain` says of a single LSA, grant or hop. Included only by inspect_explain*.cpp.
#pragma once
#include <string>

#include "dmsc/node/inspect.hpp"

namespace dmsc::node::inspect {

// "2026-11-22 21:05:12 UTC, in 3 h 12 min", or "..., 40 s ago".
std::string end_text(DomainTime end, DomainTime now);

struct LsaReference {
  std::string text;  // "LSA sg-4/prefix/0, epoch 1795359615, sequence 4, 12 s old"
  Json json;         // origin, type, fragment, epoch, sequence, age_s, remaining_s
};
// Of the verified copy held now; "no longer held" if there is none.
LsaReference reference(NodeImpl& node, const wire::LsaKey& key);

struct GrantReference {
  std::string text;  // "granted by spa-1, serial 3: B/4 and 0 components below, until 2026-11-22 ..."
  Json json;         // issuer, serial, subtree, depth, covering, pool, until
};
// The grant under which `origin` may announce the name, or join it as a pool; the one that lasts longest.
GrantReference grant_of(const NodeImpl& node, NodeId origin, const Name& name, bool covering);

struct PathHop {
  std::uint32_t metric = 0;
  std::string drained;  // " (drained)" at the largest metric
  Json json;            // from, to, metric, lsa
};
// The cheapest link between two neighbours, as the first of them states it.
PathHop path_hop(NodeImpl& node, NodeId from, NodeId to);

}  // namespace dmsc::node::inspect
