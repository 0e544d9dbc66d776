// Link authentication (DESIGN section 4): control keys derived from the link key chain, and the
// replay window of one neighbour session.
#pragma once
#include <vector>

#include "dmsc/core/ids.hpp"
#include "dmsc/crypto/hmac_key.hpp"
#include "dmsc/crypto/key_chain.hpp"

namespace dmsc::linkstate {

// The HMAC keys of control PDUs: HKDF(link key, domain id, "dmsc control"). Deriving keeps them apart
// from hop keys, and a chain shared by mistake with another domain opens none of its packets.
class ControlKeys {
 public:
  ControlKeys() = default;
  ControlKeys(const crypto::KeyChain& chain, DomainId domain);
  const crypto::HmacKey* find(std::uint16_t id) const {
    for (const auto& [known, key] : keys_) {
      if (known == id) return &key;
    }
    return nullptr;
  }
  // The key to send with; nullptr if the chain is empty: then nothing is sent.
  const crypto::HmacKey* active() const { return find(active_); }
  std::uint16_t active_id() const { return active_; }

 private:
  std::vector<std::pair<std::uint16_t, crypto::HmacKey>> keys_;  // a few
  std::uint16_t active_ = 0;
};

// Accepts each counter once, tolerating reordering within kSize. Call only after the HMAC was good.
class ReplayWindow {
 public:
  static constexpr std::uint64_t kSize = 1024;
  // Everything up to and including `counter` counts as seen from now on.
  void restart(std::uint64_t counter);
  bool accept(std::uint64_t counter);
  void write(ByteWriter& w) const {
    w.u64(highest_);
    for (std::uint64_t word : bits_) w.u64(word);
  }

 private:
  std::uint64_t highest_ = 0;
  std::uint64_t bits_[kSize / 64] = {};  // of `counter % kSize`
};

}  // namespace dmsc::linkstate
