// May one gateway announce these names? The question of DESIGN section 8 asked for many names of
// one origin at one instant, as a Prefix LSA brings them: identity, issuers and revocations are
// looked at once, and names under one grant cost little more than comparing them with its subtree.
#pragma once
#include "dmsc/trust/trust_store.hpp"

namespace dmsc::trust {

// Valid until the store changes. Decides as TrustStore::may_announce() and, for names that are not
// covering, may_join_pool() do; ask those for the reason of a refusal.
class Announcer {
 public:
  Announcer(const TrustStore& store, NodeId origin, DomainTime now);
  // May the origin announce the name, or join the pool of that name? Rules T11, T12.
  bool allowed(const Name& name, bool covering);
  // When the last name that was allowed() stops being so, at the earliest: then ask again.
  DomainTime until() const { return until_; }
  // Full checks of a grant so far: about one for every grant and run of names under it.
  std::uint64_t checks() const { return checks_; }

 private:
  enum class Use : std::uint8_t { unknown, good, bad };
  bool good(std::size_t grant);
  bool permits(std::size_t grant, const Name& name, bool covering) const;
  bool allow(std::size_t grant);
  bool covered(const Name& name, bool covering);

  const TrustStore& store_;
  DomainTime now_, not_after_, until_;
  const GrantBook* book_ = nullptr;  // null: nothing of this origin may be used
  std::vector<Use> use_;             // by grant
  std::size_t last_;                 // the grant that allowed the last name; none: past the end
  std::uint64_t checks_ = 0;
};

}  // namespace dmsc::trust
