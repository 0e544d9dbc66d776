#include "dmsc/crypto/hmac_key.hpp"

#define OPENSSL_SUPPRESS_DEPRECATED  // see keys.cpp: EVP costs a fetch per call
#include <openssl/sha.h>
#include <sodium.h>

#include <algorithm>

namespace dmsc::crypto {
namespace {

constexpr std::size_t kBlock = 64;

std::array<std::uint32_t, 8> after_block(const Key32& key, std::uint8_t pad) {
  std::array<std::uint8_t, kBlock> block;
  block.fill(pad);
  for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, block.data(), block.size());
  std::array<std::uint32_t, 8> state;
  std::copy(std::begin(context.h), std::end(context.h), state.begin());
  sodium_memzero(block.data(), block.size());
  sodium_memzero(&context, sizeof context);
  return state;
}

Hash32 finish(const std::array<std::uint32_t, 8>& state, ByteView data) {
  SHA256_CTX context;
  std::copy(state.begin(), state.end(), context.h);
  context.Nl = kBlock * 8;  // bits hashed so far
  context.Nh = 0;
  context.num = 0;          // bytes waiting for their block to fill
  context.md_len = SHA256_DIGEST_LENGTH;
  SHA256_Update(&context, data.data(), data.size());
  Hash32 out;
  SHA256_Final(out.data(), &context);
  return out;
}

}  // namespace

HmacKey::HmacKey(const Key32& key) : inner_(after_block(key, 0x36)), outer_(after_block(key, 0x5c)) {}

HmacKey::~HmacKey() {
  sodium_memzero(inner_.data(), sizeof inner_);
  sodium_memzero(outer_.data(), sizeof outer_);
}

Hash32 HmacKey::tag(ByteView data) const { return finish(outer_, finish(inner_, data)); }

}  // namespace dmsc::crypto
