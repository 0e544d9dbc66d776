// Which names were served a short while ago and are no longer: a packet for one of them is told
// `no-instance`, for any other name `no-route` (docs/protocol.md, F17). A bounded set of keyed hashes in two
// generations, so that it needs no clock: a turn forgets the older one. One writer; readers never block.
//
//   add ──► young ──turn──► old ──turn──► gone
//
// Buckets of a cache line. A full bucket doubles the table up to the bound, and from then on a newcomer
// takes the place of another: what is forgotten too early is only told less precisely.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "dmsc/forwarding/reclaimer.hpp"

namespace dmsc::forwarding {

class WithdrawnNames {
 public:
  static constexpr std::size_t kPerBucket = 8;
  static constexpr std::size_t kMostBuckets = 4096;
  static constexpr std::size_t kMost = 2 * kMostBuckets * kPerBucket;  // names, of both generations

  explicit WithdrawnNames(Reclaimer& reclaimer) : reclaimer_(reclaimer) {}
  ~WithdrawnNames() {
    delete young_.load();
    delete old_.load();
  }
  WithdrawnNames(const WithdrawnNames&) = delete;
  WithdrawnNames& operator=(const WithdrawnNames&) = delete;

  // Writer. `hash`: of the name, under a secret key; `covering`: it served names below it, too.
  void add(std::uint64_t hash, bool covering) {
    Table* table = young_.load(std::memory_order_relaxed);
    if (table == nullptr) publish(table = new Table(kFirstBuckets));
    while (!table->put(value_of(hash, covering), table->buckets == kMostBuckets)) {
      auto larger = std::make_unique<Table>(table->buckets * 2);
      table->for_each([&](std::uint64_t value) { larger->put(value, true); });
      publish(table = larger.release());
    }
  }
  // Writer. What was added before the last turn is forgotten.
  void turn() {
    retire(old_.exchange(young_.exchange(nullptr, std::memory_order_acq_rel), std::memory_order_acq_rel));
  }
  std::size_t bytes() const {  // writer
    std::size_t out = 0;
    for (const auto* slot : {&young_, &old_}) {
      const Table* table = slot->load(std::memory_order_relaxed);
      out += table == nullptr ? 0 : sizeof(Table) + table->buckets * sizeof(Bucket);
    }
    return out;
  }

  // Readers. `below`: for a name below the one with this hash.
  bool holds(std::uint64_t hash, bool below) const {
    for (const auto* slot : {&young_, &old_}) {
      const Table* table = slot->load(std::memory_order_acquire);
      if (table == nullptr) continue;
      if (table->has(value_of(hash, true)) || (!below && table->has(value_of(hash, false)))) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kFirstBuckets = 8;
  struct alignas(64) Bucket {
    std::atomic<std::uint64_t> slots[kPerBucket] = {};
  };
  struct Table {
    explicit Table(std::size_t n) : buckets(n), all(new Bucket[n]) {}
    Bucket& of(std::uint64_t value) const { return all[value >> 32 & (buckets - 1)]; }
    bool has(std::uint64_t value) const {
      for (const auto& slot : of(value).slots) {
        if (slot.load(std::memory_order_relaxed) == value) return true;
      }
      return false;
    }
    // False if the bucket is full; `force` then gives up another.
    bool put(std::uint64_t value, bool force) {
      Bucket& bucket = of(value);
      for (auto& slot : bucket.slots) {
        std::uint64_t held = slot.load(std::memory_order_relaxed);
        if (held != 0 && held != value) continue;
        slot.store(value, std::memory_order_relaxed);
        return true;
      }
      if (force) bucket.slots[value >> 8 & (kPerBucket - 1)].store(value, std::memory_order_relaxed);
      return force;
    }
    template <class Visit>
    void for_each(Visit visit) const {
      for (std::size_t b = 0; b < buckets; ++b) {
        for (const auto& slot : all[b].slots) {
          if (std::uint64_t value = slot.load(std::memory_order_relaxed)) visit(value);
        }
      }
    }
    const std::size_t buckets;  // a power of two
    const std::unique_ptr<Bucket[]> all;
  };

  // Never 0, which is an empty slot.
  static std::uint64_t value_of(std::uint64_t hash, bool covering) {
    return (hash & ~std::uint64_t{3}) | 2 | (covering ? 1 : 0);
  }
  void publish(Table* table) { retire(young_.exchange(table, std::memory_order_acq_rel)); }
  void retire(Table* table) {
    if (table != nullptr) reclaimer_.retire([table] { delete table; });
  }

  Reclaimer& reclaimer_;
  std::atomic<Table*> young_ = nullptr, old_ = nullptr;
};

}  // namespace dmsc::forwarding
