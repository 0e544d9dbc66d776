// The database of verified LSAs and tombstones, in key order, with its digest kept up to date in
// O(1) per change and the expiry times in order.
#pragma once
#include <map>
#include <optional>
#include <set>

#include "dmsc/core/time.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate {

// Order of two copies of one LSA: version, then a purge over content, then the larger hash. Total,
// so that no two nodes ever disagree which copy stays. <0: a is older.
int compare_copies(const wire::Lsa& a, const wire::Lsa& b);
std::uint64_t hash_front(const wire::Lsa& lsa);
U128 digest_item(const wire::Lsa& lsa);

class Lsdb {
 public:
  struct Entry {
    wire::LsaPtr lsa;
    Time first_seen, expires;
  };
  using Map = std::map<std::uint64_t, Entry>;

  const Entry* find(std::uint64_t key) const;
  // Replaces whatever is there. `remaining` seconds, capped by the signed lifetime.
  void install(Time now, const wire::LsaPtr& lsa, std::uint32_t remaining);
  // A duplicate's larger remaining lifetime counts, never beyond first seen + signed lifetime.
  void extend(Time now, std::uint64_t key, std::uint32_t remaining);
  void erase(std::uint64_t key);
  // Keys whose lifetime is over, removed one by one by the caller.
  std::optional<std::uint64_t> expired(Time now) const;
  std::optional<Time> next_expiry() const;

  U128 digest() const { return digest_; }
  std::size_t size() const { return entries_.size(); }
  const Map& entries() const { return entries_; }
  // Whole seconds left, rounded down: no hop ever adds lifetime.
  static std::uint32_t remaining(const Entry& entry, Time now);

 private:
  Map entries_;
  std::set<std::pair<Time, std::uint64_t>> expiry_;
  U128 digest_;
};

}  // namespace dmsc::linkstate
