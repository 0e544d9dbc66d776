#include "dmsc/crypto/keys.hpp"

#include <sodium.h>

#include <cstdlib>
#include <cstring>

namespace dmsc::crypto {

void init() {
  if (sodium_init() < 0) std::abort();  // no random source: nothing can be secure
}

Hash32 sha256(ByteView data) {
  Hash32 out;
  crypto_hash_sha256(out.data(), data.data(), data.size());
  return out;
}

Hash32 hmac_sha256(ByteView key, ByteView data) {
  Hash32 out;
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, data.data(), data.size());
  crypto_auth_hmacsha256_final(&state, out.data());
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
