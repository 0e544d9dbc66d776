// SipHash over a name, finalised at the end of every component in one pass, so that a longest match
// reads the name once. Keyed because names are attackers' input. Table look-ups use SipHash-1-3,
// the usual choice there; the round counts are parameters so that a test can hold the code against
// another implementation of SipHash-2-4.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "dmsc/name/name.hpp"

namespace dmsc {

using NameKey = std::array<std::uint8_t, 16>;  // secret, random per process

template <int kCompress = 1, int kFinal = 3>
class NameHasher {
 public:
  explicit NameHasher(const NameKey& key)
      : k0_(load(key.data())), k1_(load(key.data() + 8)) {}

  // For each i < count with bit i of `wanted` set: out[i] = hash of the first ends[i] bytes of
  // text. `ends` rises and stays within text.
  void prefixes(std::string_view text, const std::uint8_t* ends, std::size_t count,
                std::uint32_t wanted, std::uint64_t* out) const {
    State state = initial();
    std::size_t at = 0;
    for (std::size_t i = 0; i < count; ++i) {
      for (; at + 8 <= ends[i]; at += 8) state.absorb(load(text.data() + at));
      if ((wanted >> i & 1) != 0) out[i] = state.finish(tail(text, at, ends[i]));
    }
  }

  std::uint64_t operator()(std::string_view text) const {
    State state = initial();
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) state.absorb(load(text.data() + at));
    return state.finish(tail(text, at, text.size()));
  }

 private:
  struct State {
    std::uint64_t v0, v1, v2, v3;
    void round() {
      v0 += v1, v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1, v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
    void absorb(std::uint64_t word) {
      v3 ^= word;
      for (int i = 0; i < kCompress; ++i) round();
      v0 ^= word;
    }
    std::uint64_t finish(std::uint64_t last) const {
      State s = *this;
      s.absorb(last);
      s.v2 ^= 0xff;
      for (int i = 0; i < kFinal; ++i) s.round();
      return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    }
  };

  State initial() const {
    return {k0_ ^ 0x736f6d6570736575ULL, k1_ ^ 0x646f72616e646f6dULL, k0_ ^ 0x6c7967656e657261ULL,
            k1_ ^ 0x7465646279746573ULL};
  }
  static std::uint64_t load(const void* p) {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    if constexpr (std::endian::native == std::endian::big) v = __builtin_bswap64(v);
    return v;
  }
  // The last, incomplete word: the bytes of [at, end) and the length in the top byte.
  static std::uint64_t tail(std::string_view text, std::size_t at, std::size_t end) {
    std::size_t left = end - at;
    std::uint64_t word = 0;
    if (at + 8 <= text.size()) {
      word = load(text.data() + at) & ((std::uint64_t{1} << (8 * left)) - 1);
    } else {
      for (std::size_t i = 0; i < left; ++i) {
        word |= std::uint64_t{static_cast<std::uint8_t>(text[at + i])} << (8 * i);
      }
    }
    return word | std::uint64_t{end & 0xff} << 56;
  }

  std::uint64_t k0_, k1_;
};

}  // namespace dmsc
