// Hashes, MACs and signatures over libsodium. Everything here is a pure function of its arguments:
// secrets come from outside, nothing draws random numbers.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"

namespace dmsc::crypto {

using Key32 = std::array<std::uint8_t, 32>;
using Key16 = std::array<std::uint8_t, 16>;
using Hash32 = std::array<std::uint8_t, 32>;
using PublicKey = std::array<std::uint8_t, 32>;   // Ed25519, RFC 8032
using Signature = std::array<std::uint8_t, 64>;

// Chooses libsodium's fastest implementations. Call once at the start of a program, before threads.
void init();

Hash32 sha256(ByteView data);
Hash32 hmac_sha256(ByteView key, ByteView data);
// RFC 5869 with SHA-256: `size` bytes, at most 255 * 32.
Bytes hkdf_sha256(ByteView secret, ByteView salt, std::string_view info, std::size_t size);
// SipHash-2-4, 64 bits.
std::uint64_t siphash24(const Key16& key, ByteView data);
// Constant-time comparison.
bool equal(ByteView a, ByteView b);

// An Ed25519 private key. Copyable; the seed is the only state worth storing.
class SigningKey {
 public:
  explicit SigningKey(const Key32& seed);
  const PublicKey& public_key() const { return public_; }
  const Key32& seed() const { return seed_; }
  Signature sign(ByteView message) const;

 private:
  Key32 seed_;
  PublicKey public_;
  std::array<std::uint8_t, 64> secret_;
};

// True if `signature` is valid for `message` under `key`.
bool verify(const PublicKey& key, ByteView message, const Signature& signature);

}  // namespace dmsc::crypto
