// The database of verified LSAs and tombstones. The bytes of each LSA are kept once and packed; what the
// protocol compares (version, digest item, expiry) stands beside them. One balanced tree in key order
// carries the count, the digest and the earliest expiry of every subtree:
//
//   look-up by key O(1)      digest of the whole O(1), of any range O(log n)
//   change O(log n)          next to expire O(log n)          nothing is ever scanned
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/linkstate/lsa_pack.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate {

U128 digest_item(const wire::Lsa& lsa);

class Lsdb {
 public:
  // All but the bytes. Valid until its key is installed anew or erased.
  struct Entry {
    std::uint64_t key = 0;           // wire::key_number
    wire::LsaVersion version;
    U128 item;                       // first 128 bits of the hash: what the digest adds up
    Time expires;
    std::uint32_t lifetime = 0;      // signed, seconds
    std::uint16_t size = 0;          // of the LSA on the wire, bytes
    bool purge = false;

   private:
    friend class Lsdb;
    bool packed = false;
    std::uint16_t flags = 0;         // as signed: bits unknown here included
    std::uint16_t stored = 0;        // bytes at `data`
    std::uint32_t first_seen = 0;    // seconds, rounded down
    std::uint32_t left = 0, right = 0, count = 0, priority = 0;
    U128 sum;                        // of the subtree, like `count` and `soonest`
    Time soonest;
    std::unique_ptr<std::uint8_t[]> data;  // body, packed or not, then the signature
  };
  struct Sum {
    std::uint32_t count = 0;
    U128 sum;
    friend bool operator==(const Sum&, const Sum&) = default;
  };
  struct Memory {
    std::size_t lsas = 0;
    std::size_t wire_bytes = 0;      // of all LSAs as they travel
    std::size_t held_bytes = 0;      // what the database takes for them, indices included
  };

  // `secret` keeps the tree's shape and the hash from being chosen by what LSAs say. LSAs like `sample`
  // (a body; the node's own identity) are packed best.
  explicit Lsdb(std::uint64_t secret = 1, ByteView sample = {});

  const Entry* find(std::uint64_t key) const;
  // Replaces whatever is there. `remaining` seconds, capped by the signed lifetime.
  void install(Time now, const wire::Lsa& lsa, std::uint32_t remaining);
  // A duplicate's larger remaining lifetime counts, never beyond first seen + signed lifetime.
  void extend(Time now, std::uint64_t key, std::uint32_t remaining);
  void erase(std::uint64_t key);
  // A key whose lifetime is over; the caller removes it and asks again.
  std::optional<std::uint64_t> expired(Time now) const;
  std::optional<Time> next_expiry() const;

  // The LSA exactly as it came: appended to `out`, or decoded anew.
  void read(const Entry& entry, Bytes& out) const;
  wire::LsaPtr load(const Entry& entry) const;
  // Does the entry hold just this body?
  bool same_body(const Entry& entry, ByteView body) const;

  U128 digest() const { return at(root_).sum; }
  std::size_t size() const { return at(root_).count; }
  // Of all keys from `lo` to `hi`, both included.
  Sum range(std::uint64_t lo, std::uint64_t hi) const;
  // The entry with `rank` entries of smaller key; rank < size().
  const Entry& nth(std::uint32_t rank) const;
  std::uint32_t rank(std::uint64_t key) const { return below(key).count; }
  // Calls use(entry) for lo <= key <= hi, in key order. The database must not change meanwhile.
  template <class Use>
  void visit(std::uint64_t lo, std::uint64_t hi, Use&& use) const {
    visit(root_, lo, hi, use);
  }
  template <class Use>
  void visit(Use&& use) const {
    visit(root_, 0, wire::kMaxKeyNumber, use);
  }
  // Whole seconds left, rounded down: no hop ever adds lifetime.
  static std::uint32_t remaining(const Entry& entry, Time now);

  Memory memory() const;
  static std::uint32_t held_bytes(const Entry& entry);
  // Entries looked at so far: tests prove by it that nothing is scanned.
  std::uint64_t steps() const { return steps_; }
  // Changes with every change of anything.
  std::uint64_t generation() const { return generation_; }

 private:
  using Slot = std::uint32_t;  // 0 = none: the empty tree
  static constexpr Slot kChunk = 64;
  Entry& at(Slot s) { return chunks_[s / kChunk][s % kChunk]; }
  const Entry& at(Slot s) const { return chunks_[s / kChunk][s % kChunk]; }
  Slot slot_of(std::uint64_t key) const;
  Slot allocate();
  void store(Entry& entry, const wire::Lsa& lsa);
  void release(Entry& entry);

  // The index by key: linear probing.
  std::size_t home(std::uint64_t key) const;
  void index_add(Slot slot);
  void index_remove(std::uint64_t key);

  // The tree: a treap.
  void pull(Slot t);
  Slot insert(Slot t, Slot fresh);
  void split(Slot t, std::uint64_t key, Slot& less, Slot& rest);
  Slot merge(Slot a, Slot b);
  Slot remove(Slot t, std::uint64_t key);
  void repair(Slot t, std::uint64_t key);  // recomputes the path to `key`
  Sum below(std::uint64_t key) const;
  template <class Use>
  void visit(Slot t, std::uint64_t lo, std::uint64_t hi, Use& use) const {
    if (t == 0) return;
    const Entry& e = at(t);
    if (e.key > lo) visit(e.left, lo, hi, use);
    if (e.key >= lo && e.key <= hi) use(e);
    if (e.key < hi) visit(e.right, lo, hi, use);
  }

  LsaPacker packer_;
  std::uint64_t secret_;
  std::vector<std::unique_ptr<Entry[]>> chunks_;
  Slot used_ = 1, free_ = 0, root_ = 0;
  std::vector<Slot> index_;
  std::size_t wire_bytes_ = 0, data_bytes_ = 0;
  std::uint64_t generation_ = 0;
  mutable std::uint64_t steps_ = 0;
};

// Order of two copies of one LSA: version, then a purge over content, then the larger hash. Total,
// so that no two nodes ever disagree which copy stays. <0: a is older.
int compare_copies(const wire::Lsa& a, const wire::Lsa& b);
int compare_copies(const wire::Lsa& a, const Lsdb::Entry& b);
// What acknowledgements and digest lists say of a copy.
inline std::uint64_t hash_front(const Lsdb::Entry& entry) { return entry.item.hi; }
inline wire::LsaRef ref_of(const Lsdb::Entry& entry) {
  return {wire::key_of(entry.key), entry.version, entry.item.hi};
}

}  // namespace dmsc::linkstate
