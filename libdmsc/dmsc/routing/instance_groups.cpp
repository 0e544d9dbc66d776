#include "dmsc/routing/instance_groups.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <new>

namespace dmsc::routing {

InstanceGroups::~InstanceGroups() {
  for (InstanceGroupId id = 0; id < records_.size(); ++id) {
    if (records_[id].count > 1) ::operator delete(records_[id].many);
  }
}

// Capacities and instance ids are attackers' input: the seed is secret.
std::uint32_t InstanceGroups::hash(std::span<const Member> members, std::uint32_t policy) const {
  std::uint64_t h = seed_ ^ policy;
  for (const Member& member : members) {
    h = (h ^ std::bit_cast<std::uint64_t>(member)) * 0xff51afd7ed558ccdULL;
    h = std::rotl(h ^ (h >> 32), 27) + seed_;
  }
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return static_cast<std::uint32_t>(h ^ (h >> 32));
}

InstanceGroupId InstanceGroups::use(std::span<const Member> members, std::uint32_t policy,
                                    bool& added) {
  std::uint32_t h = hash(members, policy);
  InstanceGroupId id = index_.find(h, [&](InstanceGroupId other) {
    const Record& r = records_[other];
    if (r.policy != policy || r.count != members.size()) return false;
    std::span<const Member> have = this->members(other);
    return std::equal(have.begin(), have.end(), members.begin());
  });
  added = id == kNoInstanceGroup;
  if (added) id = make(members, policy, h);
  ++records_[id].users;
  return id;
}

InstanceGroupId InstanceGroups::make(std::span<const Member> members, std::uint32_t policy,
                                     std::uint32_t h) {
  InstanceGroupId id = free_;
  if (id == kNoInstanceGroup) {
    id = records_.grow();
  } else {
    free_ = records_[id].hash;
  }
  Record& r = records_[id];
  r.users = 0;
  r.hash = h;
  r.count = static_cast<std::uint32_t>(members.size());
  r.policy = policy;
  if (r.count == 1) {
    new (&r.one) Member(members.front());
  } else {
    r.many = static_cast<Member*>(::operator new(block_bytes(r.count)));
    std::uninitialized_copy(members.begin(), members.end(), r.many);
    std::uninitialized_fill_n(reinterpret_cast<std::uint32_t*>(r.many + r.count), r.count, 0U);
    blocks_ += block_bytes(r.count);
  }
  index_.insert(h, id);
  if (several_egresses(id)) enter_shared(id);
  return id;
}

void InstanceGroups::erase(InstanceGroupId id) {
  Record& r = records_[id];
  if (several_egresses(id)) leave_shared(id);
  index_.erase(r.hash, id);
  if (r.count > 1) {
    ::operator delete(r.many);
    blocks_ -= block_bytes(r.count);
  }
  r.count = 0;
  r.hash = free_;
  free_ = id;
}

std::span<const Member> InstanceGroups::members(InstanceGroupId id) const {
  const Record& r = records_[id];
  return {r.count == 1 ? &r.one : r.many, r.count};
}

bool InstanceGroups::several_egresses(InstanceGroupId id) const {
  std::span<const Member> all = members(id);
  return !all.empty() && all.front().egress != all.back().egress;
}

std::span<std::uint32_t> InstanceGroups::weights(InstanceGroupId id) {
  Record& r = records_[id];
  if (r.count <= 1) return {};
  return {reinterpret_cast<std::uint32_t*>(r.many + r.count), r.count};
}

void InstanceGroups::enter_shared(InstanceGroupId id) {
  std::uint32_t last = 0;
  for (const Member& member : members(id)) {
    if (member.egress != last) shared_[member.egress].groups.push_back(id);
    last = member.egress;
  }
}

void InstanceGroups::leave_shared(InstanceGroupId id) {
  std::uint32_t last = 0;
  for (const Member& member : members(id)) {
    if (member.egress == last) continue;
    last = member.egress;
    Shared& shared = shared_[last];
    if (++shared.stale * 2 <= shared.groups.size() + 16) continue;
    // This one is still a member: taken out here, so that it cannot come back as another group.
    shared.groups.erase(std::remove(shared.groups.begin(), shared.groups.end(), id),
                        shared.groups.end());
    clean(last, shared);
    if (shared.groups.empty()) shared_.erase(last);
  }
}

bool InstanceGroups::holds(InstanceGroupId id, std::uint32_t egress) const {
  if (!several_egresses(id)) return false;
  std::span<const Member> all = members(id);
  auto at = std::lower_bound(all.begin(), all.end(), egress,
                             [](const Member& m, std::uint32_t e) { return m.egress < e; });
  return at != all.end() && at->egress == egress;
}

void InstanceGroups::clean(std::uint32_t egress, Shared& shared) const {
  auto& groups = shared.groups;
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  groups.erase(std::remove_if(groups.begin(), groups.end(),
                              [&](InstanceGroupId id) { return !holds(id, egress); }),
               groups.end());
  if (groups.capacity() > 2 * groups.size() + 16) groups.shrink_to_fit();
  shared.stale = 0;
}

const std::vector<InstanceGroupId>& InstanceGroups::with_egress(std::uint32_t egress) {
  static const std::vector<InstanceGroupId> none;
  auto it = shared_.find(egress);
  if (it == shared_.end()) return none;
  if (it->second.stale != 0) clean(egress, it->second);
  return it->second.groups;
}

std::size_t InstanceGroups::shared_bytes() const {
  std::size_t out = shared_.bucket_count() * sizeof(void*);
  for (const auto& [egress, shared] : shared_) {
    out += 64 + shared.groups.capacity() * sizeof(InstanceGroupId);
  }
  return out;
}

}  // namespace dmsc::routing
