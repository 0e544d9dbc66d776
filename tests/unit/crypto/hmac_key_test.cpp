#include "dmsc/crypto/hmac_key.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::crypto;

TEST_CASE("a prepared key tags what the key itself tags, whatever the message's length") {
  Key32 key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(7 * i + 1);
  HmacKey prepared(key);
  Bytes message;
  for (std::size_t size = 0; size < 300; ++size) {
    REQUIRE(to_hex(prepared.tag(message)) == to_hex(hmac_sha256(key, message)));
    message.push_back(static_cast<std::uint8_t>(size * 31));
  }
  HmacKey copy = prepared;
  CHECK(to_hex(copy.tag(message)) == to_hex(hmac_sha256(key, message)));
  ++key[31];
  CHECK(to_hex(HmacKey(key).tag(message)) != to_hex(copy.tag(message)));
}

TEST_CASE("a prepared key gives RFC 4231's second tag: zeros behind a short key change nothing") {
  Key32 key{'J', 'e', 'f', 'e'};
  CHECK(to_hex(HmacKey(key).tag(as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
