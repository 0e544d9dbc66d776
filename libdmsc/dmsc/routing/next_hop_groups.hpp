// The ways out of a root that its destinations share: a set of next hops with an alternate. A
// group's number means the same ways for as long as any destination has it, so the forwarding plane
// keeps one entry per group, and a change of many destinations that stay in their groups rewrites
// none.
#pragma once
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dmsc/routing/hop_sets.hpp"

namespace dmsc::routing {

inline constexpr std::size_t kMaxEcmp = 64;

enum class Protection : std::uint8_t { none, link, node };

struct NextHopGroup {
  std::vector<FirstHop> next_hops;    // sorted, no duplicates, at most kMaxEcmp
  std::optional<FirstHop> alternate;  // used when every next hop is lost; never one of them
  Protection protection = Protection::none;
  friend bool operator==(const NextHopGroup&, const NextHopGroup&) = default;
};

using GroupId = std::uint32_t;
inline constexpr GroupId kNoGroup = 0;  // no way out: unreachable, or the root itself

class NextHopGroups {
 public:
  NextHopGroups() : groups_(1) {}
  const NextHopGroup& operator[](GroupId id) const { return groups_[id].ways; }
  std::uint32_t set_of(GroupId id) const { return groups_[id].set; }
  GroupId limit() const { return static_cast<GroupId>(groups_.size()); }
  bool in_use(GroupId id) const { return groups_[id].users != 0; }
  std::uint32_t users(GroupId id) const { return groups_[id].users; }  // destinations

  // Starts a round of changes: numbers that the last round retired may be used anew.
  void begin();
  // The group of that set without an alternate, or with one. Made if there is none.
  GroupId plain(const HopSets& sets, std::uint32_t set);
  GroupId with(const HopSets& sets, std::uint32_t set, const FirstHop& alternate,
               Protection protection);
  void join(GroupId id) { ++groups_[id].users; }
  void leave(GroupId id);
  // Ends it: afterwards added() and retired() are exact.
  void end();
  // Groups that came into use and groups that nobody uses any more since begin(). What a retired
  // number meant can still be read until the next begin().
  const std::vector<GroupId>& added() const { return added_; }
  const std::vector<GroupId>& retired() const { return retired_; }

  std::size_t bytes() const;

 private:
  struct Group {
    NextHopGroup ways;
    std::uint32_t set = HopSets::kEmpty;
    std::uint32_t users = 0;
  };
  struct Key {
    std::uint32_t set = 0;
    std::optional<FirstHop> alternate;
    Protection protection = Protection::none;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  GroupId find_or_make(const HopSets& sets, const Key& key);

  std::vector<Group> groups_;
  std::unordered_map<Key, GroupId, KeyHash> by_key_;
  std::vector<GroupId> plain_;  // by set: kNoGroup = not made
  std::vector<GroupId> free_, fresh_, left_, added_, retired_;
};

}  // namespace dmsc::routing
