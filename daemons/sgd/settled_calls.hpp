// What an egress remembers of calls whose reply the ingress holds: that they were, until no copy of
// the request can come any more. Nearly all entries of a busy gateway are of this kind, so they cost a
// hash set's node and no more; and the set is cut in shards, so that none of its growing takes long.
#pragma once
#include <array>
#include <map>
#include <optional>
#include <unordered_set>
#include <vector>

#include "dmsc/core/time.hpp"

namespace dmsc::sgd {

template <class Key, class Hash>
class SettledCalls {
 public:
  // Remembers `key` until `forget_at` at least, and a tick longer at most when expire() is called.
  void add(const Key& key, Time forget_at) {
    if (!shard(key).insert(key).second) return;
    ++size_;
    ends_[tick_of(forget_at) + 1].push_back(key);
  }
  bool contains(const Key& key) const { return shards_[index(key)].count(key) != 0; }
  std::size_t size() const { return size_; }

  // Forgets what is due, `most` at once; calls `forgotten(key)` for each.
  template <class Forgotten>
  void expire(Time now, std::size_t most, Forgotten forgotten) {
    while (!ends_.empty() && ends_.begin()->first <= tick_of(now)) {
      std::vector<Key>& due = ends_.begin()->second;
      for (; !due.empty(); due.pop_back(), --size_) {
        if (most-- == 0) return;
        shard(due.back()).erase(due.back());
        forgotten(due.back());
      }
      ends_.erase(ends_.begin());
    }
  }
  // When expire() has something to do.
  std::optional<Time> deadline() const {
    if (ends_.empty()) return std::nullopt;
    return Time(Duration(ends_.begin()->first * kTick.count()));
  }

 private:
  static constexpr Duration kTick = milliseconds(64);
  static constexpr std::size_t kShards = 64;
  using Shard = std::unordered_set<Key, Hash>;
  static std::int64_t tick_of(Time t) { return t.time_since_epoch() / kTick; }
  // Not the bits that choose the bucket in a shard.
  static std::size_t index(const Key& key) {
    return Hash{}(key) * 0x9E3779B97F4A7C15ULL >> 58;
  }
  Shard& shard(const Key& key) { return shards_[index(key)]; }

  static_assert(kShards == 64, "six bits of hash");
  std::array<Shard, kShards> shards_;
  std::map<std::int64_t, std::vector<Key>> ends_;
  std::size_t size_ = 0;
};

}  // namespace dmsc::sgd
