// May this LSA be believed? Everything here depends on the LSA, on what was learnt, and on signed
// times only, so that all nodes with the same knowledge judge alike.
#include <algorithm>

#include "dmsc/trust/trust_store.hpp"
#include "dmsc/wire/spa_lsa.hpp"

namespace dmsc::trust {

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::valid: return "valid";
    case Verdict::invalid: return "invalid";
    case Verdict::unknown: return "unknown";
  }
  return "?";
}

namespace {

struct Reason {
  std::string* out = nullptr;
  Verdict say(Verdict verdict, std::string text) {
    if (out != nullptr) *out = std::move(text);
    return verdict;
  }
  Verdict invalid(std::string text) { return say(Verdict::invalid, std::move(text)); }
  Verdict unknown(std::string text) { return say(Verdict::unknown, std::move(text)); }
};

bool signed_by(const wire::Lsa& lsa, const crypto::PublicKey& key) {
  return crypto::verify(key, lsa.signed_bytes(), lsa.signature());
}

Verdict judge_certificate(const Question& q, const wire::Lsa& lsa, ByteView der, Certificate& out,
                          Reason& reason) {
  Result<Certificate> cert = parse_certificate(der);
  if (!cert) return reason.invalid(cert.error().message);
  if (!issued_by(*cert, *q.root)) return reason.invalid("certificate is not signed by the root");
  if (cert->domain != q.root->domain || !is_node_role(cert->role) || cert->node != lsa.key.origin) {
    return reason.invalid("certificate of " + spiffe_uri(*cert) + " in an LSA of node " +
                          std::to_string(lsa.key.origin.value));
  }
  if (cert->not_after < q.newest_signed) return reason.unknown("certificate has expired");
  out = std::move(*cert);
  return Verdict::valid;
}

Verdict judge_node_lsa(const Question& q, const wire::Lsa& lsa, Reason& reason) {
  if (!q.origin) return reason.unknown("identity of the origin is not known");
  return signed_by(lsa, q.origin->key) ? Verdict::valid : reason.invalid("signature of the LSA");
}

Verdict judge_identity(const Question& q, const wire::Lsa& lsa, Reason& reason) {
  if (lsa.purge) return judge_node_lsa(q, lsa, reason);
  Result<wire::IdentityBody> body = wire::decode_identity_body(lsa.body());
  if (!body) return reason.invalid(body.error().message);
  if (q.origin && q.origin->certificate == crypto::sha256(body->certificate)) {
    return judge_node_lsa(q, lsa, reason);
  }
  Certificate cert;
  Verdict verdict = judge_certificate(q, lsa, body->certificate, cert, reason);
  if (verdict != Verdict::valid) return verdict;
  if (std::find(q.revoked.begin(), q.revoked.end(), cert.key) != q.revoked.end()) {
    return reason.invalid("the key of node " + cert.name + " is revoked");
  }
  // T6: an old certificate, perhaps of a key long replaced, never takes a newer one's place.
  if (q.origin && cert.serial < q.origin->serial) return reason.unknown("certificate is older");
  return signed_by(lsa, cert.key) ? Verdict::valid : reason.invalid("signature of the LSA");
}

Verdict judge_signed(const Question& q, ByteView object, Reason& reason) {
  Result<wire::ObjectHeader> header = wire::decode_object(object);
  if (!header) return reason.invalid(header.error().message);
  if (header->domain != q.domain) return reason.invalid("object of another domain");
  if (header->issuer == 0) {
    return wire::verify_object(object, q.root->key) ? Verdict::valid
                                                    : reason.invalid("signature of the root");
  }
  if (!q.issuer || q.issuer->id != header->issuer) {
    return reason.unknown("issuer " + std::to_string(header->issuer) + " is not known");
  }
  const wire::Authority::Issuer& by = *q.issuer;
  if (header->issued_at > by.not_after) return reason.invalid("signed after the issuer's end");
  return wire::verify_object(object, by.key) ? Verdict::valid
                                             : reason.invalid("signature of issuer " + by.name);
}

Verdict judge_grant(const Question& q, const wire::Lsa& lsa, Reason& reason) {
  Verdict envelope = judge_node_lsa(q, lsa, reason);
  if (envelope != Verdict::valid || lsa.purge) return envelope;
  Result<Bytes> object = wire::decode_object_body(lsa.body());
  if (!object) return reason.invalid(object.error().message);
  Result<wire::Grant> grant = wire::decode_grant(*object);
  if (!grant) return reason.invalid(grant.error().message);
  if (grant->node != lsa.key.origin) {
    return reason.invalid("grant is for node " + std::to_string(grant->node.value));
  }
  return judge_signed(q, *object, reason);
}

// The envelope follows from the object, so that any gateway injects the very same LSA; judging the
// object is judging the LSA.
Verdict judge_spa_lsa(const Question& q, const wire::Lsa& lsa, Reason& reason) {
  Result<Bytes> object = wire::spa_lsa_object(lsa);
  if (!object) return reason.invalid(object.error().message);
  return judge_signed(q, *object, reason);
}

}  // namespace

Verdict judge(const Question& q, const wire::Lsa& lsa, std::string* why) {
  Reason reason{why};
  if (is_issuer_origin(lsa.key.origin)) return judge_spa_lsa(q, lsa, reason);
  switch (lsa.key.type) {
    case wire::LsaType::identity: return judge_identity(q, lsa, reason);
    case wire::LsaType::grant: return judge_grant(q, lsa, reason);
    case wire::LsaType::authority:
    case wire::LsaType::revocation:
    case wire::LsaType::domain_parameters:
      return reason.invalid(std::string(wire::to_string(lsa.key.type)) + " LSA of a node");
    default: return judge_node_lsa(q, lsa, reason);  // node, prefix, and types not known yet
  }
}

Verdict judge_object(const Question& q, ByteView object, std::string* why) {
  Reason reason{why};
  return judge_signed(q, object, reason);
}

// ---- questions of a store -----------------------------------------------------------------------

Question TrustStore::question_of(NodeId origin) const {
  Question q{domain_, root_, newest_signed_, {}, {}, {}};
  if (const NodeIdentity* held = identity(origin)) {
    q.origin = Question::Origin{held->key, held->certificate, held->serial};
  }
  return q;
}

void TrustStore::name_issuer(Question& q, ByteView object) const {
  Result<wire::ObjectHeader> header = wire::decode_object_header(object);
  const wire::Authority::Issuer* by = header ? issuer(header->issuer) : nullptr;
  if (by != nullptr) q.issuer = *by;
}

Question TrustStore::question(const wire::Lsa& lsa) const {
  Question q = question_of(lsa.key.origin);
  if (lsa.key.type == wire::LsaType::identity) {
    for (auto it = revoked_nodes_.lower_bound({lsa.key.origin, {}});
         it != revoked_nodes_.end() && it->node == lsa.key.origin; ++it) {
      q.revoked.push_back(it->key);
    }
  } else if (lsa.key.type == wire::LsaType::grant || is_issuer_origin(lsa.key.origin)) {
    Result<Bytes> object = wire::decode_object_body(lsa.body());
    if (object) name_issuer(q, *object);
  }
  return q;
}

Verdict TrustStore::judge(const wire::Lsa& lsa, std::string* why) const {
  return trust::judge(question(lsa), lsa, why);
}

Result<bool> TrustStore::learn_object(ByteView object) {
  Question q = question_of(NodeId{});
  name_issuer(q, object);
  std::string why;
  Verdict verdict = judge_object(q, object, &why);
  if (verdict != Verdict::valid) {
    return make_error(verdict == Verdict::unknown ? Errc::not_found : Errc::unauthenticated, why);
  }
  return take_object(object, GrantBook::kOwn);
}

}  // namespace dmsc::trust
