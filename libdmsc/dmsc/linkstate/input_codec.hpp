// The integers and strings of a record (input_log.hpp).
#pragma once
#include <string>

#include "dmsc/core/bytes.hpp"

namespace dmsc::linkstate {

class RecordWriter {
 public:
  RecordWriter& u8(std::uint8_t v) {
    out_.push_back(v);
    return *this;
  }
  RecordWriter& fixed32(std::uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) u8(static_cast<std::uint8_t>(v >> shift));
    return *this;
  }
  RecordWriter& varint(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) u8(static_cast<std::uint8_t>(v | 0x80));
    return u8(static_cast<std::uint8_t>(v));
  }
  RecordWriter& svarint(std::int64_t v) {
    return varint(static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63));
  }
  RecordWriter& raw(ByteView b) {
    out_.insert(out_.end(), b.begin(), b.end());
    return *this;
  }
  RecordWriter& blob(ByteView b) { return varint(b.size()).raw(b); }
  RecordWriter& text(std::string_view s) { return blob(as_bytes(s)); }
  std::size_t size() const { return out_.size(); }
  ByteView view() const { return out_; }

 private:
  Bytes out_;
};

// After a read past the end, or of an overlong integer, every later read is zero and ok() is false.
class RecordReader {
 public:
  explicit RecordReader(ByteView data) : in_(data) {}
  std::uint8_t u8() { return in_.u8(); }
  std::uint32_t fixed32() { return in_.u32(); }
  std::uint64_t varint() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      std::uint8_t b = in_.u8();
      v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0) return v;
    }
    ok_ = false;
    return 0;
  }
  std::int64_t svarint() {
    std::uint64_t v = varint();
    return static_cast<std::int64_t>(v >> 1 ^ (~(v & 1) + 1));
  }
  template <class Int>
  Int number() {
    std::uint64_t v = varint();
    if (v > std::uint64_t{static_cast<Int>(~Int{0})}) ok_ = false;
    return static_cast<Int>(v);
  }
  ByteView raw(std::size_t n) { return in_.bytes(n); }
  ByteView rest() { return in_.rest(); }
  Bytes blob() { return to_bytes(in_.bytes(varint())); }
  std::string text() { return std::string(as_text(in_.bytes(varint()))); }
  // How many items of at least one byte each can follow: bounds what a count may claim.
  std::size_t count() {
    std::uint64_t n = varint();
    if (n <= in_.left()) return n;
    ok_ = false;
    return 0;
  }
  std::size_t position() const { return in_.position(); }
  std::size_t left() const { return in_.left(); }
  bool ok() const { return ok_ && in_.ok(); }
  bool done() const { return ok_ && in_.done(); }

 private:
  ByteReader in_;
  bool ok_ = true;
};

}  // namespace dmsc::linkstate
