// Jitter and nonces from the seed the driver gave: the room itself draws nothing.
#pragma once
#include "dmsc/core/time.hpp"
#include "dmsc/crypto/keys.hpp"

namespace dmsc::linkstate {

class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t session) {
    for (int i = 0; i < 8; ++i) {
      key_[i] = static_cast<std::uint8_t>(seed >> 8 * i);
      key_[8 + i] = static_cast<std::uint8_t>(session >> 8 * i);
    }
    jitter_ = next();
  }
  // Unpredictable without the seed; never zero.
  std::uint64_t next() {
    std::array<std::uint8_t, 8> input;
    ++drawn_;
    for (int i = 0; i < 8; ++i) input[i] = static_cast<std::uint8_t>(drawn_ >> (56 - 8 * i));
    std::uint64_t v = crypto::siphash24(key_, input);
    return v == 0 ? 1 : v;
  }
  // Uniform in [low, high), for jitter: it need not be unpredictable, but costs next to nothing.
  Duration between(Duration low, Duration high) {
    jitter_ += 0x9e3779b97f4a7c15ULL;  // SplitMix64
    std::uint64_t z = (jitter_ ^ jitter_ >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    auto span = static_cast<std::uint64_t>((high - low).count());
    return low + Duration(static_cast<std::int64_t>(scaled(z >> 32, span)));
  }

 private:
  // share / 2^32 of `span`, whatever its size.
  static std::uint64_t scaled(std::uint64_t share, std::uint64_t span) {
    return (span >> 32) * share + ((span & 0xffffffff) * share >> 32);
  }
  crypto::Key16 key_{};
  std::uint64_t drawn_ = 0, jitter_ = 0;
};

}  // namespace dmsc::linkstate
