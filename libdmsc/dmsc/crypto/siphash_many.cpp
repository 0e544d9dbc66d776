#include "dmsc/crypto/siphash_many.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dmsc::crypto {
namespace {

constexpr std::size_t kLanes = 8;
using Lanes = std::uint64_t __attribute__((vector_size(8 * kLanes)));

#define DMSC_INLINE inline __attribute__((always_inline))

DMSC_INLINE std::uint64_t load(const std::uint8_t* p) {
  std::uint64_t v;
  std::memcpy(&v, p, sizeof v);
  if constexpr (std::endian::native == std::endian::big) v = __builtin_bswap64(v);
  return v;
}

// The last, incomplete word: what is left of the message and its length in the top byte.
DMSC_INLINE std::uint64_t last_word(const SipMessage& m) {
  std::uint64_t word = std::uint64_t{(m.head.size() + m.tail.size()) & 0xff} << 56;
  const std::uint8_t* rest = m.tail.data() + m.tail.size() / 8 * 8;
  for (std::size_t i = 0; i < m.tail.size() % 8; ++i) word |= std::uint64_t{rest[i]} << (8 * i);
  return word;
}

// The state of one message (Word is a number) or of eight (a vector).
template <class Word>
struct State {
  Word v0, v1, v2, v3;

  template <int kBits>
  static DMSC_INLINE void rotate(Word& v) {
    v = (v << kBits) | (v >> (64 - kBits));
  }
  DMSC_INLINE void round() {
    v0 += v1, v2 += v3;
    rotate<13>(v1), rotate<16>(v3);
    v1 ^= v0, v3 ^= v2;
    rotate<32>(v0);
    v2 += v1, v0 += v3;
    rotate<17>(v1), rotate<21>(v3);
    v1 ^= v2, v3 ^= v0;
    rotate<32>(v2);
  }
  DMSC_INLINE void absorb(const Word& word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  DMSC_INLINE void begin(const Word& k0, const Word& k1) {
    v0 = k0 ^ 0x736f6d6570736575ULL;
    v1 = k1 ^ 0x646f72616e646f6dULL;
    v2 = k0 ^ 0x6c7967656e657261ULL;
    v3 = k1 ^ 0x7465646279746573ULL;
  }
  DMSC_INLINE void finish() {
    v2 ^= 0xff;
    for (int i = 0; i < 4; ++i) round();
    v0 ^= v1 ^ v2 ^ v3;
  }
};

void one(SipMessage& m) {
  State<std::uint64_t> state;
  state.begin(load(m.key->data()), load(m.key->data() + 8));
  for (std::size_t at = 0; at < m.head.size(); at += 8) state.absorb(load(m.head.data() + at));
  for (std::size_t at = 0; at + 8 <= m.tail.size(); at += 8) state.absorb(load(m.tail.data() + at));
  state.absorb(last_word(m));
  state.finish();
  m.hash = state.v0;
}

// `word(i)` of the eight messages as one vector.
template <class WordOf>
DMSC_INLINE void gather(Lanes& out, WordOf word) {
  out = Lanes{word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7)};
}

// Eight messages with pieces of the same sizes.
DMSC_INLINE void eight(SipMessage* m) {
  State<Lanes> state;
  Lanes word, k1;
  gather(word, [m](std::size_t i) { return load(m[i].key->data()); });
  gather(k1, [m](std::size_t i) { return load(m[i].key->data() + 8); });
  state.begin(word, k1);
  for (std::size_t at = 0; at < m->head.size(); at += 8) {
    gather(word, [m, at](std::size_t i) { return load(m[i].head.data() + at); });
    state.absorb(word);
  }
  for (std::size_t at = 0; at + 8 <= m->tail.size(); at += 8) {
    gather(word, [m, at](std::size_t i) { return load(m[i].tail.data() + at); });
    state.absorb(word);
  }
  gather(word, [m](std::size_t i) { return last_word(m[i]); });
  state.absorb(word);
  state.finish();
  for (std::size_t i = 0; i < kLanes; ++i) m[i].hash = state.v0[i];
}

// Eight messages whose heads are of one size and whose tails are not: a lane that is through keeps its state while
// the longer ones go on.
DMSC_INLINE void eight_unlike(SipMessage* m) {
  State<Lanes> state;
  Lanes word, lengths;
  gather(word, [m](std::size_t i) { return load(m[i].key->data()); });
  gather(lengths, [m](std::size_t i) { return load(m[i].key->data() + 8); });
  state.begin(word, lengths);
  for (std::size_t at = 0; at < m->head.size(); at += 8) {
    gather(word, [m, at](std::size_t i) { return load(m[i].head.data() + at); });
    state.absorb(word);
  }
  std::uint64_t last[kLanes];
  std::size_t most = 0;
  for (std::size_t i = 0; i < kLanes; ++i) {
    last[i] = last_word(m[i]);
    most = std::max(most, m[i].tail.size() / 8);
  }
  gather(lengths, [m](std::size_t i) { return m[i].tail.size() / 8; });
  for (std::size_t step = 0; step <= most; ++step) {
    gather(word, [m, step, &last](std::size_t i) {
      return step < m[i].tail.size() / 8 ? load(m[i].tail.data() + 8 * step) : last[i];
    });
    State<Lanes> next = state;
    next.absorb(word);
    const auto going = lengths >= step;
    state.v0 = going ? next.v0 : state.v0;
    state.v1 = going ? next.v1 : state.v1;
    state.v2 = going ? next.v2 : state.v2;
    state.v3 = going ? next.v3 : state.v3;
  }
  state.finish();
  for (std::size_t i = 0; i < kLanes; ++i) m[i].hash = state.v0[i];
}

enum class Sizes { same, tails_differ, heads_differ };

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void eight_avx512(SipMessage* m) { eight(m); }
__attribute__((target("avx512f"))) void unlike_avx512(SipMessage* m) { eight_unlike(m); }
__attribute__((target("avx2"))) void eight_avx2(SipMessage* m) { eight(m); }
#endif

// False if this processor is no faster with eight such at a time than one by one.
bool many(SipMessage* m, Sizes sizes) {
#if defined(__x86_64__)
  if (sizes == Sizes::heads_differ) return false;
  if (__builtin_cpu_supports("avx512f")) {
    return sizes == Sizes::same ? eight_avx512(m) : unlike_avx512(m), true;
  }
  if (sizes == Sizes::same && __builtin_cpu_supports("avx2")) return eight_avx2(m), true;
#endif
  (void)m, (void)sizes;
  return false;
}

Sizes compare_sizes(std::span<const SipMessage> messages) {
  Sizes out = Sizes::same;
  for (const SipMessage& m : messages.subspan(1)) {
    if (m.head.size() != messages[0].head.size()) return Sizes::heads_differ;
    if (m.tail.size() != messages[0].tail.size()) out = Sizes::tails_differ;
  }
  return out;
}

}  // namespace

void siphash24_many(std::span<SipMessage> messages) {
  while (!messages.empty()) {
    if (messages.size() >= kLanes && many(messages.data(), compare_sizes(messages.first(kLanes)))) {
      messages = messages.subspan(kLanes);
    } else {
      one(messages.front());
      messages = messages.subspan(1);
    }
  }
}

}  // namespace dmsc::crypto
