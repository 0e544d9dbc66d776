// Link authentication (DESIGN section 4): control keys derived from the link key chain, and the
// replay window of one neighbour session.
#pragma once
#include <map>

#include "dmsc/core/ids.hpp"
#include "dmsc/crypto/key_chain.hpp"

namespace dmsc::linkstate {

// The HMAC keys of control PDUs: HKDF(link key, domain id, "dmsc control"). Deriving keeps them apart
// from hop keys, and a chain shared by mistake with another domain opens none of its packets.
class ControlKeys {
 public:
  ControlKeys() = default;
  ControlKeys(const crypto::KeyChain& chain, DomainId domain);
  const crypto::Key32* find(std::uint16_t id) const;
  // The key to send with; nullptr if the chain is empty: then nothing is sent.
  const crypto::Key32* active() const { return find(active_); }
  std::uint16_t active_id() const { return active_; }

 private:
  std::map<std::uint16_t, crypto::Key32> keys_;
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
