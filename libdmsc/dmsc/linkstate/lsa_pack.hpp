// Packs the bytes of stored LSAs: LZSS with a dictionary that every packer of one database shares. The
// certificates of a domain differ in little more than key, name and signature, and names of one gateway
// share their front, so that an LSA at rest takes about half of what it takes on the wire. Nothing of
// this travels: what is unpacked is byte for byte what was packed.
//
//   item := literal byte | match { 12-bit position in dictionary + text so far, 4-bit length - 3 }
//   every eight items are preceded by a byte that says which are matches; length 18 has a byte of more
#pragma once
#include <memory>

#include "dmsc/core/bytes.hpp"

namespace dmsc::linkstate {

class LsaPacker {
 public:
  // At most kMaxDictionary bytes of `dictionary` are used. It must not change while anything packed
  // with it is kept.
  explicit LsaPacker(ByteView dictionary = {});
  // `text` of at most kMaxText bytes. Empty if packing gains nothing: then store the text as it is.
  Bytes pack(ByteView text) const;
  // Appends the `size` bytes that pack() was given.
  void unpack(ByteView packed, std::size_t size, Bytes& out) const;

  static constexpr std::size_t kMaxDictionary = 2048, kMaxText = 2000;

 private:
  static constexpr unsigned kHashBits = 11;
  static unsigned hash(const std::uint8_t* p) {
    return ((p[0] << 16U | p[1] << 8U | p[2]) * 2654435761U) >> (32 - kHashBits);
  }
  using Heads = std::array<std::uint16_t, 1U << kHashBits>;  // last position + 1 of a hash, 0 = none
  Bytes dictionary_;
  Heads heads_{};
};

}  // namespace dmsc::linkstate
