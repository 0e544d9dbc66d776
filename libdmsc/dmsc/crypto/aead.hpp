// Authenticated encryption of packets (RFC 5116) over OpenSSL: AES-128-GCM (NIST SP 800-38D), or
// ChaCha20-Poly1305 (RFC 8439) where the processor has no AES instructions. A key's context is made
// once; sealing and opening allocate nothing. One thread at a time per object.
#pragma once
#include <memory>
#include <optional>

#include "dmsc/crypto/keys.hpp"

struct evp_cipher_ctx_st;

namespace dmsc::crypto {

enum class AeadAlgorithm : std::uint8_t { aes_128_gcm = 1, chacha20_poly1305 = 2 };
const char* to_string(AeadAlgorithm algorithm);
std::size_t key_bytes(AeadAlgorithm algorithm);

inline constexpr std::size_t kAeadTagBytes = 16, kAeadNonceBytes = 12;
using AeadNonce = std::array<std::uint8_t, kAeadNonceBytes>;

// Overwrites secrets; never optimised away.
void wipe(std::span<std::uint8_t> secret);
// True if the processor has AES instructions.
bool has_aes_instructions();

namespace detail {
struct FreeCipher {
  void operator()(evp_cipher_ctx_st* context) const;
};
using CipherPtr = std::unique_ptr<evp_cipher_ctx_st, FreeCipher>;
}  // namespace detail

class AeadSealer {
 public:
  // nullopt if `key` is not of key_bytes(algorithm) bytes.
  static std::optional<AeadSealer> create(AeadAlgorithm algorithm, ByteView key);
  // Encrypts `plain` to `out` and the tag behind it: plain.size() + kAeadTagBytes bytes. `out` is
  // plain.data() itself or does not overlap it. A nonce is used once per key. False only if the
  // library fails; then nothing of `out` may be sent.
  bool seal(const AeadNonce& nonce, ByteView aad, ByteView plain, std::uint8_t* out);

 private:
  explicit AeadSealer(detail::CipherPtr context) : context_(std::move(context)) {}
  detail::CipherPtr context_;
};

class AeadOpener {
 public:
  static std::optional<AeadOpener> create(AeadAlgorithm algorithm, ByteView key);
  // Decrypts in place: `sealed` is ciphertext, then the tag. True, and the plain bytes are in
  // front, if the tag is good; false, and what is in `sealed` is worthless, if it is not.
  bool open(const AeadNonce& nonce, ByteView aad, std::span<std::uint8_t> sealed);

 private:
  explicit AeadOpener(detail::CipherPtr context) : context_(std::move(context)) {}
  detail::CipherPtr context_;
};

}  // namespace dmsc::crypto
