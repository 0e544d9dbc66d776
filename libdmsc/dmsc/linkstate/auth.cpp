#include "dmsc/linkstate/auth.hpp"

#include <algorithm>

namespace dmsc::linkstate {

ControlKeys::ControlKeys(const crypto::KeyChain& chain, DomainId domain) : active_(chain.active()) {
  ByteWriter salt;
  salt.u64(domain.value);
  for (const auto& [id, secret] : chain.keys()) {
    Bytes derived = crypto::hkdf_sha256(secret, salt.view(), "dmsc control", 32);
    crypto::Key32 key;
    std::copy(derived.begin(), derived.end(), key.begin());
    keys_.emplace_back(id, crypto::HmacKey(key));
  }
}

void ReplayWindow::restart(std::uint64_t counter) {
  highest_ = counter;
  std::fill(std::begin(bits_), std::end(bits_), ~0ULL);
}

bool ReplayWindow::accept(std::uint64_t counter) {
  if (counter > highest_) {
    std::uint64_t fresh = std::min(counter - highest_, kSize);
    for (std::uint64_t i = 0; i < fresh; ++i) {
      std::uint64_t at = (counter - i) % kSize;
      bits_[at / 64] &= ~(1ULL << at % 64);
    }
    highest_ = counter;
  } else if (highest_ - counter >= kSize) {
    return false;
  }
  std::uint64_t at = counter % kSize, bit = 1ULL << at % 64;
  if ((bits_[at / 64] & bit) != 0) return false;
  bits_[at / 64] |= bit;
  return true;
}

}  // namespace dmsc::linkstate
