#include "dmsc/core/bytes.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;

TEST_CASE("bytes: what is written is read back, big-endian") {
  ByteWriter w;
  w.u8(1).u16(0x0203).u32(0x04050607).u48(0x08090a0b0c0dULL).u64(0x1112131415161718ULL);
  w.u128({1, 2}).text8("hi").bytes16(as_bytes("yo"));
  CHECK(to_hex(w.view()).substr(0, 26) == "01020304050607" "08090a0b0c0d");
  ByteReader r(w.view());
  CHECK(r.u8() == 1);
  CHECK(r.u16() == 0x0203);
  CHECK(r.u32() == 0x04050607);
  CHECK(r.u48() == 0x08090a0b0c0dULL);
  CHECK(r.u64() == 0x1112131415161718ULL);
  CHECK(r.u128() == U128{1, 2});
  CHECK(r.text8() == "hi");
  CHECK(as_text(r.bytes16()) == "yo");
  CHECK(r.done());
}

TEST_CASE("bytes: a read past the end fails for good and yields zero") {
  Bytes three{1, 2, 3};
  ByteReader r(three);
  CHECK(r.u32() == 0);
  CHECK_FALSE(r.ok());
  CHECK(r.u8() == 0);
  CHECK(r.left() == 0);
}

TEST_CASE("bytes: hexadecimal both ways") {
  CHECK(to_hex(from_hex("00ff10")) == "00ff10");
  CHECK(from_hex("0").empty());
  CHECK(from_hex("zz").empty());
}

TEST_CASE("ids: 128-bit sums wrap and undo") {
  U128 a{0, ~0ULL};
  a += U128{0, 1};
  CHECK(a == U128{1, 0});
  a -= U128{0, 1};
  CHECK(a == U128{0, ~0ULL});
}
