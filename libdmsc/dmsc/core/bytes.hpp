// Byte strings and the big-endian reader and writer that every codec uses.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dmsc/core/ids.hpp"

namespace dmsc {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
inline std::string_view as_text(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
inline Bytes to_bytes(ByteView b) { return Bytes(b.begin(), b.end()); }
// Lower-case hexadecimal.
std::string to_hex(ByteView b);
// Inverse of to_hex; empty on odd length or a non-digit when `text` is not empty.
Bytes from_hex(std::string_view text);

// Reads big-endian fields from a view it does not own. After a read past the end every later read
// yields zero and ok() is false: check ok() once, after the last field.
class ByteReader {
 public:
  explicit ByteReader(ByteView data) : data_(data) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(read(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(read(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(read(4)); }
  std::uint64_t u48() { return read(6); }
  std::uint64_t u64() { return read(8); }
  U128 u128();
  // The next n bytes, or an empty view and !ok() if fewer are left.
  ByteView bytes(std::size_t n);
  // A string with an 8-bit length in front.
  std::string_view text8() { return as_text(bytes(u8())); }
  // Bytes with a 16-bit length in front.
  ByteView bytes16() { return bytes(u16()); }
  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> out{};
    ByteView b = bytes(N);
    if (b.size() == N) std::copy(b.begin(), b.end(), out.begin());
    return out;
  }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && pos_ == data_.size(); }
  std::size_t left() const { return ok_ ? data_.size() - pos_ : 0; }
  std::size_t position() const { return pos_; }
  ByteView rest() { return bytes(left()); }

 private:
  std::uint64_t read(std::size_t n) {
    if (!ok_ || data_.size() - pos_ < n) {
      ok_ = false;
      return 0;
    }
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < n; ++i) v = v << 8 | data_[pos_ + i];
    pos_ += n;
    return v;
  }
  ByteView data_;
  std::size_t pos_ = 0;
  bool ok_ = true;
};

// Appends big-endian fields to a byte string it owns until take().
class ByteWriter {
 public:
  ByteWriter() = default;
  // Room for `expected` bytes from the start.
  explicit ByteWriter(std::size_t expected) { out_.reserve(expected); }
  ByteWriter& u8(std::uint64_t v) { return put(v, 1); }
  ByteWriter& u16(std::uint64_t v) { return put(v, 2); }
  ByteWriter& u32(std::uint64_t v) { return put(v, 4); }
  ByteWriter& u48(std::uint64_t v) { return put(v, 6); }
  ByteWriter& u64(std::uint64_t v) { return put(v, 8); }
  ByteWriter& u128(U128 v) { return put(v.hi, 8).put(v.lo, 8); }
  ByteWriter& bytes(ByteView b) {
    out_.insert(out_.end(), b.begin(), b.end());
    return *this;
  }
  // At most 255 bytes; the caller has checked.
  ByteWriter& text8(std::string_view s) { return u8(s.size()).bytes(as_bytes(s)); }
  // At most 65,535 bytes; the caller has checked.
  ByteWriter& bytes16(ByteView b) { return u16(b.size()).bytes(b); }
  // Overwrites a 16-bit field written before.
  void patch16(std::size_t at, std::size_t v) {
    out_[at] = static_cast<std::uint8_t>(v >> 8);
    out_[at + 1] = static_cast<std::uint8_t>(v);
  }
  std::size_t size() const { return out_.size(); }
  ByteView view() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  ByteWriter& put(std::uint64_t v, std::size_t n) {
    std::uint8_t field[8];
    for (std::size_t i = 0; i < n; ++i) field[i] = static_cast<std::uint8_t>(v >> 8 * (n - 1 - i));
    out_.insert(out_.end(), field, field + n);
    return *this;
  }
  Bytes out_;
};

}  // namespace dmsc
