// What the nodes of one simulated network share so that hundreds fit one processor: decoded LSAs,
// verdicts, parsed certificates. Each is a function of bytes, so sharing changes no node's behaviour.
#pragma once
#include <memory>
#include <unordered_map>

#include "dmsc/linkstate/primitives.hpp"
#include "tests/sim/pki.hpp"

namespace dmsc::sim {

// Link tags: real, or a checksum that finds corruption and costs nothing.
enum class Tags { real, stub };

class SharedWork final : public linkstate::Primitives {
 public:
  explicit SharedWork(Tags tags) : tags_(tags) {}
  crypto::Hash32 tag(const crypto::HmacKey& key, ByteView covered) override;
  bool tag_good(const crypto::HmacKey& key, ByteView datagram) override;
  Result<wire::LsaPtr> decode_lsa(ByteView raw) override;
  std::size_t lsas() const { return lsas_.size(); }

 private:
  void forget_unused();
  Tags tags_;
  // By the end of the signature, which is as good as a hash; the bytes are compared.
  std::unordered_multimap<std::uint64_t, wire::LsaPtr> lsas_;
  std::size_t forget_at_ = 1 << 14;
};

}  // namespace dmsc::sim
