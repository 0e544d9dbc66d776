#include "dmsc/routing/next_hop_groups.hpp"

#include <algorithm>

namespace dmsc::routing {

std::size_t NextHopGroups::KeyHash::operator()(const Key& key) const {
  std::uint64_t h = key.set;
  if (key.alternate) {
    h = h << 32 ^ key.alternate->link ^ std::uint64_t{key.alternate->neighbour.value} << 20;
  }
  h = (h ^ static_cast<std::uint64_t>(key.protection) << 60) * 0x9e3779b97f4a7c15ULL;
  return static_cast<std::size_t>(h ^ h >> 32);
}

void NextHopGroups::begin() {
  for (GroupId id : retired_) {
    Group& group = groups_[id];
    by_key_.erase({group.set, group.ways.alternate, group.ways.protection});
    if (group.set < plain_.size() && plain_[group.set] == id) plain_[group.set] = kNoGroup;
    group = {};
    free_.push_back(id);
  }
  added_.clear();
  retired_.clear();
}

GroupId NextHopGroups::find_or_make(const HopSets& sets, const Key& key) {
  auto [it, made] = by_key_.try_emplace(key, kNoGroup);
  if (!made) return it->second;
  if (free_.empty()) {
    free_.push_back(limit());
    groups_.emplace_back();
  }
  it->second = free_.back();
  free_.pop_back();
  Group& group = groups_[it->second];
  group.ways = {sets.members(key.set, kMaxEcmp), key.alternate, key.protection};
  group.set = key.set;
  fresh_.push_back(it->second);
  return it->second;
}

GroupId NextHopGroups::plain(const HopSets& sets, std::uint32_t set) {
  if (set == HopSets::kEmpty) return kNoGroup;
  if (set >= plain_.size()) plain_.resize(sets.limit(), kNoGroup);
  GroupId& known = plain_[set];
  if (known == kNoGroup) known = find_or_make(sets, {set, std::nullopt, Protection::none});
  return known;
}

GroupId NextHopGroups::with(const HopSets& sets, std::uint32_t set, const FirstHop& alternate,
                            Protection protection) {
  return find_or_make(sets, {set, alternate, protection});
}

void NextHopGroups::leave(GroupId id) {
  if (--groups_[id].users == 0) left_.push_back(id);
}

void NextHopGroups::end() {
  for (GroupId id : fresh_) {
    if (in_use(id)) {
      added_.push_back(id);
    } else {
      left_.push_back(id);  // made and dropped within the round: so that its number comes back
    }
  }
  std::sort(left_.begin(), left_.end());
  left_.erase(std::unique(left_.begin(), left_.end()), left_.end());
  for (GroupId id : left_) {
    if (id != kNoGroup && !in_use(id)) retired_.push_back(id);
  }
  left_.clear();
  fresh_.clear();
}

std::size_t NextHopGroups::bytes() const {
  std::size_t bytes = groups_.capacity() * sizeof(Group) +
                      by_key_.size() * (sizeof(Key) + sizeof(GroupId) + 2 * sizeof(void*)) +
                      plain_.capacity() * sizeof(GroupId);
  for (const Group& group : groups_) bytes += group.ways.next_hops.capacity() * sizeof(FirstHop);
  return bytes;
}

}  // namespace dmsc::routing
