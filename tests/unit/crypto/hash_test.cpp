// SHA-256 (FIPS 180-4), HMAC (RFC 4231), HKDF (RFC 5869) against the published vectors.
#include <catch2/catch.hpp>

#include "dmsc/crypto/keys.hpp"

using namespace dmsc;
using namespace dmsc::crypto;

TEST_CASE("crypto: SHA-256 of the published messages") {
  CHECK(to_hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256(as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("crypto: HMAC-SHA-256 test cases 1, 2, 3 and 6 of RFC 4231") {
  CHECK(to_hex(hmac_sha256(Bytes(20, 0x0b), as_bytes("Hi There"))) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(to_hex(hmac_sha256(Bytes(20, 0xaa), Bytes(50, 0xdd))) ==
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  CHECK(to_hex(hmac_sha256(Bytes(131, 0xaa),
                           as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("crypto: HKDF-SHA-256 test case 1 of RFC 5869") {
  Bytes salt = from_hex("000102030405060708090a0b0c");
  Bytes info = from_hex("f0f1f2f3f4f5f6f7f8f9");
  CHECK(to_hex(hkdf_sha256(Bytes(22, 0x0b), salt, as_text(info), 42)) ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

TEST_CASE("crypto: SipHash-2-4 reference vector") {
  Key16 key;
  for (std::uint8_t i = 0; i < 16; ++i) key[i] = i;
  Bytes message(15);
  for (std::uint8_t i = 0; i < 15; ++i) message[i] = i;
  CHECK(siphash24(key, message) == 0xa129ca6149be45e5ULL);
}

TEST_CASE("crypto: Ed25519 test 1 of RFC 8032, and nothing else verifies") {
  Bytes seed = from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  Key32 bytes;
  std::copy(seed.begin(), seed.end(), bytes.begin());
  SigningKey key(bytes);
  CHECK(to_hex(key.public_key()) ==
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  Signature signature = key.sign({});
  CHECK(to_hex(signature).substr(0, 32) == "e5564300c360ac729086e2cc806e828a");
  CHECK(verify(key.public_key(), {}, signature));
  CHECK_FALSE(verify(key.public_key(), as_bytes("x"), signature));
  signature[3] ^= 1;
  CHECK_FALSE(verify(key.public_key(), {}, signature));
}
