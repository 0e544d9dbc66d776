#include "tests/sim/pki.hpp"

#include <cstdio>
#include <cstdlib>

namespace dmsc::sim {
namespace {

crypto::Key32 seed_of(std::uint64_t number) {
  ByteWriter w;
  w.u64(number);
  return crypto::sha256(w.view());
}

constexpr DomainTime kBefore{kDomainTime - 86400}, kAfter{kDomainTime + 10 * 86400};

// What cannot fail with these arguments; if it does, the simulator itself is broken.
template <class T>
T must(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  std::fprintf(stderr, "simulated SPA: %s\n", result.error().message.c_str());
  std::abort();
}

}  // namespace

Pki::Pki() : root_key_(seed_of(1)), issuer_key_(seed_of(2)) {
  root_ = must(trust::issue_root("sim.dmsc", root_key_, kBefore, kAfter));
}

const Identity& Pki::identity(NodeId node, bool gateway) {
  auto it = identities_.find({node, gateway});
  if (it != identities_.end()) return it->second;
  crypto::SigningKey key(seed_of(1000 + node.value));
  trust::CertificateRequest request{"sim.dmsc", gateway ? "sg" : "sr",
                                    "n" + std::to_string(node.value), node, key.public_key(),
                                    ++serial_, kBefore, kAfter};
  trust::Certificate root = must(trust::parse_certificate(root_));
  Bytes der = must(trust::issue_certificate(request, root_key_, root));
  return identities_.emplace(std::make_pair(node, gateway), Identity{key, std::move(der)})
      .first->second;
}

Bytes Pki::authority() const {
  wire::Authority object{{kDomain, 0, 1, {kDomainTime}}, {}};
  object.issuers.push_back({kIssuer, "spa-1", issuer_key_.public_key(), kAfter});
  return wire::sign(object, root_key_);
}

Bytes Pki::parameters() const {
  wire::DomainParameters object;
  object.header = {kDomain, 0, 1, {kDomainTime}};
  return wire::sign(object, root_key_);
}

Bytes Pki::grant(NodeId node, const Name& subtree, std::vector<Name> pools,
                 std::uint64_t serial) const {
  wire::Grant object;
  object.header = {kDomain, kIssuer, serial, {kDomainTime}};
  object.node = node;
  object.identity = "pod:sim";
  object.subtree = subtree;
  object.depth = 1;
  object.pools = std::move(pools);
  object.valid_until = {kDomainTime + 86400};
  object.grace = 3600;
  return wire::sign(object, issuer_key_);
}

Bytes Pki::revocation(const std::vector<wire::Revocation::GrantRef>& grants,
                      std::uint64_t serial) const {
  wire::Revocation object;
  object.header = {kDomain, kIssuer, serial, {kDomainTime}};
  object.grants = grants;
  return wire::sign(object, issuer_key_);
}

trust::Verdict JudgeMemo::judge(const trust::TrustStore& store, const wire::Lsa& lsa) {
  const auto* held = store.identity(lsa.key.origin);
  const auto* authority = store.authority();
  Key key{lsa.hash, held == nullptr ? 0 : held->serial,
          authority == nullptr ? 0 : authority->header.serial, store.newest_signed().seconds,
          store.revoked_nodes().size()};
  auto [it, fresh] = known_.try_emplace(key, trust::Verdict::unknown);
  ++(fresh ? misses : hits);
  if (fresh) it->second = store.judge(lsa);
  return it->second;
}

}  // namespace dmsc::sim
