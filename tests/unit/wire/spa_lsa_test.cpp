#include <catch2/catch.hpp>

#include "dmsc/wire/spa_lsa.hpp"

using namespace dmsc;
using namespace dmsc::wire;

namespace {
// The header every signed object starts with, then `fields`, then a signature.
Bytes object(std::uint8_t kind, std::uint32_t issuer, std::uint64_t serial, ByteView fields) {
  ByteWriter w;
  w.u8(kind).u8(0).u64(7).u32(issuer).u64(serial).u64(1000).bytes(fields).bytes(Bytes(64, 0xaa));
  return w.take();
}
}  // namespace

TEST_CASE("SPA-origin LSAs: key and version come from the object, the signature is zero") {
  auto lsa = make_spa_lsa(object(3, 4, 9, Bytes{0, 2, 0, 0, 0, 0}));
  REQUIRE(lsa.ok());
  CHECK((*lsa)->key == LsaKey{issuer_origin(4), LsaType::revocation, 2});
  CHECK((*lsa)->version == LsaVersion{1, 9});
  CHECK((*lsa)->lifetime == kSpaLsaLifetime);
  CHECK_FALSE((*lsa)->purge);
  CHECK((*lsa)->signature() == crypto::Signature{});
  auto authority = make_spa_lsa(object(1, 0, 1, Bytes{0, 0}));
  REQUIRE(authority.ok());
  CHECK((*authority)->key == LsaKey{issuer_origin(0), LsaType::authority, 0});
}

TEST_CASE("SPA-origin LSAs: the same object gives the same bytes whoever injects it") {
  Bytes o = object(4, 0, 3, Bytes(16));
  CHECK((*make_spa_lsa(o))->raw == (*make_spa_lsa(o))->raw);
  auto back = spa_lsa_object(**make_spa_lsa(o));
  REQUIRE(back.ok());
  CHECK(*back == o);
}

TEST_CASE("SPA-origin LSAs: an envelope that is not the object's is refused") {
  auto lsa = *make_spa_lsa(object(4, 0, 3, Bytes(16)));
  // Every header byte but the LSA version and the body length, and every signature byte.
  for (std::size_t i = 1; i < lsa->raw.size(); ++i) {
    if (i >= 30 && i < lsa->raw.size() - kLsaSignatureBytes) continue;
    Bytes raw = lsa->raw;
    raw[i] ^= 1;
    auto changed = decode_lsa(raw);
    if (changed.ok()) CHECK_FALSE(spa_lsa_object(**changed).ok());
  }
}

TEST_CASE("SPA-origin LSAs: grants, unknown kinds and truncated objects ride in none") {
  CHECK_FALSE(make_spa_lsa(object(2, 1, 1, Bytes(40))).ok());
  CHECK_FALSE(make_spa_lsa(object(9, 1, 1, Bytes(40))).ok());
  CHECK_FALSE(make_spa_lsa(Bytes(29, 1)).ok());
  CHECK_FALSE(make_spa_lsa(object(4, 0, 1, Bytes(1100))).ok());
  CHECK_FALSE(make_spa_lsa(object(4, 0x80000001U, 1, Bytes(16))).ok());
}
