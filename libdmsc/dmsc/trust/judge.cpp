// May this LSA be believed? Everything here depends on the LSA, on what was learnt, and on signed
// times only, so that all nodes with the same knowledge judge alike.
#include "dmsc/trust/trust_store.hpp"
#include "dmsc/wire/spa_lsa.hpp"

namespace dmsc::trust {

struct TrustStore::Reason {
  std::string* out = nullptr;
  Verdict say(Verdict verdict, std::string text) {
    if (out != nullptr) *out = std::move(text);
    return verdict;
  }
  Verdict invalid(std::string text) { return say(Verdict::invalid, std::move(text)); }
  Verdict unknown(std::string text) { return say(Verdict::unknown, std::move(text)); }
};

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::valid: return "valid";
    case Verdict::invalid: return "invalid";
    case Verdict::unknown: return "unknown";
  }
  return "?";
}

namespace {

bool signed_by(const wire::Lsa& lsa, const crypto::PublicKey& key) {
  return crypto::verify(key, lsa.signed_bytes(), lsa.signature());
}

}  // namespace

Verdict TrustStore::judge(const wire::Lsa& lsa, std::string* why) const {
  Reason reason{why};
  if (is_issuer_origin(lsa.key.origin)) return judge_spa_lsa(lsa, reason);
  switch (lsa.key.type) {
    case wire::LsaType::identity: return judge_identity(lsa, reason);
    case wire::LsaType::grant: return judge_grant(lsa, reason);
    case wire::LsaType::authority:
    case wire::LsaType::revocation:
    case wire::LsaType::domain_parameters:
      return reason.invalid(std::string(wire::to_string(lsa.key.type)) + " LSA of a node");
    default: return judge_node_lsa(lsa, reason);  // node, prefix, and types not known yet
  }
}

Verdict TrustStore::judge_certificate(const wire::Lsa& lsa, ByteView der, Certificate& out,
                                      Reason& reason) const {
  Result<Certificate> cert = parse_certificate(der);
  if (!cert) return reason.invalid(cert.error().message);
  if (!issued_by(*cert, root_)) return reason.invalid("certificate is not signed by the root");
  if (cert->domain != root_.domain || !is_node_role(cert->role) || cert->node != lsa.key.origin) {
    return reason.invalid("certificate of " + spiffe_uri(*cert) + " in an LSA of node " +
                          std::to_string(lsa.key.origin.value));
  }
  if (cert->not_after < newest_signed_) return reason.unknown("certificate has expired");
  out = std::move(*cert);
  return Verdict::valid;
}

Verdict TrustStore::judge_identity(const wire::Lsa& lsa, Reason& reason) const {
  if (lsa.purge) return judge_node_lsa(lsa, reason);
  Result<wire::IdentityBody> body = wire::decode_identity_body(lsa.body());
  if (!body) return reason.invalid(body.error().message);
  const NodeIdentity* held = identity(lsa.key.origin);
  if (held != nullptr && held->certificate == body->certificate) return judge_node_lsa(lsa, reason);
  Certificate cert;
  Verdict verdict = judge_certificate(lsa, body->certificate, cert, reason);
  if (verdict != Verdict::valid) return verdict;
  if (revoked(wire::Revocation::NodeRef{cert.node, cert.key})) {
    return reason.invalid("the key of node " + cert.name + " is revoked");
  }
  // T6: an old certificate, perhaps of a key long replaced, never takes a newer one's place.
  if (held != nullptr && cert.serial < held->serial) return reason.unknown("certificate is older");
  return signed_by(lsa, cert.key) ? Verdict::valid : reason.invalid("signature of the LSA");
}

Verdict TrustStore::judge_node_lsa(const wire::Lsa& lsa, Reason& reason) const {
  const NodeIdentity* origin = identity(lsa.key.origin);
  if (origin == nullptr) return reason.unknown("identity of the origin is not known");
  return signed_by(lsa, origin->key) ? Verdict::valid : reason.invalid("signature of the LSA");
}

Verdict TrustStore::judge_object(ByteView object, Reason& reason) const {
  Result<wire::ObjectHeader> header = wire::decode_object(object);
  if (!header) return reason.invalid(header.error().message);
  if (header->domain != domain_) return reason.invalid("object of another domain");
  if (header->issuer == 0) {
    return wire::verify_object(object, root_.key) ? Verdict::valid
                                                  : reason.invalid("signature of the root");
  }
  const wire::Authority::Issuer* by = issuer(header->issuer);
  if (by == nullptr) {
    return reason.unknown("issuer " + std::to_string(header->issuer) + " is not known");
  }
  if (header->issued_at > by->not_after) return reason.invalid("signed after the issuer's end");
  return wire::verify_object(object, by->key) ? Verdict::valid
                                              : reason.invalid("signature of issuer " + by->name);
}

Verdict TrustStore::judge_grant(const wire::Lsa& lsa, Reason& reason) const {
  Verdict envelope = judge_node_lsa(lsa, reason);
  if (envelope != Verdict::valid || lsa.purge) return envelope;
  Result<Bytes> object = wire::decode_object_body(lsa.body());
  if (!object) return reason.invalid(object.error().message);
  Result<wire::Grant> grant = wire::decode_grant(*object);
  if (!grant) return reason.invalid(grant.error().message);
  if (grant->node != lsa.key.origin) {
    return reason.invalid("grant is for node " + std::to_string(grant->node.value));
  }
  return judge_object(*object, reason);
}

// The envelope follows from the object, so that any gateway injects the very same LSA; judging the
// object is judging the LSA.
Verdict TrustStore::judge_spa_lsa(const wire::Lsa& lsa, Reason& reason) const {
  Result<Bytes> object = wire::spa_lsa_object(lsa);
  if (!object) return reason.invalid(object.error().message);
  return judge_object(*object, reason);
}

Result<bool> TrustStore::learn_object(ByteView object) {
  std::string why;
  Reason reason{&why};
  Verdict verdict = judge_object(object, reason);
  if (verdict != Verdict::valid) {
    return make_error(verdict == Verdict::unknown ? Errc::not_found : Errc::unauthenticated, why);
  }
  return take_object(object, GrantBook::kOwn);
}

}  // namespace dmsc::trust
