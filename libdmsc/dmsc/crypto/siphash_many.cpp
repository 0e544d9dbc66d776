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

// Tails of no more than this many whole words go side by side whatever their lengths.
constexpr std::size_t kTailWords = 31;
using Columns = std::uint64_t[kTailWords + 1][kLanes];

// The words of the eight tails, the last ones complete, as columns; zero below. Returns the longest's
// number and tells each one's.
DMSC_INLINE std::size_t lay_out(const SipMessage* m, Columns& words, Lanes& last) {
  std::size_t most = 0;
  for (std::size_t i = 0; i < kLanes; ++i) most = std::max(most, m[i].tail.size() / 8);
  for (std::size_t i = 0; i < kLanes; ++i) {
    std::size_t n = m[i].tail.size() / 8;
    for (std::size_t k = 0; k < n; ++k) words[k][i] = load(m[i].tail.data() + 8 * k);
    words[n][i] = last_word(m[i]);
    for (std::size_t k = n + 1; k <= most; ++k) words[k][i] = 0;
    last[i] = n;
  }
  return most;
}

// Eight messages with heads of one size and tails of any: a lane stands still when its message has
// ended.
DMSC_INLINE void eight_mixed(SipMessage* m) {
  State<Lanes> state, next;
  Lanes word, k1, last;
  alignas(sizeof(Lanes)) Columns words;
  gather(word, [m](std::size_t i) { return load(m[i].key->data()); });
  gather(k1, [m](std::size_t i) { return load(m[i].key->data() + 8); });
  state.begin(word, k1);
  for (std::size_t at = 0; at < m->head.size(); at += 8) {
    gather(word, [m, at](std::size_t i) { return load(m[i].head.data() + at); });
    state.absorb(word);
  }
  std::size_t most = lay_out(m, words, last);
  for (std::size_t k = 0; k <= most; ++k) {
    std::memcpy(&word, words[k], sizeof word);
    next = state;
    next.absorb(word);
    const Lanes goes_on = reinterpret_cast<Lanes>(last >= k);
    state.v0 ^= (state.v0 ^ next.v0) & goes_on;
    state.v1 ^= (state.v1 ^ next.v1) & goes_on;
    state.v2 ^= (state.v2 ^ next.v2) & goes_on;
    state.v3 ^= (state.v3 ^ next.v3) & goes_on;
  }
  state.finish();
  for (std::size_t i = 0; i < kLanes; ++i) m[i].hash = state.v0[i];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void mixed_avx512(SipMessage* m) { eight_mixed(m); }
__attribute__((target("avx2"))) void mixed_avx2(SipMessage* m) { eight_mixed(m); }
__attribute__((target("avx512f"))) void eight_avx512(SipMessage* m) { eight(m); }
__attribute__((target("avx2"))) void eight_avx2(SipMessage* m) { eight(m); }
#endif

#if defined(__x86_64__)
enum class Sizes { same, mixed, apart };  // apart: not for side by side

Sizes sizes_of(std::span<const SipMessage> messages) {
  bool same = true;
  for (const SipMessage& m : messages) {
    if (m.head.size() != messages[0].head.size() || m.tail.size() / 8 > kTailWords) {
      return Sizes::apart;
    }
    same = same && m.tail.size() == messages[0].tail.size();
  }
  return same ? Sizes::same : Sizes::mixed;
}
#endif

// False if this processor is no faster with eight at a time than one by one, or they are too
// different.
bool many(std::span<SipMessage> m) {
#if defined(__x86_64__)
  Sizes sizes = sizes_of(m);
  if (sizes == Sizes::apart) return false;
  bool same = sizes == Sizes::same;
  if (__builtin_cpu_supports("avx512f")) {
    return same ? eight_avx512(m.data()) : mixed_avx512(m.data()), true;
  }
  if (__builtin_cpu_supports("avx2")) {
    return same ? eight_avx2(m.data()) : mixed_avx2(m.data()), true;
  }
#endif
  (void)m;
  return false;
}

}  // namespace

void siphash24_many(std::span<SipMessage> messages) {
  while (!messages.empty()) {
    if (messages.size() >= kLanes && many(messages.first(kLanes))) {
      messages = messages.subspan(kLanes);
    } else {
      one(messages.front());
      messages = messages.subspan(1);
    }
  }
}

}  // namespace dmsc::crypto
