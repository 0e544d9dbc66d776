// A domain to measure with: a square grid of gateways, each with an identity, one grant and a
// number of prefixes under it, as the LSAs of a verified LSDB.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "dmsc/trust/certificate.hpp"
#include "dmsc/trust/trust_store.hpp"
#include "dmsc/wire/lsa.hpp"

namespace dmsc::bench {

inline constexpr DomainId kDomain{77};
inline constexpr DomainTime kNow{1'800'000'000};
inline constexpr DomainTime kLater{kNow.seconds + 86400 * 365};

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "bench: %s\n", result.error().message.c_str());
    std::abort();
  }
  return std::move(result).value();
}

inline crypto::SigningKey key_of(std::uint8_t n) {
  crypto::Key32 seed{};
  seed.fill(n);
  return crypto::SigningKey(seed);
}

class Domain {
 public:
  // `side` * `side` nodes, numbered from 1 row by row.
  explicit Domain(std::uint32_t side)
      : side_(side), root_key_(key_of(1)), issuer_key_(key_of(2)), node_key_(key_of(3)) {
    root_ = must(trust::issue_root("bench.dmsc", root_key_, kNow, kLater));
  }
  std::uint32_t nodes() const { return side_ * side_; }

  // Knows root and issuer, nothing of any node.
  trust::TrustStore store() const {
    auto store = must(trust::TrustStore::create(kDomain, root_));
    wire::Authority authority;
    authority.header = {kDomain, 0, 1, kNow};
    authority.issuers.push_back({1, "spa-1", issuer_key_.public_key(), kLater});
    must(store.learn_object(wire::sign(authority, root_key_)));
    wire::DomainParameters limits;
    limits.header = {kDomain, 0, 1, kNow};
    limits.max_prefixes_per_node = 1'000'000;
    must(store.learn_object(wire::sign(limits, root_key_)));
    return store;
  }

  wire::LsaPtr identity(std::uint32_t id) const {
    trust::CertificateRequest request;
    request.domain = "bench.dmsc";
    request.role = "sg";
    request.name = "sg-" + std::to_string(id);
    request.node = NodeId{id};
    request.key = node_key_.public_key();
    request.serial = id;
    request.not_before = kNow;
    request.not_after = kLater;
    static const trust::Certificate root = must(trust::parse_certificate(root_));
    Bytes der = must(trust::issue_certificate(request, root_key_, root));
    return lsa(id, wire::LsaType::identity, 0, wire::encode(wire::IdentityBody{der, {}}));
  }
  wire::LsaPtr grant(std::uint32_t id) const {
    wire::Grant grant;
    grant.header = {kDomain, 1, id, kNow};
    grant.node = NodeId{id};
    grant.identity = "unit:bench.service";
    grant.subtree = must(Name::parse(subtree(id)));
    grant.depth = 3;
    grant.valid_until = kLater;
    return lsa(id, wire::LsaType::grant, 0,
               wire::encode_object_body(wire::sign(grant, issuer_key_)));
  }
  // `metric`: of the link to the right neighbour as this node sees it; all others 10.
  wire::LsaPtr node(std::uint32_t id, std::uint32_t metric = 10) const {
    wire::NodeBody body;
    body.name = "sg-" + std::to_string(id);
    std::uint32_t x = (id - 1) % side_, y = (id - 1) / side_;
    // Link 1 leads right, 2 left, 3 down, 4 up.
    auto add = [&](std::uint32_t other, std::uint32_t link, std::uint32_t far, std::uint32_t cost) {
      wire::Adjacency a{NodeId{other}, link, far, cost};
      a.flags = wire::kAdjacencyUsable;
      a.delay_us = 100 + id % 50;
      a.capacity_bps = 10'000'000'000;
      body.adjacencies.push_back(a);
    };
    if (x + 1 < side_) add(id + 1, 1, 2, metric);
    if (x > 0) add(id - 1, 2, 1, 10);
    if (y + 1 < side_) add(id + side_, 3, 4, 10);
    if (y > 0) add(id - side_, 4, 3, 10);
    return lsa(id, wire::LsaType::node, 0, wire::encode(body));
  }

  static std::string subtree(std::uint32_t id) {
    return "region" + std::to_string(id % 40) + "/team" + std::to_string(id);
  }
  static wire::PrefixEntry entry(std::uint32_t id, std::uint32_t n) {
    wire::PrefixEntry e;
    e.name = must(Name::parse(subtree(id) + "/service" + std::to_string(n)));
    e.instances.push_back({InstanceId{static_cast<std::uint16_t>(n % 65535 + 1)}, 100});
    return e;
  }
  static std::vector<wire::PrefixEntry> entries(std::uint32_t id, std::uint32_t from,
                                                std::uint32_t to) {
    std::vector<wire::PrefixEntry> out;
    for (std::uint32_t n = from; n < to; ++n) out.push_back(entry(id, n));
    return out;
  }
  // As many full fragments as it takes.
  std::vector<wire::LsaPtr> prefixes(std::uint32_t id,
                                     const std::vector<wire::PrefixEntry>& entries) const {
    std::vector<wire::LsaPtr> out;
    wire::PrefixBody body;
    std::size_t size = 0;
    auto flush = [&] {
      if (body.entries.empty()) return;
      out.push_back(fragment(id, static_cast<std::uint16_t>(out.size()), body.entries));
      body.entries.clear();
      size = 0;
    };
    for (const wire::PrefixEntry& e : entries) {
      if (size + wire::encoded_size(e) > wire::kMaxLsaBodyBytes) flush();
      size += wire::encoded_size(e);
      body.entries.push_back(e);
    }
    flush();
    return out;
  }
  wire::LsaPtr fragment(std::uint32_t id, std::uint16_t number,
                        const std::vector<wire::PrefixEntry>& entries) const {
    return lsa(id, wire::LsaType::prefix, number, wire::encode(wire::PrefixBody{entries, {}}));
  }

 private:
  wire::LsaPtr lsa(std::uint32_t id, wire::LsaType type, std::uint16_t number,
                   const Bytes& body) const {
    return must(wire::make_lsa({NodeId{id}, type, number}, {kNow.seconds, ++sequence_}, 3600, false,
                               body, node_key_));
  }
  std::uint32_t side_;
  crypto::SigningKey root_key_, issuer_key_, node_key_;
  Bytes root_;
  mutable std::uint64_t sequence_ = 0;
};

}  // namespace dmsc::bench
