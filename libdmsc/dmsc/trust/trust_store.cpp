#include "dmsc/trust/trust_store.hpp"

#include <algorithm>

namespace dmsc::trust {

Result<TrustStore> TrustStore::create(DomainId domain, ByteView root_certificate_der) {
  Result<Certificate> root = parse_certificate(root_certificate_der);
  if (!root) return with_context("root", root.error());
  if (root->role != "root") return make_error(Errc::invalid, "root: certificate is of ", root->name);
  if (!issued_by(*root, *root)) return make_error(Errc::invalid, "root: not signed by itself");
  TrustStore store;
  store.domain_ = domain;
  store.root_ = std::make_shared<Certificate>(std::move(*root));
  return store;
}

// ---- learning -------------------------------------------------------------------------------

bool TrustStore::learn(const wire::Lsa& lsa) {
  if (lsa.purge) return forget(lsa);
  if (lsa.key.type == wire::LsaType::identity) return learn_identity(lsa);
  if (lsa.key.type < wire::LsaType::grant || lsa.key.type > wire::LsaType::domain_parameters) {
    return false;
  }
  Result<Bytes> object = wire::decode_object_body(lsa.body());
  if (!object) return false;
  Result<bool> changed = take_object(*object, lsa.key.fragment);
  return changed && *changed;
}

bool TrustStore::forget(const wire::Lsa& lsa) {
  if (lsa.key.type == wire::LsaType::identity) return identities_.erase(lsa.key.origin) != 0;
  if (lsa.key.type != wire::LsaType::grant) return false;  // T10: signed state outlives its LSA
  auto book = grants_.find(lsa.key.origin);
  if (book == grants_.end()) return false;
  bool changed = book->second.release(lsa.key.fragment);
  if (book->second.empty()) grants_.erase(book);
  return changed;
}

bool TrustStore::learn_identity(const wire::Lsa& lsa) {
  Result<wire::IdentityBody> body = wire::decode_identity_body(lsa.body());
  if (!body) return false;
  auto held = identities_.find(lsa.key.origin);
  crypto::Hash32 fingerprint = crypto::sha256(body->certificate);
  if (held != identities_.end() && held->second.certificate == fingerprint) return false;
  CertificateCache own;
  auto cert = (certificates_ ? *certificates_ : own).parse(body->certificate);
  if (!cert) return false;
  const Certificate& c = **cert;
  if (held != identities_.end() && c.serial < held->second.serial) return false;
  if (revoked(wire::Revocation::NodeRef{c.node, c.key})) return false;
  identities_[lsa.key.origin] = {c.name, c.role, c.key, fingerprint, c.serial, c.not_after};
  return true;
}

Result<bool> TrustStore::take_object(ByteView object, std::uint32_t holder) {
  auto taken = [this](auto decoded, auto... more) -> Result<bool> {
    if (!decoded) return decoded.error();
    newest_signed_ = std::max(newest_signed_, decoded->header.issued_at);
    return take(std::move(*decoded), more...);
  };
  Result<wire::ObjectKind> kind = wire::object_kind(object);
  if (!kind) return kind.error();
  switch (*kind) {
    case wire::ObjectKind::authority: return taken(wire::decode_authority(object));
    case wire::ObjectKind::grant: return taken(wire::decode_grant(object), holder);
    case wire::ObjectKind::revocation: return taken(wire::decode_revocation(object));
    case wire::ObjectKind::domain_parameters:
      return taken(wire::decode_domain_parameters(object));
  }
  return make_error(Errc::unsupported, "signed object of an unknown kind");
}

bool TrustStore::take(wire::Grant grant, std::uint32_t holder) {
  return grants_[grant.node].hold(holder, grant);
}

bool TrustStore::take(wire::Authority authority) {
  if (authority_ && authority.header.serial <= authority_->header.serial) return false;
  authority_ = std::move(authority);
  return true;
}

bool TrustStore::take(wire::DomainParameters parameters) {
  if (parameters.header.serial <= parameters_.header.serial) return false;
  parameters_ = std::move(parameters);
  return true;
}

bool TrustStore::take(wire::Revocation revocation) {
  auto key = std::make_pair(revocation.header.issuer, revocation.part);
  auto held = revocations_.find(key);
  if (held != revocations_.end() && revocation.header.serial <= held->second.header.serial) {
    return false;
  }
  revocations_[key] = std::move(revocation);
  rebuild_revoked();
  return true;
}

void TrustStore::rebuild_revoked() {
  revoked_grants_.clear();
  revoked_nodes_.clear();
  for (const auto& [key, list] : revocations_) {
    revoked_grants_.insert(list.grants.begin(), list.grants.end());
    revoked_nodes_.insert(list.nodes.begin(), list.nodes.end());
  }
  for (const wire::Revocation::NodeRef& ref : revoked_nodes_) {
    auto held = identities_.find(ref.node);
    if (held != identities_.end() && held->second.key == ref.key) identities_.erase(held);
  }
}

// ---- time -----------------------------------------------------------------------------------

void TrustStore::heard_time(Time now, DomainTime signed_time) {
  anchor_time_ = std::max({signed_time, newest_signed_, domain_time(now)});
  newest_signed_ = std::max(newest_signed_, signed_time);
  anchor_ = now;
}

DomainTime TrustStore::domain_time(Time now) const {
  DomainTime running = anchor_time_;
  if (anchor_time_.seconds != 0 && now > anchor_) {
    auto since = std::chrono::duration_cast<seconds>(now - anchor_);
    running = anchor_time_ + static_cast<std::uint64_t>(since.count());
  }
  return std::max(running, newest_signed_);
}

bool TrustStore::expire(DomainTime now) {
  bool changed = false;
  for (auto book = grants_.begin(); book != grants_.end();) {
    changed = book->second.expire(now) || changed;
    book = book->second.empty() ? grants_.erase(book) : std::next(book);
  }
  return changed;
}

// ---- answers --------------------------------------------------------------------------------

const TrustStore::NodeIdentity* TrustStore::identity(NodeId node) const {
  auto it = identities_.find(node);
  return it == identities_.end() ? nullptr : &it->second;
}

const wire::Authority::Issuer* TrustStore::issuer(std::uint32_t id) const {
  if (!authority_) return nullptr;
  auto it = std::find_if(authority_->issuers.begin(), authority_->issuers.end(),
                         [id](const auto& issuer) { return issuer.id == id; });
  return it == authority_->issuers.end() ? nullptr : &*it;
}

const std::vector<wire::Grant>& TrustStore::grants_of(NodeId origin) const {
  static const std::vector<wire::Grant> none;
  auto it = grants_.find(origin);
  return it == grants_.end() ? none : it->second.grants();
}

// Why nothing of this origin may be used; empty if something may.
std::string TrustStore::unfit(NodeId origin, DomainTime now) const {
  if (!authority_) return "no authority verified under the root yet";
  const NodeIdentity* node = identity(origin);
  if (node == nullptr) return "identity of the origin is not known";
  if (node->role != "sg") return "origin " + node->name + " is no gateway";
  if (node->not_after < now) return "certificate of " + node->name + " has expired";
  if (grants_.count(origin) == 0) return node->name + " holds no grant";
  return "";
}

// Why this grant counts no more (or not yet); empty if it does.
std::string TrustStore::unusable(const wire::Grant& grant, DomainTime now) const {
  std::string name = "grant " + std::to_string(grant.header.issuer) + "/" +
                     std::to_string(grant.header.serial);
  const wire::Authority::Issuer* by = issuer(grant.header.issuer);
  if (by == nullptr) return name + " is of an issuer no longer trusted";
  if (by->not_after < now) return name + ": the key of its issuer " + by->name + " has expired";
  if (revoked({grant.header.issuer, grant.header.serial})) return name + " is revoked";
  if (accepted_until(grant) < now) return name + " has expired";
  return "";
}

TrustStore::Answer TrustStore::may_announce(NodeId origin, const Name& name, bool covering,
                                            DomainTime now) const {
  Answer answer;
  answer.reason = unfit(origin, now);
  if (!answer.reason.empty()) return answer;
  answer.reason = "no grant of " + identity(origin)->name + " covers " + name.text();
  const GrantBook& book = grants_.at(origin);
  for (std::size_t at : book.covering(name)) {
    const wire::Grant& grant = book.grants()[at];
    std::string why = unusable(grant, now);
    std::size_t below = name.component_count() - grant.subtree.component_count();
    if (why.empty() && below > grant.depth) {
      why = name.text() + " is deeper than the grant of " + grant.subtree.text() + " allows";
    }
    if (why.empty() && covering && !grant.covering) {
      why = "the grant of " + grant.subtree.text() + " does not allow covering prefixes";
    }
    if (!why.empty()) {
      if (!answer.allowed) answer.reason = why;
    } else if (!answer.allowed || accepted_until(grant) > answer.until) {
      answer = {true, "granted to " + grant.identity, accepted_until(grant)};
    }
  }
  return answer;
}

TrustStore::Answer TrustStore::may_join_pool(NodeId origin, const Name& pool,
                                             DomainTime now) const {
  Answer answer;
  answer.reason = unfit(origin, now);
  if (!answer.reason.empty()) return answer;
  answer.reason = "no grant of " + identity(origin)->name + " names the pool " + pool.text();
  const GrantBook& book = grants_.at(origin);
  for (std::size_t at : book.with_pool(pool)) {
    const wire::Grant& grant = book.grants()[at];
    std::string why = unusable(grant, now);
    if (!why.empty()) {
      if (!answer.allowed) answer.reason = why;
    } else if (!answer.allowed || accepted_until(grant) > answer.until) {
      answer = {true, "granted to " + grant.identity, accepted_until(grant)};
    }
  }
  return answer;
}

}  // namespace dmsc::trust
