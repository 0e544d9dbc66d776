// A key of HMAC-SHA-256 (RFC 2104) whose two padded blocks have been hashed once, when it was made: a short
// message then costs three runs of the compression function instead of five. For keys that tag packet
// after packet. Plain value; holds what opens the key's packets, so it is wiped when it goes.
#pragma once
#include "dmsc/crypto/keys.hpp"

namespace dmsc::crypto {

class HmacKey {
 public:
  HmacKey(const Key32& key);  // NOLINT: implicit on purpose
  HmacKey(const HmacKey&) = default;
  HmacKey& operator=(const HmacKey&) = default;
  ~HmacKey();
  // The same as hmac_sha256(key, data).
  Hash32 tag(ByteView data) const;

 private:
  using State = std::array<std::uint32_t, 8>;  // of SHA-256 after one block
  State inner_, outer_;
};

}  // namespace dmsc::crypto
