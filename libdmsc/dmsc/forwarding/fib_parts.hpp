// The parts a Fib is made of. Only fib.cpp includes this.
#pragma once
#include <array>
#include <atomic>
#include <cstring>
#include <new>
#include <string_view>

#include "dmsc/forwarding/cell_arena.hpp"
#include "dmsc/forwarding/fib.hpp"

namespace dmsc::forwarding {

// What an allocation of `n` bytes takes from the heap (glibc: a word of header, steps of 16).
constexpr std::size_t heap_bytes(std::size_t n) {
  return n + 8 <= 32 ? 32 : (n + 8 + 15) / 16 * 16;
}

// A prefix in one block of memory with its text, so that comparing a name and finding the group
// mostly touch one cache line. Immutable but for the group it points at.
class PrefixCell {
 public:
  const std::uint64_t hash;
  std::atomic<InstanceGroup*> group;

  static PrefixCell* make(CellArena& arena, std::uint64_t hash, InstanceGroup* group, std::string_view text) {
    void* block = arena.allocate(bytes_of(text.size()));
    auto* cell = new (block) PrefixCell(hash, group, static_cast<std::uint8_t>(text.size()));
    std::memcpy(static_cast<char*>(block) + kTextAt, text.data(), text.size());
    return cell;
  }
  static void destroy(CellArena& arena, PrefixCell* cell) { arena.release(cell, bytes_of(cell->size_)); }

  std::string_view text() const { return {reinterpret_cast<const char*>(this) + kTextAt, size_}; }
  bool is(std::string_view other) const { return text() == other; }

 private:
  PrefixCell(std::uint64_t h, InstanceGroup* g, std::uint8_t size)
      : hash(h), group(g), size_(size) {}
  // The text begins right behind its size.
  static constexpr std::size_t kTextAt = sizeof(std::uint64_t) + sizeof(std::atomic<InstanceGroup*>) + 1;
  static constexpr std::size_t bytes_of(std::size_t text) { return std::max(kTextAt + text, 3 * sizeof(std::uint64_t)); }
  static_assert(kTextAt + kMaxNameBytes <= CellArena::kLargest);
  std::uint8_t size_;
};
static_assert(sizeof(PrefixCell) == 3 * sizeof(std::uint64_t));

struct LabelSlot {
  std::uint64_t hash;
  LabelEntry entry;
};

// Routes by node id, in place, in chunks made on first use and never moved. The groups are not its
// own.
class NodeArray {
 public:
  ~NodeArray() {
    for (auto& slot : chunks_) delete slot.load();
  }
  // Any thread. Group and distance are read one after the other: of a route that changes meanwhile
  // one may be old and the other new.
  NodeRoute get(std::uint32_t id) const {
    if (id > kMaxNodeId) return {};
    const Chunk* chunk = chunks_[id / kChunk].load(std::memory_order_acquire);
    if (chunk == nullptr) return {};
    const Slot& slot = (*chunk)[id % kChunk];
    return {slot.ways.load(std::memory_order_acquire),
            slot.distance.load(std::memory_order_relaxed)};
  }
  // Returns the group that was there. None: no route any more.
  NextHopGroup* exchange(std::uint32_t id, NextHopGroup* ways, std::uint32_t distance) {
    std::atomic<Chunk*>& chunk = chunks_[id / kChunk];
    if (chunk.load(std::memory_order_relaxed) == nullptr) {
      if (ways == nullptr) return nullptr;
      chunk.store(new Chunk{}, std::memory_order_release);
    }
    Slot& slot = (*chunk.load(std::memory_order_relaxed))[id % kChunk];
    if (ways != nullptr) slot.distance.store(distance, std::memory_order_relaxed);
    return slot.ways.exchange(ways, std::memory_order_acq_rel);
  }
  std::size_t bytes() const {
    std::size_t out = sizeof *this;
    for (const auto& chunk : chunks_) out += chunk.load() == nullptr ? 0 : sizeof(Chunk);
    return out;
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t id = 0; id <= kMaxNodeId; ++id) {
      if (chunks_[id / kChunk].load() == nullptr) {
        id += kChunk - 1;
      } else if (NodeRoute route = get(id)) {
        visit(NodeId{id}, route);
      }
    }
  }

 private:
  static constexpr std::uint32_t kChunk = 1024;
  struct Slot {
    std::atomic<NextHopGroup*> ways = nullptr;
    std::atomic<std::uint32_t> distance = 0;
  };
  using Chunk = std::array<Slot, kChunk>;
  std::array<std::atomic<Chunk*>, kMaxNodeId / kChunk + 1> chunks_ = {};
};

// How many prefixes of each component count there are, and which counts occur at all: depths that
// no prefix has are never looked up.
class DepthMask {
 public:
  void add(std::size_t depth) {
    ++count_[depth];
    mask_.fetch_or(1U << depth, std::memory_order_acq_rel);
  }
  void remove(std::size_t depth) {
    if (--count_[depth] == 0) mask_.fetch_and(~(1U << depth), std::memory_order_acq_rel);
  }
  std::uint32_t mask() const { return mask_.load(std::memory_order_acquire); }

 private:
  std::array<std::size_t, kMaxNameComponents + 1> count_ = {};
  std::atomic<std::uint32_t> mask_ = 0;
};

inline constexpr std::size_t kLookUpsAtOnce = 32;

// One longest match, prepared: where components end, and the depths that can serve.
struct LookUp {
  std::string_view name;
  std::size_t count = 0;     // components
  std::uint32_t wanted = 0;  // bit i: the first i + 1 components may match; 0 = nothing can
  std::uint32_t hashed = 0;  // bit i: hashes[i] is known
  std::uint8_t ends[kMaxNameComponents];
  std::uint64_t hashes[kMaxNameComponents];

  std::string_view head(std::size_t i) const { return name.substr(0, ends[i]); }
  // Most names are found at their full length, so the hashes of their beginnings are made when they are needed.
  template <class Hasher>
  std::uint64_t hash(std::size_t i, const Hasher& hasher) {
    if ((hashed >> i & 1) == 0) {
      hashes[i] = hasher(head(i));
      hashed |= 1U << i;
    }
    return hashes[i];
  }
  template <class Hasher>
  std::uint64_t longest(const Hasher& hasher) {
    return hash(static_cast<std::size_t>(31 - __builtin_clz(wanted)), hasher);
  }
  void give_up_longest() { wanted &= ~(1U << (31 - __builtin_clz(wanted))); }
  // Calls visit(i), longest first, until it returns true.
  template <class Visit>
  void for_each_depth(Visit visit) const {
    for (std::uint32_t left = wanted; left != 0;) {
      auto i = static_cast<std::size_t>(31 - __builtin_clz(left));
      left &= ~(1U << i);
      if (visit(i)) return;
    }
  }
};

}  // namespace dmsc::forwarding
