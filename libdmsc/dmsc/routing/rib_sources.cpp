// What origins announce, fragment by fragment, and how that makes up the instances of a prefix.
#include <algorithm>

#include "dmsc/routing/rib_impl.hpp"

namespace dmsc::routing {
using Members = std::vector<Member>;

// What an entry says, in the order of before(). The first of several of one id counts.
void Rib::Impl::append_members(const wire::PrefixEntry& entry, NodeId origin, Members& out) {
  Member m;
  m.egress = origin.value & 0x7fffffffU;
  m.covering = entry.covering ? 1 : 0;
  if (entry.instances.empty()) out.push_back(m);
  for (const wire::PrefixInstance& i : entry.instances) {
    m.id = i.id.value;
    m.capacity = i.capacity;
    out.push_back(m);
  }
}

// Several things said by one origin of one prefix, the first said first: instances are united, and
// if one of them covers, all do.
void Rib::Impl::unite(Members& members) {
  if (members.size() < 2) return;
  bool covering = any_covering(members);  // before repeated instances go
  std::stable_sort(members.begin(), members.end(), before);
  auto same = [](const Member& a, const Member& b) { return !before(a, b) && !before(b, a); };
  members.erase(std::unique(members.begin(), members.end(), same), members.end());
  if (members.size() > 1 && members.front().id == 0) members.erase(members.begin());
  for (Member& m : members) m.covering = covering ? 1 : 0;
}

// Most often fragments are numbered without a gap.
const Rib::Impl::Fragment* Rib::Impl::find(const Origin* origin, std::uint16_t number) {
  if (origin == nullptr) return nullptr;
  if (number < origin->size() && (*origin)[number].number == number) return &(*origin)[number];
  auto at = std::lower_bound(origin->begin(), origin->end(), number,
                             [](const Fragment& f, std::uint16_t n) { return f.number < n; });
  return at != origin->end() && at->number == number ? &*at : nullptr;
}

Rib::Impl::Fragment& Rib::Impl::fragment_of(std::uint32_t origin, std::uint16_t number) {
  Origin& all = origins[NodeId{origin}];
  if (const Fragment* there = find(&all, number)) return const_cast<Fragment&>(*there);
  auto at = std::lower_bound(all.begin(), all.end(), number,
                             [](const Fragment& f, std::uint16_t n) { return f.number < n; });
  return *all.insert(at, Fragment{number, {}});
}

void Rib::Impl::drop_if_empty(std::uint32_t origin, std::uint16_t number) {
  Origin& all = origins[NodeId{origin}];
  all.erase(
      std::remove_if(all.begin(), all.end(),
                     [&](const Fragment& f) { return f.number == number && f.prefixes.empty(); }),
      all.end());
  if (all.empty()) all.shrink_to_fit();
}

// The origin's members of the prefix become `piece`, those of other origins stay.
void Rib::Impl::replace_members(PrefixId prefix, std::uint32_t origin,
                                std::span<const Member> piece) {
  InstanceGroupId group = prefixes.group(prefix);
  Members& all = scratch.members;
  all.clear();
  if (group != kNoInstanceGroup) {
    std::span<const Member> now = groups.members(group);
    auto begin = std::partition_point(now.begin(), now.end(),
                                      [&](const Member& m) { return m.egress < origin; });
    auto end =
        std::partition_point(begin, now.end(), [&](const Member& m) { return m.egress == origin; });
    if (std::equal(begin, end, piece.begin(), piece.end())) return;
    all.assign(now.begin(), begin);
    all.insert(all.end(), piece.begin(), piece.end());
    all.insert(all.end(), end, now.end());
  } else {
    all.assign(piece.begin(), piece.end());
  }
  if (!all.empty()) return route_to(prefix, all, policy_of(prefix));
  if (group == kNoInstanceGroup) return;
  released.push_back(group);
  groups.release(group);
  prefixes.group(prefix) = kNoInstanceGroup;
  unannounced.push_back(prefix);
}

// `fragment` says something of a prefix that another one spoke of alone so far.
void Rib::Impl::remember_other_fragment(PrefixId prefix, std::uint32_t origin,
                                        std::uint16_t fragment) {
  Members said;
  for (const Member& m : groups.members(prefixes.group(prefix))) {
    if (m.egress == origin) said.push_back(m);
  }
  for (const Fragment& other : origins[NodeId{origin}]) {
    if (other.number != fragment && other.has(prefix)) {
      repeats[{prefix, origin}].push_back({other.number, std::move(said)});
      return;
    }
  }
}

void Rib::Impl::set_repeat(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment,
                           const Members& piece) {
  auto it = repeats.find({prefix, origin});
  std::vector<Repeat>& all = it->second;
  auto at =
      std::find_if(all.begin(), all.end(), [&](const Repeat& r) { return r.fragment >= fragment; });
  bool there = at != all.end() && at->fragment == fragment;
  if (piece.empty()) {
    if (there) all.erase(at);
  } else if (there) {
    at->members = piece;
  } else {
    all.insert(at, {fragment, piece});
  }
  Members united;
  for (const Repeat& r : all) united.insert(united.end(), r.members.begin(), r.members.end());
  if (all.size() < 2) repeats.erase(it);
  unite(united);
  replace_members(prefix, origin, united);
}

// `was_there`: the fragment held the prefix before.
void Rib::Impl::announce(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment,
                         bool was_there, const Members& piece) {
  bool repeated = !repeats.empty() && repeats.count({prefix, origin}) != 0;
  InstanceGroupId group = prefixes.group(prefix);
  if (!repeated && !was_there && group != kNoInstanceGroup) {
    std::span<const Member> now = groups.members(group);
    auto at = std::partition_point(now.begin(), now.end(),
                                   [&](const Member& m) { return m.egress < origin; });
    if (at != now.end() && at->egress == origin) {
      remember_other_fragment(prefix, origin, fragment);
      repeated = true;
    }
  }
  if (repeated) {
    set_repeat(prefix, origin, fragment, piece);
  } else {
    replace_members(prefix, origin, piece);
  }
}

void Rib::Impl::withdraw(PrefixId prefix, std::uint32_t origin, std::uint16_t fragment) {
  if (!repeats.empty() && repeats.count({prefix, origin}) != 0) {
    set_repeat(prefix, origin, fragment, {});
  } else {
    replace_members(prefix, origin, {});
  }
}

// Removals come last: no route points at a group when it goes.
void Rib::Impl::finish() {
  std::sort(unannounced.begin(), unannounced.end());
  unannounced.erase(std::unique(unannounced.begin(), unannounced.end()), unannounced.end());
  for (PrefixId prefix : unannounced) {
    if (prefixes.group(prefix) != kNoInstanceGroup) continue;  // announced again in the same change
    sink.route_removed(prefixes.name(prefix));
    prefixes.erase(prefix);
  }
  unannounced.clear();
  for (InstanceGroupId group : released) {
    if (!groups.unused(group)) continue;
    sink.group_removed(group);
    groups.erase(group);
  }
  released.clear();
}

// The entries by prefix, those of one name next to each other in the order given. `order`: their
// prefixes in that order, or sorted if one comes twice.
Rib::Impl::Given Rib::Impl::by_prefix(std::span<const wire::PrefixEntry> entries,
                                      std::vector<PrefixId>& order) {
  Given given;
  given.reserve(entries.size());
  order.reserve(entries.size());
  for (const wire::PrefixEntry& entry : entries) {
    if (entry.name.empty()) continue;
    given.emplace_back(prefixes.intern(entry.name.text()), &entry);
    order.push_back(given.back().first);
  }
  std::stable_sort(given.begin(), given.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (std::adjacent_find(given.begin(), given.end(), same) != given.end()) {
    std::sort(order.begin(), order.end());
    order.erase(std::unique(order.begin(), order.end()), order.end());
  }
  order.shrink_to_fit();
  return given;
}

std::size_t Rib::set_fragment(NodeId origin, std::uint16_t number,
                              std::span<const wire::PrefixEntry> entries) {
  if (!origin || origin.value > kMaxNodeId) return 0;
  Impl& rib = *impl_;
  std::vector<Impl::PrefixId> next;
  Impl::Given given = rib.by_prefix(entries, next);
  Impl::Fragment& fragment = rib.fragment_of(origin.value, number);
  std::vector<Impl::PrefixId> old = std::exchange(fragment.prefixes, {});
  std::sort(old.begin(), old.end());
  for (std::size_t i = 0; i < given.size();) {
    Impl::PrefixId prefix = given[i].first;
    Members& piece = rib.scratch.piece;
    piece.clear();
    for (; i < given.size() && given[i].first == prefix; ++i) {
      Impl::append_members(*given[i].second, origin, piece);
    }
    Impl::unite(piece);
    bool was_there = std::binary_search(old.begin(), old.end(), prefix);
    rib.announce(prefix, origin.value, number, was_there, piece);
  }
  auto by_id = [](const auto& item, Impl::PrefixId id) { return item.first < id; };
  for (Impl::PrefixId prefix : old) {
    auto at = std::lower_bound(given.begin(), given.end(), prefix, by_id);
    if (at == given.end() || at->first != prefix) rib.withdraw(prefix, origin.value, number);
  }
  std::size_t count = next.size();
  fragment.prefixes = std::move(next);
  if (count == 0) rib.drop_if_empty(origin.value, number);
  rib.finish();
  return count;
}

void Rib::set_prefixes(NodeId origin, std::span<const wire::PrefixEntry> entries) {
  std::vector<std::uint16_t> others;
  if (const Impl::Origin* all = impl_->origins.find(origin)) {
    for (const Impl::Fragment& f : *all) {
      if (f.number != 0) others.push_back(f.number);
    }
  }
  set_fragment(origin, 0, entries);
  for (std::uint16_t number : others) set_fragment(origin, number, {});
}

}  // namespace dmsc::routing
