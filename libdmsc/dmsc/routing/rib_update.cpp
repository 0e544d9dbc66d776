// A fragment's new version by difference, and hints at those to come: the way of nearly every
// prefix change, so it asks the heap for nothing of its own.
#include <algorithm>

#include "dmsc/routing/rib_impl.hpp"

namespace dmsc::routing {

// Notes which prefixes of the version before stay. False if a place is not there, or named twice.
bool Rib::Impl::keep_places(const Fragment& fragment, std::span<const std::uint16_t> layout) {
  scratch.kept.assign(fragment.prefixes.size(), 0);
  for (std::uint16_t place : layout) {
    if (place == kFresh) continue;
    if (place >= scratch.kept.size() || scratch.kept[place] != 0) return false;
    scratch.kept[place] = 1;
  }
  return true;
}

// The fragment's prefixes as `layout` says, in scratch.next. False if one would be there twice.
bool Rib::Impl::lay_out(const Fragment& fragment, std::span<const std::uint16_t> layout,
                        std::span<const wire::PrefixEntry> fresh) {
  const std::vector<PrefixId>& old = fragment.prefixes;
  scratch.next.clear();
  scratch.fresh_was.clear();
  if (!keep_places(fragment, layout)) return false;
  for (std::uint16_t place : layout) {
    if (place != kFresh) {
      scratch.next.push_back(old[place]);
      continue;
    }
    std::size_t used = scratch.fresh_was.size();
    if (used == fresh.size() || fresh[used].name.empty()) return false;
    PrefixId id = prefixes.intern(fresh[used].name.text());
    scratch.next.push_back(id);
    auto was = static_cast<std::size_t>(std::find(old.begin(), old.end(), id) - old.begin());
    bool there = was < old.size();
    if (there && scratch.kept[was] != 0) return false;
    if (there) scratch.kept[was] = 1;  // so a second entry of that name is noticed
    scratch.fresh_was.push_back(there ? static_cast<std::uint16_t>(was) : kFresh);
    if (!there && std::count(scratch.next.begin(), scratch.next.end(), id) != 1) return false;
  }
  return true;
}

// Names that were looked at and came to nothing.
void Rib::Impl::forget_unused() {
  for (PrefixId id : scratch.next) {
    if (prefixes.group(id) == kNoInstanceGroup) unannounced.push_back(id);
  }
  std::sort(unannounced.begin(), unannounced.end());
  unannounced.erase(std::unique(unannounced.begin(), unannounced.end()), unannounced.end());
  for (PrefixId id : unannounced) prefixes.erase(id);
  unannounced.clear();
}

bool Rib::update_fragment(NodeId origin, std::uint16_t number,
                          std::span<const std::uint16_t> layout,
                          std::span<const wire::PrefixEntry> fresh) {
  if (!origin || origin.value > kMaxNodeId) return false;
  Impl& rib = *impl_;
  Impl::Scratch& scratch = rib.scratch;
  Impl::Fragment& fragment = rib.fragment_of(origin.value, number);
  if (!rib.lay_out(fragment, layout, fresh)) {
    rib.forget_unused();
    rib.drop_if_empty(origin.value, number);
    return false;
  }
  scratch.old.assign(fragment.prefixes.begin(), fragment.prefixes.end());
  if (scratch.next.size() > fragment.prefixes.capacity()) {
    fragment.prefixes = std::vector<Impl::PrefixId>(scratch.next);  // no more room than it takes
  } else {
    fragment.prefixes.assign(scratch.next.begin(), scratch.next.end());
  }
  std::size_t used = 0;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (layout[i] != kFresh) continue;
    scratch.piece.clear();
    Impl::append_members(fresh[used], origin, scratch.piece);
    Impl::unite(scratch.piece);
    bool was_there = scratch.fresh_was[used++] != kFresh;
    rib.announce(scratch.next[i], origin.value, number, was_there, scratch.piece);
  }
  for (std::size_t i = 0; i < scratch.old.size(); ++i) {
    if (scratch.kept[i] == 0) rib.withdraw(scratch.old[i], origin.value, number);
  }
  if (layout.empty()) rib.drop_if_empty(origin.value, number);
  rib.finish();
  return true;
}

void Rib::foresee_origin(NodeId origin) const { __builtin_prefetch(impl_->origins.find(origin)); }

void Rib::foresee_fragment(NodeId origin, std::uint16_t number) const {
  const Impl::Origin* all = impl_->origins.find(origin);
  if (all == nullptr || all->empty()) return;
  __builtin_prefetch(all->data() + std::min<std::size_t>(number, all->size() - 1));
}

void Rib::foresee_prefixes(NodeId origin, std::uint16_t number) const {
  const Impl::Fragment* fragment = Impl::find(impl_->origins.find(origin), number);
  if (fragment == nullptr) return;
  auto begin = reinterpret_cast<const char*>(fragment->prefixes.data());
  for (std::size_t at = 0; at < fragment->prefixes.size() * sizeof(Impl::PrefixId); at += 64) {
    __builtin_prefetch(begin + at);
  }
}

// Each step for all changes before the next: what one step reads, the one before has asked for.
void Rib::foresee(std::span<const Foreseen> changes) {
  Impl& rib = *impl_;
  Impl::Scratch& scratch = rib.scratch;
  scratch.next.clear();
  scratch.names.clear();
  for (const Foreseen& change : changes) {
    for (const wire::PrefixEntry& entry : change.fresh) {
      rib.prefixes.prefetch(std::string_view(entry.name.text()));
      scratch.names.push_back(entry.name.text());
      scratch.piece.clear();
      Impl::append_members(entry, change.origin, scratch.piece);
      rib.groups.prefetch(std::span<const Member>(scratch.piece));
    }
    const Impl::Fragment* fragment = Impl::find(rib.origins.find(change.origin), change.fragment);
    for (std::uint16_t place : change.gone) {
      if (fragment == nullptr || place >= fragment->prefixes.size()) continue;
      scratch.next.push_back(fragment->prefixes[place]);
      rib.prefixes.prefetch(scratch.next.back());
    }
  }
  for (Impl::PrefixId id : scratch.next) {
    rib.prefixes.prefetch_parts(id);
    InstanceGroupId group = rib.prefixes.group(id);
    if (group != kNoInstanceGroup) rib.groups.prefetch(group);
  }
  for (Impl::PrefixId id : scratch.next) {
    InstanceGroupId group = rib.prefixes.group(id);
    if (group == kNoInstanceGroup) continue;  // not there any more: its name is not either
    rib.groups.prefetch_parts(group);
    scratch.names.push_back(rib.prefixes.name(id));
  }
  rib.sink.foresee(scratch.names);
}

}  // namespace dmsc::routing
