#include "dmsc/crypto/keys.hpp"

// The block-wise SHA-256 calls: OpenSSL's use the processor's SHA instructions, which makes a control
// packet's HMAC several times cheaper than libsodium's portable code. EVP costs a fetch per call.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <sodium.h>

#include <cstdlib>
#include <cstring>

namespace dmsc::crypto {

void init() {
  if (sodium_init() < 0) std::abort();  // no random source: nothing can be secure
}

Hash32 sha256(ByteView data) {
  Hash32 out;
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, data.data(), data.size());
  SHA256_Final(out.data(), &state);
  return out;
}

// RFC 2104.
Hash32 hmac_sha256(ByteView key, ByteView data) {
  constexpr std::size_t kBlock = 64;
  std::array<std::uint8_t, kBlock> pad{};
  if (key.size() > kBlock) {
    Hash32 short_key = sha256(key);
    std::copy(short_key.begin(), short_key.end(), pad.begin());
  } else {
    std::copy(key.begin(), key.end(), pad.begin());
  }
  for (std::uint8_t& b : pad) b ^= 0x36;
  Hash32 out;
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, pad.data(), kBlock);
  SHA256_Update(&state, data.data(), data.size());
  SHA256_Final(out.data(), &state);
  for (std::uint8_t& b : pad) b ^= 0x36 ^ 0x5c;
  SHA256_Init(&state);
  SHA256_Update(&state, pad.data(), kBlock);
  SHA256_Update(&state, out.data(), out.size());
  SHA256_Final(out.data(), &state);
  sodium_memzero(pad.data(), pad.size());
  sodium_memzero(&state, sizeof state);
  return out;
}

Bytes hkdf_sha256(ByteView secret, ByteView salt, std::string_view info, std::size_t size) {
  Hash32 prk = hmac_sha256(salt, secret);
  Bytes out, block;
  for (std::uint8_t i = 1; out.size() < size; ++i) {
    block.insert(block.end(), info.begin(), info.end());
    block.push_back(i);
    Hash32 t = hmac_sha256(prk, block);
    out.insert(out.end(), t.begin(), t.end());
    block.assign(t.begin(), t.end());
  }
  out.resize(size);
  return out;
}

std::uint64_t siphash24(const Key16& key, ByteView data) {
  std::array<std::uint8_t, 8> out;
  crypto_shorthash_siphash24(out.data(), data.data(), data.size(), key.data());
  std::uint64_t v;
  std::memcpy(&v, out.data(), sizeof v);
  return v;
}

bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

SigningKey::SigningKey(const Key32& seed) : seed_(seed) {
  crypto_sign_seed_keypair(public_.data(), secret_.data(), seed.data());
}

Signature SigningKey::sign(ByteView message) const {
  Signature out;
  crypto_sign_detached(out.data(), nullptr, message.data(), message.size(), secret_.data());
  return out;
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                     key.data()) == 0;
}

}  // namespace dmsc::crypto
