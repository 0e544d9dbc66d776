// The simulated SPA: root, one issuer, node certificates, grants and revocations, all signed for
// real; and the memory of verdicts that makes 200 nodes affordable.
#pragma once
#include <map>
#include <tuple>

#include "dmsc/trust/trust_store.hpp"
#include "dmsc/wire/spa_lsa.hpp"

namespace dmsc::sim {

inline constexpr DomainId kDomain{0xd0};
inline constexpr std::uint64_t kDomainTime = 1'750'000'000;

struct Identity {
  crypto::SigningKey key;
  Bytes certificate;
};

class Pki {
 public:
  Pki();
  const Bytes& root() const { return root_; }
  // Made once per (node, role) and kept over all seeds.
  const Identity& identity(NodeId node, bool gateway);
  Bytes authority() const;
  Bytes parameters() const;
  Bytes grant(NodeId node, const Name& subtree, std::vector<Name> pools, std::uint64_t serial) const;
  Bytes revocation(const std::vector<wire::Revocation::GrantRef>& grants, std::uint64_t serial) const;
  static constexpr std::uint32_t kIssuer = 1;

 private:
  crypto::SigningKey root_key_, issuer_key_;
  Bytes root_;
  std::map<std::pair<NodeId, bool>, Identity> identities_;
  std::uint64_t serial_ = 1;
};

// TrustStore::judge() is a function of the LSA and of what the store knows; each pair is judged once
// for all nodes. The key holds everything a verdict depends on here.
class JudgeMemo {
 public:
  trust::Verdict judge(const trust::TrustStore& store, const wire::Lsa& lsa);
  void clear() { known_.clear(); }
  std::uint64_t hits = 0, misses = 0;

 private:
  using Key = std::tuple<crypto::Hash32, std::uint64_t, std::uint64_t, std::uint64_t, std::size_t>;
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return static_cast<std::size_t>(ByteReader(std::get<0>(key)).u64());
    }
  };
  std::unordered_map<Key, trust::Verdict, Hash> known_;
};

}  // namespace dmsc::sim
