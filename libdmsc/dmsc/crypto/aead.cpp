#include "dmsc/crypto/aead.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace dmsc::crypto {
namespace {

constexpr int kSeal = 1, kOpen = 0;

const EVP_CIPHER* cipher_of(AeadAlgorithm algorithm) {
  return algorithm == AeadAlgorithm::aes_128_gcm ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
}

// The key schedule is done here, once; later calls only set the nonce.
detail::CipherPtr make_context(AeadAlgorithm algorithm, ByteView key, int direction) {
  if (key.size() != key_bytes(algorithm)) return nullptr;
  detail::CipherPtr context(EVP_CIPHER_CTX_new());
  bool ok = context != nullptr && EVP_CipherInit_ex(context.get(), cipher_of(algorithm), nullptr,
                                                    key.data(), nullptr, direction) == 1;
  return ok ? std::move(context) : nullptr;
}

int size_of(std::size_t bytes) { return static_cast<int>(bytes); }

}  // namespace

void detail::FreeCipher::operator()(EVP_CIPHER_CTX* context) const {
  EVP_CIPHER_CTX_free(context);  // wipes the key too
}

const char* to_string(AeadAlgorithm algorithm) {
  return algorithm == AeadAlgorithm::aes_128_gcm ? "AES-128-GCM" : "ChaCha20-Poly1305";
}

std::size_t key_bytes(AeadAlgorithm algorithm) {
  return algorithm == AeadAlgorithm::aes_128_gcm ? 16 : 32;
}

void wipe(std::span<std::uint8_t> secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

bool has_aes_instructions() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("pclmul") != 0;
#elif defined(__ARM_FEATURE_AES) || defined(__ARM_FEATURE_CRYPTO)
  return true;
#else
  return false;
#endif
}

std::optional<AeadSealer> AeadSealer::create(AeadAlgorithm algorithm, ByteView key) {
  detail::CipherPtr context = make_context(algorithm, key, kSeal);
  if (context == nullptr) return std::nullopt;
  return AeadSealer(std::move(context));
}

bool AeadSealer::seal(const AeadNonce& nonce, ByteView aad, ByteView plain, std::uint8_t* out) {
  EVP_CIPHER_CTX* c = context_.get();
  int n = 0;
  bool ok = EVP_CipherInit_ex(c, nullptr, nullptr, nullptr, nonce.data(), kSeal) == 1 &&
            EVP_CipherUpdate(c, nullptr, &n, aad.data(), size_of(aad.size())) == 1;
  // A call without input would end the message early.
  if (!plain.empty()) {
    ok = ok && EVP_CipherUpdate(c, out, &n, plain.data(), size_of(plain.size())) == 1;
  }
  std::uint8_t* end = out + plain.size();
  return ok && EVP_CipherFinal_ex(c, end, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, size_of(kAeadTagBytes), end) == 1;
}

std::optional<AeadOpener> AeadOpener::create(AeadAlgorithm algorithm, ByteView key) {
  detail::CipherPtr context = make_context(algorithm, key, kOpen);
  if (context == nullptr) return std::nullopt;
  return AeadOpener(std::move(context));
}

bool AeadOpener::open(const AeadNonce& nonce, ByteView aad, std::span<std::uint8_t> sealed) {
  if (sealed.size() < kAeadTagBytes) return false;
  EVP_CIPHER_CTX* c = context_.get();
  const std::size_t size = sealed.size() - kAeadTagBytes;
  std::uint8_t* data = sealed.data();
  int n = 0;
  bool ok = EVP_CipherInit_ex(c, nullptr, nullptr, nullptr, nonce.data(), kOpen) == 1 &&
            EVP_CipherUpdate(c, nullptr, &n, aad.data(), size_of(aad.size())) == 1;
  if (size > 0) ok = ok && EVP_CipherUpdate(c, data, &n, data, size_of(size)) == 1;
  return ok &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, size_of(kAeadTagBytes), data + size) == 1 &&
         EVP_CipherFinal_ex(c, data + size, &n) == 1;
}

}  // namespace dmsc::crypto
