// What one node believes of the domain: root, issuers, node identities, grants, revocations and
// domain time. Fed with verified-or-not objects from LSAs, the SPA and disk; answers the two
// questions of DESIGN section 8: may this LSA be believed, and may this origin announce this prefix?
// Owned by the control thread. Pure: every signature check is a function of its arguments.
// The rules T1, T2, ... in the comments are those of docs/protocol.md, "Trust rules".
//
//   root certificate ──signs──► Authority ──lists──► issuer keys ──sign──► Grant, Revocation
//          └───────────signs──► node certificate (Identity LSA) ──key signs──► Node, Prefix, Grant LSA
#pragma once
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/trust/grant_book.hpp"
#include "dmsc/trust/question.hpp"
#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::trust {

class TrustStore {
 public:
  // `root`: the domain's CA certificate, as stored at enrolment.
  static Result<TrustStore> create(DomainId domain, ByteView root_certificate_der);

  // Judges any LSA: identity by the root, node/prefix/grant by the origin's identity, SPA objects by
  // the root or issuer key. A grant LSA is valid only if the grant inside names its origin as node
  // and verifies under a known issuer. Never changes the store. If `why` is not null and the verdict
  // is not valid, it is told the reason.
  Verdict judge(const wire::Lsa& lsa, std::string* why = nullptr) const;
  // The same in two steps: what the verdict depends on, for trust::judge() on another thread.
  Question question(const wire::Lsa& lsa) const;
  // Takes what a `valid` LSA teaches (identity, authority, revocation, parameters, grant); a purge
  // is forgotten. Returns true if anything changed: then ask rib-relevant questions again, and
  // retry LSAs judged unknown. An LSA of the same key replaces what its predecessor taught. Call
  // forget() when the LSDB drops it.
  bool learn(const wire::Lsa& lsa);
  bool forget(const wire::Lsa& lsa);
  // The same for signed objects that came from the SPA itself or from disk; their signatures are
  // checked here. Authority and parameters must be of the root, the others of a known issuer.
  Result<bool> learn_object(ByteView signed_object);

  // Certificates are parsed with `cache` from now on: for many stores in one process (the simulator, a
  // center that watches many nodes). Null: each on its own.
  void share_certificates(std::shared_ptr<CertificateCache> cache) { certificates_ = std::move(cache); }

  // Domain time: newest SPA-signed time heard, plus own monotonic time since (T9). After learn(),
  // call heard_time(now, newest_signed()) to start the clock from what the LSA said.
  void heard_time(Time now, DomainTime signed_time);
  DomainTime domain_time(Time now) const;
  // Newest `issued_at` of anything verified so far.
  DomainTime newest_signed() const { return newest_signed_; }
  // Drops grants and issuers' lists nobody needs any more. True if the set of grants changed.
  bool expire(DomainTime now);

  // May `origin` announce `name` (covering or not)? The reason is for `explain`.
  struct Answer {
    bool allowed = false;
    std::string reason;
    DomainTime until;  // when an allowed answer ends (valid_until + grace of the best grant)
  };
  Answer may_announce(NodeId origin, const Name& name, bool covering, DomainTime now) const;
  // May `origin` originate the pool's name `pool`?
  Answer may_join_pool(NodeId origin, const Name& pool, DomainTime now) const;
  bool revoked(const wire::Revocation::GrantRef& ref) const { return revoked_grants_.count(ref) != 0; }
  // True if LSAs of `node` under `key` are to be dropped (T7).
  bool revoked(const wire::Revocation::NodeRef& ref) const { return revoked_nodes_.count(ref) != 0; }
  // After learn() returned true: everything an LSDB must no longer hold LSAs of.
  const std::set<wire::Revocation::NodeRef>& revoked_nodes() const { return revoked_nodes_; }

  struct NodeIdentity {
    std::string name;
    std::string role;
    crypto::PublicKey key{};
    crypto::Hash32 certificate{};  // SHA-256 of its DER
    std::uint64_t serial = 0;  // of the certificate
    DomainTime not_after;
  };
  // Null if unknown or revoked. Valid until the next change.
  const NodeIdentity* identity(NodeId node) const;
  const std::unordered_map<NodeId, NodeIdentity>& identities() const { return identities_; }
  const wire::DomainParameters& parameters() const { return parameters_; }
  // Null until a root-verified one was learnt.
  const wire::Authority* authority() const { return authority_ ? &*authority_ : nullptr; }
  const wire::Authority::Issuer* issuer(std::uint32_t id) const;
  const std::vector<wire::Grant>& grants_of(NodeId origin) const;
  const Certificate& root() const { return *root_; }
  DomainId domain() const { return domain_; }

 private:
  friend class Announcer;  // announcer.hpp: the same questions for many names
  Question question_of(NodeId origin) const;
  void name_issuer(Question& question, ByteView object) const;

  bool learn_identity(const wire::Lsa& lsa);
  // What a verified object says. `holder`: GrantBook's, for a grant.
  Result<bool> take_object(ByteView object, std::uint32_t holder);
  bool take(wire::Grant grant, std::uint32_t holder);
  bool take(wire::Authority authority);
  bool take(wire::Revocation revocation);
  bool take(wire::DomainParameters parameters);
  void rebuild_revoked();
  std::string unusable(const wire::Grant& grant, DomainTime now) const;
  std::string unfit(NodeId origin, DomainTime now) const;

  DomainId domain_;
  std::shared_ptr<CertificateCache> certificates_;
  std::shared_ptr<const Certificate> root_ = std::make_shared<Certificate>();
  std::optional<wire::Authority> authority_;
  wire::DomainParameters parameters_;
  std::unordered_map<NodeId, NodeIdentity> identities_;
  std::unordered_map<NodeId, GrantBook> grants_;
  std::map<std::pair<std::uint32_t, std::uint16_t>, wire::Revocation> revocations_;  // issuer, part
  std::set<wire::Revocation::GrantRef> revoked_grants_;
  std::set<wire::Revocation::NodeRef> revoked_nodes_;
  DomainTime newest_signed_;
  Time anchor_{};            // own monotonic time at which it was `anchor_time_`
  DomainTime anchor_time_;
};

}  // namespace dmsc::trust
