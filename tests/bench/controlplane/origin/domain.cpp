#include "domain.hpp"

#include <cstdio>
#include <cstdlib>

#include "dmsc/trust/trust_store.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::bench {
namespace {

constexpr DomainId kDomain{0xbe};
constexpr const char* kName = "bench.dmsc";
constexpr std::uint32_t kIssuer = 1;
constexpr DomainTime kNow{1'750'000'000}, kBefore{kNow.seconds - 86400},
    kAfter{kNow.seconds + 10ULL * 365 * 86400};

crypto::Key32 seed_of(std::uint64_t number) {
  ByteWriter w;
  w.u64(number);
  return crypto::sha256(w.view());
}

template <class T>
T must(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  std::fprintf(stderr, "made-up domain: %s\n", result.error().message.c_str());
  std::exit(1);
}

}  // namespace

Domain::Domain() : root_key_(seed_of(1)), issuer_key_(seed_of(2)) {
  root_ = must(trust::issue_root(kName, root_key_, kBefore, kAfter));
  wire::Authority authority{{kDomain, 0, 1, kNow}, {}};
  authority.issuers.push_back({kIssuer, "spa-1", issuer_key_.public_key(), kAfter});
  authority_ = wire::sign(authority, root_key_);
  link_keys_.add(1, seed_of(3));
  link_keys_.set_active(1);
}

crypto::SigningKey Domain::key_of(NodeId node) const {
  return crypto::SigningKey(seed_of(1000 + std::uint64_t{node.value}));
}

Bytes Domain::certificate(NodeId node, const std::string& name, const std::string& role) const {
  trust::CertificateRequest request{kName,      role,    name,  node, key_of(node).public_key(),
                                    node.value, kBefore, kAfter};
  return must(trust::issue_certificate(request, root_key_, must(trust::parse_certificate(root_))));
}

Bytes Domain::grant(NodeId gateway, const Name& subtree, std::uint64_t serial) const {
  wire::Grant grant;
  grant.header = {kDomain, kIssuer, serial, kNow};
  grant.node = gateway;
  grant.identity = "uid:0";
  grant.subtree = subtree;
  grant.depth = 1;
  grant.valid_until = kAfter;
  return wire::sign(grant, issuer_key_);
}

node::NodeIdentity Domain::identity(NodeId node, const std::string& name,
                                    const std::string& role) const {
  node::NodeIdentity out;
  out.name = name;
  out.id = node;
  out.domain = kName;
  out.domain_id = kDomain;
  out.role = role == "sg" ? wire::NodeRole::gateway : wire::NodeRole::router;
  out.key_seed = seed_of(1000 + std::uint64_t{node.value});
  out.certificate = certificate(node, name, role);
  out.root = root_;
  out.link_keys = link_keys_;
  out.signed_objects = {authority_};
  out.domain_time = kNow;
  return out;
}

Status Domain::save(NodeId node, const std::string& name, const std::string& role,
                    const std::string& state_dir) const {
  trust::Certificate own = must(trust::parse_certificate(certificate(node, name, role)));
  runtime::Identity identity{key_of(node), own,        must(trust::parse_certificate(root_)),
                             kDomain,      link_keys_, {},
                             {},           authority_, {},
                             {},           kNow};
  return runtime::save_identity(state_dir, identity);
}

}  // namespace dmsc::bench
