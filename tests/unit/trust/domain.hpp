// A small domain with a root, one issuer (id 2, spa-1) and gateways sg-N whose id and key are N.
#pragma once
#include "dmsc/trust/trust_store.hpp"

namespace dmsc::test {

inline crypto::SigningKey key_of(std::uint8_t fill) {
  crypto::Key32 seed;
  seed.fill(fill);
  return crypto::SigningKey(seed);
}

inline Name name(const char* text) { return *Name::parse(text); }

struct Domain {
  DomainId id{42};
  DomainTime now{1700000000};
  DomainTime issuer_end = now + 1000000;
  DomainTime certificate_end = now + 2000000;
  crypto::SigningKey root_key = key_of(200);
  crypto::SigningKey issuer_key = key_of(201);
  trust::Certificate root;

  Domain() { use_root(200); }

  void use_root(std::uint8_t fill) {
    root_key = key_of(fill);
    root = *trust::parse_certificate(
        *trust::issue_root("fig2.dmsc", root_key, DomainTime{1600000000}, DomainTime{2000000000}));
  }

  wire::ObjectHeader header(std::uint32_t issuer, std::uint64_t serial) const {
    return {id, issuer, serial, now};
  }

  wire::Authority authority(std::uint64_t serial) const {
    wire::Authority a;
    a.header = header(0, serial);
    a.issuers = {{2, "spa-1", issuer_key.public_key(), issuer_end}};
    return a;
  }

  wire::Grant grant(std::uint32_t node, const char* subtree) const {
    wire::Grant g;
    g.header = header(2, 1);
    g.node = NodeId{node};
    g.identity = "pod:pod-4";
    g.subtree = name(subtree);
    g.valid_until = now + 3600;
    g.grace = 900;
    return g;
  }

  Bytes certificate(std::uint32_t node, std::uint8_t key, std::uint64_t serial) const {
    trust::CertificateRequest r;
    r.domain = "fig2.dmsc";
    r.role = "sg";
    r.name = "sg-" + std::to_string(node);
    r.node = NodeId{node};
    r.key = key_of(key).public_key();
    r.serial = serial;
    r.not_before = DomainTime{now.seconds - 86400};
    r.not_after = certificate_end;
    return *trust::issue_certificate(r, root_key, root);
  }

  Bytes identity_body(std::uint32_t node, std::uint8_t key = 0, std::uint64_t serial = 10) const {
    std::uint8_t k = key != 0 ? key : static_cast<std::uint8_t>(node);
    return wire::encode(wire::IdentityBody{certificate(node, k, serial), {}});
  }

  wire::LsaPtr lsa(std::uint32_t node, wire::LsaType type, const Bytes& body,
                   const crypto::SigningKey& key, std::uint16_t fragment = 0) const {
    return *wire::make_lsa({NodeId{node}, type, fragment}, {1, 1}, 3600, false, body, key);
  }

  wire::LsaPtr identity_lsa(std::uint32_t node, std::uint8_t key = 0,
                            std::uint64_t serial = 10) const {
    std::uint8_t k = key != 0 ? key : static_cast<std::uint8_t>(node);
    return lsa(node, wire::LsaType::identity, identity_body(node, k, serial), key_of(k));
  }

  wire::LsaPtr grant_lsa(std::uint32_t node, const wire::Grant& grant,
                         std::uint16_t fragment = 0) const {
    return lsa(node, wire::LsaType::grant, wire::encode_object_body(sign(grant, issuer_key)),
               key_of(static_cast<std::uint8_t>(node)), fragment);
  }

  trust::TrustStore empty_store() const { return *trust::TrustStore::create(id, root.der); }

  // Knows the authority and sg-4.
  trust::TrustStore store() const {
    trust::TrustStore s = empty_store();
    s.learn(*identity_lsa(4));
    (void)s.learn_object(sign(authority(1), root_key));
    return s;
  }

  trust::TrustStore store_with(const wire::Grant& grant) const {
    trust::TrustStore s = store();
    s.learn(*grant_lsa(grant.node.value, grant));
    return s;
  }
};

}  // namespace dmsc::test
