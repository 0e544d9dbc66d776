#include "dmsc/crypto/aead.hpp"

#include <openssl/crypto.h>

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::crypto;

namespace {

struct Vector {
  AeadAlgorithm algorithm;
  Bytes key, nonce, aad, plain, sealed;  // sealed: ciphertext, then tag
};

AeadNonce nonce_of(const Bytes& bytes) {
  AeadNonce nonce{};
  std::copy(bytes.begin(), bytes.end(), nonce.begin());
  return nonce;
}

std::vector<Vector> vectors() {
  return {
      // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 1 and 4.
      {AeadAlgorithm::aes_128_gcm,
       Bytes(16),
       Bytes(12),
       {},
       {},
       from_hex("58e2fccefa7e3061367f1d57a4e7455a")},
      {AeadAlgorithm::aes_128_gcm, from_hex("feffe9928665731c6d6a8f9467308308"),
       from_hex("cafebabefacedbaddecaf888"), from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
       from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
       from_hex("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
                "5bc94fbc3221a5db94fae95ae7121a47")},
      // RFC 8439, 2.8.2.
      {AeadAlgorithm::chacha20_poly1305,
       from_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
       from_hex("070000004041424344454647"), from_hex("50515253c0c1c2c3c4c5c6c7"),
       to_bytes(as_bytes("Ladies and Gentlemen of the class of '99: If I could offer you only one "
                         "tip for the future, sunscreen would be it.")),
       from_hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                "3ff4def08e4b7a9de576d26586cec64b6116"
                "1ae10b594f09e26a7e902ecbd0600691")},
  };
}

std::size_t allocations = 0;
void* counting_malloc(std::size_t size, const char*, int) {
  ++allocations;
  return std::malloc(size);
}
void* counting_realloc(void* p, std::size_t size, const char*, int) {
  ++allocations;
  return std::realloc(p, size);
}
void counting_free(void* p, const char*, int) { std::free(p); }
// Must run before the library's first allocation.
const bool counted =
    CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) == 1;

}  // namespace

TEST_CASE("aead: published vectors of AES-128-GCM and ChaCha20-Poly1305, twice with one context") {
  for (const Vector& v : vectors()) {
    auto sealer = AeadSealer::create(v.algorithm, v.key);
    auto opener = AeadOpener::create(v.algorithm, v.key);
    REQUIRE(sealer);
    REQUIRE(opener);
    for (int round = 0; round < 2; ++round) {
      Bytes out(v.plain.size() + kAeadTagBytes);
      REQUIRE(sealer->seal(nonce_of(v.nonce), v.aad, v.plain, out.data()));
      CHECK(to_hex(out) == to_hex(v.sealed));
      REQUIRE(opener->open(nonce_of(v.nonce), v.aad, out));
      CHECK(Bytes(out.begin(), out.end() - kAeadTagBytes) == v.plain);
    }
  }
}

TEST_CASE("aead: every flipped bit of nonce, associated data, ciphertext or tag is noticed") {
  for (const Vector& v : vectors()) {
    auto opener = AeadOpener::create(v.algorithm, v.key);
    for (std::size_t bit = 0; bit < v.sealed.size() * 8; ++bit) {
      Bytes sealed = v.sealed;
      sealed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
      CHECK_FALSE(opener->open(nonce_of(v.nonce), v.aad, sealed));
    }
    for (std::size_t bit = 0; bit < v.aad.size() * 8; ++bit) {
      Bytes sealed = v.sealed, aad = v.aad;
      aad[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
      CHECK_FALSE(opener->open(nonce_of(v.nonce), aad, sealed));
    }
    for (std::size_t bit = 0; bit < kAeadNonceBytes * 8; ++bit) {
      Bytes sealed = v.sealed, nonce = v.nonce;
      nonce[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
      CHECK_FALSE(opener->open(nonce_of(nonce), v.aad, sealed));
    }
    Bytes good = v.sealed;  // and none of it spoils the context
    CHECK(opener->open(nonce_of(v.nonce), v.aad, good));
  }
}

TEST_CASE("aead: keys of a wrong size and input without a tag are refused") {
  CHECK_FALSE(AeadSealer::create(AeadAlgorithm::aes_128_gcm, Bytes(32)));
  CHECK_FALSE(AeadOpener::create(AeadAlgorithm::chacha20_poly1305, Bytes(16)));
  auto opener = AeadOpener::create(AeadAlgorithm::aes_128_gcm, Bytes(16));
  Bytes few(kAeadTagBytes - 1);
  CHECK_FALSE(opener->open({}, {}, few));
  CHECK_FALSE(opener->open({}, {}, {}));
}

TEST_CASE("aead: sealing in place equals sealing aside") {
  for (AeadAlgorithm algorithm : {AeadAlgorithm::aes_128_gcm, AeadAlgorithm::chacha20_poly1305}) {
    auto sealer = AeadSealer::create(algorithm, Bytes(key_bytes(algorithm), 7));
    Bytes plain(1200, 5), aside(plain.size() + kAeadTagBytes), place = plain;
    place.resize(aside.size());
    REQUIRE(sealer->seal({1}, as_bytes("aad"), plain, aside.data()));
    REQUIRE(sealer->seal({1}, as_bytes("aad"), ByteView(place).first(plain.size()), place.data()));
    CHECK(place == aside);
  }
}

TEST_CASE("aead: neither sealing nor opening allocates") {
  REQUIRE(counted);
  for (AeadAlgorithm algorithm : {AeadAlgorithm::aes_128_gcm, AeadAlgorithm::chacha20_poly1305}) {
    auto sealer = AeadSealer::create(algorithm, Bytes(key_bytes(algorithm), 1));
    auto opener = AeadOpener::create(algorithm, Bytes(key_bytes(algorithm), 1));
    Bytes buffer(1200 + kAeadTagBytes), aad(80, 3);
    auto both = [&](std::uint8_t n) {
      return sealer->seal({n}, aad, ByteView(buffer).first(1200), buffer.data()) &&
             opener->open({n}, aad, buffer);
    };
    REQUIRE(both(0));
    const std::size_t before = allocations;
    REQUIRE(before > 0);
    bool ok = true;
    for (std::uint8_t n = 1; n < 100; ++n) ok = ok && both(n);
    CHECK(ok);
    CHECK(allocations == before);
  }
}
