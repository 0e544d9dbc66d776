// Instance groups: the sets of instances that serve prefixes, interned, so that prefixes served by
// the same set share one (DESIGN section 5). A million prefixes of ten thousand gateways hang on as
// many groups as there are different sets; a change of distances or of a policy rewrites the
// weights of groups and touches no prefix.
#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "dmsc/core/ids.hpp"
#include "dmsc/routing/chunked.hpp"
#include "dmsc/routing/id_index.hpp"

namespace dmsc::routing {

using InstanceGroupId = std::uint32_t;
inline constexpr InstanceGroupId kNoInstanceGroup = ~0U;

// One instance as announced. Id 0: the egress announces the prefix without any instance.
struct Member {
  std::uint32_t egress : 31 = 0;
  std::uint32_t covering : 1 = 0;
  std::uint16_t id = 0;
  std::uint16_t capacity = 0;  // 0 = draining
  friend bool operator==(const Member&, const Member&) = default;
};
static_assert(sizeof(Member) == 8);

inline bool before(const Member& a, const Member& b) {
  return a.egress != b.egress ? a.egress < b.egress : a.id < b.id;
}

inline bool any_covering(std::span<const Member> members) {
  for (const Member& m : members) {
    if (m.covering != 0) return true;
  }
  return false;
}

class InstanceGroups {
 public:
  explicit InstanceGroups(std::uint64_t seed) : seed_(seed) {}
  ~InstanceGroups();
  InstanceGroups(const InstanceGroups&) = delete;
  InstanceGroups& operator=(const InstanceGroups&) = delete;

  // The group of these members (at least one, in order of before(), no two of the same egress and
  // id) under that policy (0 = none), with one more user. `added`: it was made just now.
  InstanceGroupId use(std::span<const Member> members, std::uint32_t policy, bool& added);
  // One user less; true if none is left. The group stays until erase(), so that it can be used
  // again in the same change.
  bool release(InstanceGroupId id) { return --records_[id].users == 0; }
  // False for one already erased.
  bool unused(InstanceGroupId id) const {
    return records_[id].count != 0 && records_[id].users == 0;
  }
  void erase(InstanceGroupId id);

  std::span<const Member> members(InstanceGroupId id) const;
  std::uint32_t policy(InstanceGroupId id) const { return records_[id].policy; }
  bool several_egresses(InstanceGroupId id) const;
  // As last told to the forwarding plane. Empty for a group of one member.
  std::span<std::uint32_t> weights(InstanceGroupId id);
  // Groups of several egresses with that one among them, each once.
  const std::vector<InstanceGroupId>& with_egress(std::uint32_t egress);

  // Hints: for a set that use() will be asked for, and in two steps for a group.
  void prefetch(std::span<const Member> members) const { index_.prefetch(hash(members, 0)); }
  void prefetch(InstanceGroupId id) const { __builtin_prefetch(&records_[id]); }
  void prefetch_parts(InstanceGroupId id) const { index_.prefetch(records_[id].hash); }
  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const { return records_.bytes() + index_.bytes() + blocks_ + shared_bytes(); }

 private:
  struct Record {
    std::uint32_t users = 0;
    std::uint32_t hash = 0;   // free: the next free record
    std::uint32_t count = 0;  // members; 0 = free
    std::uint32_t policy = 0;
    union {
      Member one;
      Member* many;  // `count` members, then as many weights
    };
    Record() : many(nullptr) {}
  };
  // Ids in `groups` may be stale or doubled until with_egress() cleans up.
  struct Shared {
    std::vector<InstanceGroupId> groups;
    std::size_t stale = 0;
  };
  static std::size_t block_bytes(std::size_t count) { return count * (sizeof(Member) + 4); }
  std::uint32_t hash(std::span<const Member> members, std::uint32_t policy) const;
  InstanceGroupId make(std::span<const Member> members, std::uint32_t policy, std::uint32_t hash);
  void enter_shared(InstanceGroupId id);
  void leave_shared(InstanceGroupId id);
  void clean(std::uint32_t egress, Shared& shared) const;
  bool holds(InstanceGroupId id, std::uint32_t egress) const;
  std::size_t shared_bytes() const;

  std::uint64_t seed_;
  ChunkedArray<Record> records_;
  IdIndex index_;
  InstanceGroupId free_ = kNoInstanceGroup;
  std::unordered_map<std::uint32_t, Shared> shared_;  // by egress
  std::size_t blocks_ = 0;                            // bytes behind `many`
};

}  // namespace dmsc::routing
