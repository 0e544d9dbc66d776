// The issuer: answers questions with grants signed by this SPA's own key, and keeps the revocation
// lists it signs in step with the registry. Every SPA of the domain has one.
#pragma once
#include "spad/audit.hpp"
#include "spad/decide.hpp"
#include "spad/edits.hpp"

namespace dmsc::spad {

struct GrantPolicy {
  std::uint64_t valid_for = 3600, grace = 900, renew_before = 1800;  // seconds
  friend bool operator==(const GrantPolicy&, const GrantPolicy&) = default;
};

struct GrantRow {
  std::uint64_t serial = 0, accepted_until = 0;
  std::uint32_t node = 0;
  std::string gateway, identity, subtree;
  Bytes object;
};

struct Verdict {
  Bytes grant;          // signed object; empty if refused
  std::string code;     // stable word of a refusal
  std::string reason;
};

class Office {
 public:
  // `issuer`: its number on the authority. `writer`: this SPA's lists also carry the registry's.
  Office(Store& store, Audit& audit, std::uint32_t issuer, std::string name, crypto::SigningKey key,
         GrantPolicy policy, bool writer);

  // Decides, issues or finds a live grant, and audits. Part of the caller's transaction, so that
  // many questions share one commit. An error means the database failed: nobody may be answered.
  Result<Verdict> answer(const Question& question, std::uint64_t now);

  // Signs new revocation lists if what they must say has changed: grants of this issuer that no rule
  // backs any more and, on the writer, what the registry revokes. True if there are new ones.
  Result<bool> refresh_revocations(std::uint64_t now);
  // Lists this SPA signed that are not in the registry's view (a replica's own).
  const std::map<std::string, Bytes>& own_lists() const { return own_lists_; }

  Result<std::vector<GrantRow>> live_grants(std::uint64_t now);
  Result<GrantRow> find_grant(std::uint64_t serial);
  // Forgets grants and spellings nobody accepts any more.
  Status expire(std::uint64_t now);

  std::uint32_t issuer() const { return issuer_; }
  void set_policy(GrantPolicy policy) { policy_ = policy; }
  struct Counters {
    std::uint64_t asked = 0, granted = 0, reused = 0;
    std::map<std::string, std::uint64_t> refused;  // by code
  };
  const Counters& counters() const { return counters_; }

 private:
  Result<Verdict> issue(const Question& q, const Decision& d, std::uint64_t now);
  Result<Bytes> reusable(const wire::Grant& wanted, std::uint64_t now);
  Result<std::string> other_spelling(const Question& q, std::uint64_t now);
  bool blocked(const Question& q, const Rule& rule);
  bool backed(const GrantRow& row) const;
  Result<std::vector<wire::Revocation>> wanted_lists(std::uint64_t now);
  Status sign_list(wire::Revocation list, const std::string& key, std::uint64_t now);
  const Bytes* signed_list(const std::string& key) const;

  Store& store_;
  Audit& audit_;
  std::uint32_t issuer_;
  std::string name_;
  crypto::SigningKey key_;
  GrantPolicy policy_;
  bool writer_;
  std::map<std::string, Bytes> own_lists_;
  Counters counters_;
};

}  // namespace dmsc::spad
