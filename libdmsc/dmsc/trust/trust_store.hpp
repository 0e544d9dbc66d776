// What one node believes of the domain: root, issuers, node identities, grants, revocations and
// domain time. Fed with verified-or-not objects from LSAs, the SPA and disk; answers the two
// questions of DESIGN section 8: may this LSA be believed, and may this origin announce this prefix?
// Owned by the control thread. Pure: every signature check is a function of its arguments.
#pragma once
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/trust/certificate.hpp"
#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::trust {

enum class Verdict {
  valid,
  invalid,  // a signature or binding is wrong: drop it and charge the neighbour that sent it
  unknown,  // cannot be judged yet (identity, authority or issuer not known): ask again later
};

class TrustStore {
 public:
  // `root`: the domain's CA certificate, as stored at enrolment.
  static Result<TrustStore> create(DomainId domain, ByteView root_certificate_der);

  // Judges any LSA: identity by the root, node/prefix/grant by the origin's identity, SPA objects by
  // the root or issuer key. A grant LSA is valid only if the grant inside names its origin as node
  // and verifies under a known issuer. Never changes the store.
  Verdict judge(const wire::Lsa& lsa) const;
  // Takes what a `valid` LSA teaches (identity, authority, revocation, parameters, grant). Returns
  // true if anything changed: then ask rib-relevant questions again. Call remove() when the LSDB
  // drops or purges it.
  bool learn(const wire::Lsa& lsa);
  bool forget(const wire::Lsa& lsa);
  // The same for signed objects that came from the SPA itself or from disk.
  Result<bool> learn_object(ByteView signed_object);

  // Domain time: newest SPA-signed time heard, plus own monotonic time since.
  void heard_time(Time now, DomainTime signed_time);
  DomainTime domain_time(Time now) const;

  // May `origin` announce `name` (covering or not)? The reason is for `explain`.
  struct Answer {
    bool allowed = false;
    std::string reason;
    DomainTime until;  // when an allowed answer ends (valid_until + grace of the best grant)
  };
  Answer may_announce(NodeId origin, const Name& name, bool covering, DomainTime now) const;
  // May `origin` originate the pool's name `pool`?
  Answer may_join_pool(NodeId origin, const Name& pool, DomainTime now) const;
  // Any grant that covers the name for this origin; used by a gateway to skip asking the SPA.
  bool revoked(const wire::Revocation::GrantRef& ref) const;

  struct NodeIdentity {
    std::string name;
    std::string role;
    crypto::PublicKey key{};
    Bytes certificate;
  };
  const NodeIdentity* identity(NodeId node) const;
  const wire::DomainParameters& parameters() const { return parameters_; }
  const wire::Authority* authority() const;
  const std::vector<wire::Grant>& grants_of(NodeId origin) const;
  DomainId domain() const { return domain_; }

 private:
  // trust/trust_store.cpp owns the layout of what is kept.
  DomainId domain_;
  wire::DomainParameters parameters_;
};

}  // namespace dmsc::trust
