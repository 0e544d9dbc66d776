// A hash table of pointers for one writer and any number of readers that never wait. A bucket is
// one cache line: five tags, five pointers and the number of entries that had to go further along
// the probe path, so that a look-up knows when to stop and removal leaves no tombstones.
//
//   find(hash):  home bucket ──tag equal?──► entry ──matches?──► hit
//                     │ overflow > 0: next bucket      overflow == 0: miss
//
// Entries never move within an array. Growth fills a new array and publishes it; readers of the old
// one still find everything that was there, until the Reclaimer frees it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "dmsc/forwarding/reclaimer.hpp"
#include "dmsc/forwarding/table_memory.hpp"

namespace dmsc::forwarding {

// `Entry` has a member `hash`. The table owns the array, never the entries.
template <class Entry>
class BucketTable {
 public:
  explicit BucketTable(Reclaimer& reclaimer) : reclaimer_(reclaimer), array_(new Array(2)) {}
  ~BucketTable() { delete array_.load(); }
  BucketTable(const BucketTable&) = delete;
  BucketTable& operator=(const BucketTable&) = delete;

  // Any thread. `matches(const Entry&)` decides; tags only filter.
  template <class Matches>
  Entry* find(std::uint64_t hash, Matches matches) const {
    Slot slot = locate(*array_.load(std::memory_order_acquire), hash, matches);
    return slot.entry;
  }

  // Writer. The key must not be in the table.
  void insert(Entry* entry) {
    Array* array = array_.load(std::memory_order_relaxed);
    if ((size() + 1) * 10 > array->slots() * 8) array = grow(*array);
    place(*array, entry);
    size_.fetch_add(1, std::memory_order_relaxed);
  }

  // Writer. Puts `entry` in the place of the one that matches and returns that; nullptr (and
  // nothing done) if there is none.
  template <class Matches>
  Entry* replace(Entry* entry, Matches matches) {
    Slot slot = locate(*array_.load(std::memory_order_relaxed), entry->hash, matches);
    if (slot.entry != nullptr) slot.bucket->entry[slot.at].store(entry, std::memory_order_release);
    return slot.entry;
  }

  // Writer. Unlinks and returns the entry that matches, or nullptr. The caller retires it.
  template <class Matches>
  Entry* erase(std::uint64_t hash, Matches matches) {
    Array& array = *array_.load(std::memory_order_relaxed);
    Slot slot = locate(array, hash, matches);
    if (slot.entry == nullptr) return nullptr;
    slot.bucket->entry[slot.at].store(nullptr, std::memory_order_release);
    slot.bucket->tag[slot.at].store(0, std::memory_order_release);
    for (std::size_t i = hash & array.mask; &array.buckets[i] != slot.bucket;
         i = (i + 1) & array.mask) {
      array.buckets[i].overflow.fetch_sub(1, std::memory_order_release);
    }
    size_.fetch_sub(1, std::memory_order_relaxed);
    return slot.entry;
  }

  // Writer. Visits in no particular order.
  template <class Visit>
  void for_each(Visit visit) const {
    const Array& array = *array_.load(std::memory_order_relaxed);
    for (const Bucket& bucket : array.buckets) {
      for (const auto& entry : bucket.entry) {
        if (Entry* e = entry.load(std::memory_order_relaxed)) visit(*e);
      }
    }
  }

  // Any thread: brings the home bucket of `hash` towards the cache.
  void prefetch(std::uint64_t hash) const {
    const Array& array = *array_.load(std::memory_order_acquire);
    __builtin_prefetch(&array.buckets[hash & array.mask]);
  }

  // Any thread: brings the entry that `hash` most likely finds towards the cache. Reads the home
  // bucket, so prefetch() that first and do something else in between.
  void prefetch_entry(std::uint64_t hash) const {
    const Array& array = *array_.load(std::memory_order_acquire);
    const Bucket& bucket = array.buckets[hash & array.mask];
    for (std::size_t way = 0; way < kWays; ++way) {
      if (bucket.tag[way].load(std::memory_order_acquire) != tag_of(hash)) continue;
      if (const Entry* entry = bucket.entry[way].load(std::memory_order_acquire)) {
        __builtin_prefetch(entry);
        __builtin_prefetch(reinterpret_cast<const char*>(entry) + 64);
      }
    }
  }

  // Any thread: true if find() finds nothing, told by the home bucket alone. prefetch() that first.
  bool absent(std::uint64_t hash) const {
    const Array& array = *array_.load(std::memory_order_acquire);
    const Bucket& bucket = array.buckets[hash & array.mask];
    for (std::size_t way = 0; way < kWays; ++way) {
      if (bucket.tag[way].load(std::memory_order_acquire) == tag_of(hash)) return false;
    }
    return bucket.overflow.load(std::memory_order_acquire) == 0;
  }

  // Any thread: the entry that `hash` most likely finds, unread; nullptr if its home bucket has none.
  const Entry* peek(std::uint64_t hash) const {
    const Array& array = *array_.load(std::memory_order_acquire);
    const Bucket& bucket = array.buckets[hash & array.mask];
    for (std::size_t way = 0; way < kWays; ++way) {
      if (bucket.tag[way].load(std::memory_order_acquire) == tag_of(hash)) {
        return bucket.entry[way].load(std::memory_order_acquire);
      }
    }
    return nullptr;
  }

  std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Writer: what the array takes, without the entries.
  std::size_t bytes() const {
    return array_.load(std::memory_order_relaxed)->buckets.size() * sizeof(Bucket);
  }

 private:
  static constexpr std::size_t kWays = 5;
  struct alignas(64) Bucket {
    std::atomic<std::uint32_t> tag[kWays] = {};
    std::atomic<std::uint32_t> overflow = 0;
    std::atomic<Entry*> entry[kWays] = {};
  };
  static_assert(sizeof(Bucket) == 64 || sizeof(void*) != 8);

  struct Array {
    explicit Array(std::size_t n)
        : buckets(static_cast<Bucket*>(allocate_table(n * sizeof(Bucket))), n), mask(n - 1) {
      std::uninitialized_value_construct(buckets.begin(), buckets.end());
    }
    ~Array() { free_table(buckets.data(), buckets.size_bytes()); }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    std::size_t slots() const { return buckets.size() * kWays; }
    const std::span<Bucket> buckets;
    const std::size_t mask;
  };
  struct Slot {
    Entry* entry = nullptr;
    Bucket* bucket = nullptr;
    std::size_t at = 0;
  };

  static std::uint32_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32) | 1;  // 0 marks a free slot
  }

  template <class Matches>
  static Slot locate(Array& array, std::uint64_t hash, Matches& matches) {
    std::uint32_t tag = tag_of(hash);
    std::size_t i = hash & array.mask;
    for (std::size_t tried = 0; tried <= array.mask; ++tried, i = (i + 1) & array.mask) {
      Bucket& bucket = array.buckets[i];
      for (std::size_t way = 0; way < kWays; ++way) {
        if (bucket.tag[way].load(std::memory_order_acquire) != tag) continue;
        Entry* entry = bucket.entry[way].load(std::memory_order_acquire);
        if (entry != nullptr && matches(*entry)) return {entry, &bucket, way};
      }
      if (bucket.overflow.load(std::memory_order_acquire) == 0) break;
    }
    return {};
  }

  // The load factor keeps a slot free, so this ends. Passed buckets are marked before the entry
  // becomes visible: a reader that could see it never stops short of it.
  static void place(Array& array, Entry* entry) {
    for (std::size_t i = entry->hash & array.mask;; i = (i + 1) & array.mask) {
      Bucket& bucket = array.buckets[i];
      for (std::size_t way = 0; way < kWays; ++way) {
        if (bucket.tag[way].load(std::memory_order_relaxed) != 0) continue;
        bucket.entry[way].store(entry, std::memory_order_release);
        bucket.tag[way].store(tag_of(entry->hash), std::memory_order_release);
        return;
      }
      bucket.overflow.fetch_add(1, std::memory_order_release);
    }
  }

  Array* grow(const Array& old) {
    auto* array = new Array(old.buckets.size() * 2);
    for_each([&](Entry& entry) { place(*array, &entry); });
    Array* retired = array_.exchange(array, std::memory_order_acq_rel);
    reclaimer_.retire([retired] { delete retired; });
    return array;
  }

  Reclaimer& reclaimer_;
  std::atomic<Array*> array_;
  std::atomic<std::size_t> size_ = 0;
};

}  // namespace dmsc::forwarding
