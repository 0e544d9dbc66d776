// Whether a prefix that covers names below it may be in the FIB: a blocked Bloom filter, a word per look-up, small
// enough to stay in the processor's cache. It saves names of many components the reads of all the depths at which
// nothing lies (docs/protocol.md, F19). Never "no" for one that is there. One writer; readers never wait.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "dmsc/forwarding/reclaimer.hpp"

namespace dmsc::forwarding {

class PrefixFilter {
 public:
  explicit PrefixFilter(Reclaimer& reclaimer) : reclaimer_(reclaimer), words_(new Words(8)) {}
  ~PrefixFilter() { delete words_.load(); }
  PrefixFilter(const PrefixFilter&) = delete;
  PrefixFilter& operator=(const PrefixFilter&) = delete;

  // Any thread. `hash`: of the prefix, under a secret key.
  bool may_hold(std::uint64_t hash) const {
    const Words& words = *words_.load(std::memory_order_acquire);
    const std::uint64_t wanted = bits_of(hash);
    return (words.all[words.at(hash)].load(std::memory_order_acquire) & wanted) == wanted;
  }
  // Writer, before a reader can see the prefix. `for_each_other(add)` calls add(hash) for all that are held already;
  // it is asked when there are so many that the filter grows.
  template <class ForEachOther>
  void add(std::uint64_t hash, ForEachOther for_each_other) {
    if (++held_ > kPerWord * words_.load(std::memory_order_relaxed)->count) {
      auto larger = std::make_unique<Words>(2 * words_.load(std::memory_order_relaxed)->count);
      for_each_other([&](std::uint64_t other) { larger->add(other); });
      const Words* old = words_.exchange(larger.release(), std::memory_order_acq_rel);
      reclaimer_.retire([old] { delete old; });
    }
    words_.load(std::memory_order_relaxed)->add(hash);
  }
  // Writer, when no reader can find the prefix any more. Only what was added.
  void remove(std::uint64_t hash) {
    --held_;
    words_.load(std::memory_order_relaxed)->remove(hash);
  }
  std::size_t bytes() const {  // writer
    return words_.load(std::memory_order_relaxed)->count * (sizeof(std::uint64_t) + Words::kCounts);
  }

 private:
  static constexpr std::size_t kPerWord = 8;  // prefixes at most, on average: one in 20 others is then taken for held

  // Three bits of a word; two may be the same.
  static std::uint64_t bits_of(std::uint64_t hash) {
    return std::uint64_t{1} << (hash >> 58) | std::uint64_t{1} << (hash >> 52 & 63) |
           std::uint64_t{1} << (hash >> 46 & 63);
  }
  struct Words {
    static constexpr std::size_t kCounts = 32;  // bytes a word: four bits for each bit
    explicit Words(std::size_t n)
        : count(n), all(new std::atomic<std::uint64_t>[n]()), counts(new std::uint8_t[n * kCounts]()) {}
    std::size_t at(std::uint64_t hash) const { return hash & (count - 1); }
    void add(std::uint64_t hash) {
      for (std::uint64_t left = bits_of(hash); left != 0; left &= left - 1) step(hash, left, 1);
      all[at(hash)].fetch_or(bits_of(hash), std::memory_order_release);
    }
    void remove(std::uint64_t hash) {
      for (std::uint64_t left = bits_of(hash); left != 0; left &= left - 1) {
        const std::uint64_t bit = left & (~left + 1);
        if (step(hash, left, -1) == 0) all[at(hash)].fetch_and(~bit, std::memory_order_release);
      }
    }
    // Counts the lowest of `left` up or down; a count that was full stays so, and its bit set.
    unsigned step(std::uint64_t hash, std::uint64_t left, int by) {
      const auto bit = static_cast<unsigned>(__builtin_ctzll(left));
      std::uint8_t& two = counts[at(hash) * kCounts + bit / 2];
      const unsigned shift = bit % 2 * 4, old = two >> shift & 15U;
      if (old == 15) return old;
      const unsigned now = static_cast<unsigned>(static_cast<int>(old) + by) & 15U;
      two = static_cast<std::uint8_t>((two & ~(15U << shift)) | now << shift);
      return now;
    }
    const std::size_t count;  // a power of two
    const std::unique_ptr<std::atomic<std::uint64_t>[]> all;
    const std::unique_ptr<std::uint8_t[]> counts;  // the writer's
  };

  Reclaimer& reclaimer_;
  std::atomic<Words*> words_;
  std::size_t held_ = 0;
};

}  // namespace dmsc::forwarding
