#include "dmsc/forwarding/fib.hpp"

#include <algorithm>

#include "dmsc/forwarding/bucket_table.hpp"
#include "dmsc/forwarding/fib_parts.hpp"
#include "dmsc/forwarding/name_hash.hpp"
#include "dmsc/forwarding/prefix_filter.hpp"
#include "dmsc/forwarding/withdrawn_names.hpp"

namespace dmsc::forwarding {
namespace {

using LinkSet = std::vector<std::uint32_t>;  // sorted
using PathSet = std::vector<PathUse>;        // longest prefix first

bool covers(std::string_view prefix, std::string_view name) {
  return name.substr(0, prefix.size()) == prefix &&
         (name.size() == prefix.size() || name[prefix.size()] == '/');
}

std::size_t depth_of(std::string_view prefix) {
  return 1 + static_cast<std::size_t>(std::count(prefix.begin(), prefix.end(), '/'));
}

std::size_t group_bytes(std::size_t instances) {
  return heap_bytes(sizeof(InstanceGroup) + instances * sizeof(InstanceEntry));
}

std::size_t next_hops_bytes(const NextHopGroup& group) {
  return heap_bytes(sizeof(NextHopGroup) + group.next_hops().size_bytes());
}

}  // namespace

struct Fib::Impl {
  Impl(const crypto::Key16& k, Reclaimer& r)
      : key(k), hasher(k), reclaimer(r), names(r), below(r), withdrawn(r), labels(r) {}

  std::uint64_t label_hash(PathLabel label) const {
    char raw[4];
    std::memcpy(raw, &label.value, sizeof raw);
    return hasher(std::string_view(raw, sizeof raw));
  }
  // Before a reader can find the prefix.
  void add_depth(std::size_t depth, std::uint64_t hash, const InstanceGroup& group) {
    exact.add(depth);
    if (!group.covering()) return;
    covering.add(depth);
    below.add(hash, [this](auto add) {
      names.for_each([&](const PrefixCell& cell) {
        if (cell.group.load(std::memory_order_relaxed)->covering()) add(cell.hash);
      });
    });
  }
  // When no reader can find it any more.
  void remove_depth(std::size_t depth, std::uint64_t hash, const InstanceGroup& group) {
    exact.remove(depth);
    if (!group.covering()) return;
    covering.remove(depth);
    below.remove(hash);
  }
  template <class T>
  void retire_object(const T* object) {
    if (object != nullptr) reclaimer.retire([object] { delete object; });
  }
  void retire_group(InstanceGroup* group) {
    held.groups -= group_bytes(group->instances().size());
    reclaimer.retire([group] { ::operator delete(group); });
  }
  void retire_next_hops(NextHopGroup* group) {
    held.nodes -= next_hops_bytes(*group);
    reclaimer.retire([group] { ::operator delete(group); });
  }

  // Which component counts can serve a name of `n` components; bit i is depth i + 1.
  std::uint32_t wanted(std::size_t n) const {
    std::uint32_t at_n = 1U << n;
    return ((exact.mask() & at_n) | (covering.mask() & (at_n - 1))) >> 1;
  }

  void prepare(std::string_view name, LookUp& out) const {
    out.name = name;
    out.wanted = out.hashed = 0;
    if (name.empty() || name.size() > kMaxNameBytes) return;
    out.count = component_ends(name, out.ends);
    if (out.ends[out.count - 1] != name.size()) return;  // more components than a name can have
    out.wanted = wanted(out.count);
    if (__builtin_popcount(out.wanted) > kFewDepths) ask_filter(out);
  }

  // A name of many components, which whoever chose it may have made to miss at each: what lies at which of its depths
  // is asked of the filter, all at a time.
  void ask_filter(LookUp& look_up) const {
    hasher.prefixes(look_up.name, look_up.ends, look_up.count, look_up.wanted, look_up.hashes);
    look_up.hashed = look_up.wanted;
    const std::uint32_t whole = 1U << (look_up.count - 1);
    std::uint32_t possible = look_up.wanted & whole;
    for (std::uint32_t left = look_up.wanted & (whole - 1); left != 0; left &= left - 1) {
      const auto i = static_cast<std::size_t>(__builtin_ctz(left));
      possible |= static_cast<std::uint32_t>(below.may_hold(look_up.hashes[i])) << i;
    }
    look_up.wanted = possible;
  }

  // Gives up the depths of each look-up that its buckets tell to be empty, longest first, and fetches what the
  // others will find. Each round looks at one bucket a look-up, fetched in the round before: so most names cost
  // the memory one bucket and one cell, however many of their beginnings could match.
  void narrow(std::span<LookUp> look_ups) const {
    LookUp* open[kLookUpsAtOnce];
    std::size_t left = 0;
    for (LookUp& look_up : look_ups) {
      if (look_up.wanted != 0) open[left++] = &look_up;
    }
    while (left > 0) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < left; ++i) {
        LookUp& look_up = *open[i];
        if (!names.absent(look_up.longest(hasher))) {
          names.prefetch_entry(look_up.longest(hasher));
          continue;
        }
        look_up.give_up_longest();
        if (look_up.wanted == 0) continue;
        names.prefetch(look_up.longest(hasher));
        open[kept++] = &look_up;
      }
      left = kept;
    }
  }

  Match match(LookUp& look_up) const {
    Match found;
    look_up.for_each_depth([&](std::size_t i) {
      std::string_view text = look_up.head(i);
      PrefixCell* hit =
          names.find(look_up.hash(i, hasher), [&](const PrefixCell& c) { return c.is(text); });
      if (hit == nullptr) return false;
      const InstanceGroup* group = hit->group.load(std::memory_order_acquire);
      if (i + 1 != look_up.count && !group->covering()) return false;
      found = {group, text};
      return true;
    });
    return found;
  }

  crypto::Key16 key;
  NameHasher<> hasher;
  Reclaimer& reclaimer;
  // Names with more depths to look at than this ask the filter first.
  static constexpr int kFewDepths = 4;
  CellArena* const cells = new CellArena;  // freed by the reclaimer, after what it gives back to it
  BucketTable<PrefixCell> names;
  PrefixFilter below;  // of the prefixes that cover
  WithdrawnNames withdrawn;
  BucketTable<LabelSlot> labels;
  NodeArray nodes;
  std::atomic<std::size_t> node_count = 0;
  DepthMask exact, covering;
  std::atomic<const LinkSet*> dead_links = nullptr;  // nullptr = all alive, the usual case
  std::atomic<const PathSet*> paths = nullptr;       // nullptr = none, the usual case
  FibWork work;
  FibMemory held;  // groups; cells and tables are added when asked
};

Fib::Fib(const crypto::Key16& key, Reclaimer& reclaimer)
    : impl_(std::make_unique<Impl>(key, reclaimer)) {}

// Groups go with the last prefix that points at them; whoever made one has dropped it by now.
Fib::~Fib() {
  impl_->names.for_each([this](PrefixCell& cell) {
    InstanceGroup* group = cell.group.load();
    if (--group->users_ == 0) ::operator delete(group);
    PrefixCell::destroy(*impl_->cells, &cell);
  });
  impl_->nodes.for_each([this](NodeId node, const NodeRoute&) {
    NextHopGroup* ways = impl_->nodes.exchange(node.value, nullptr, 0);
    if (--ways->users_ == 0) ::operator delete(ways);
  });
  impl_->labels.for_each([](LabelSlot& slot) { delete &slot; });
  delete impl_->dead_links.load();
  delete impl_->paths.load();
  impl_->reclaimer.retire([cells = impl_->cells] { delete cells; });
}

InstanceGroup* Fib::add_group(bool covering, std::span<const InstanceEntry> instances) {
  ++impl_->work.groups;
  impl_->held.groups += group_bytes(instances.size());
  void* block = ::operator new(sizeof(InstanceGroup) + instances.size_bytes());
  auto* group = new (block) InstanceGroup;
  group->count_ = static_cast<std::uint32_t>(instances.size()) & 0x7fffffffU;
  group->covering_ = covering ? 1 : 0;
  std::uninitialized_copy(instances.begin(), instances.end(), group->entries());
  return group;
}

void Fib::set_weights(InstanceGroup& group, std::span<const std::uint32_t> weights) {
  ++impl_->work.weights;
  std::size_t n = std::min<std::size_t>(weights.size(), group.count_);
  for (std::size_t i = 0; i < n; ++i) group.entries()[i].weight.set(weights[i]);
}

void Fib::drop_group(InstanceGroup* group) {
  if (group != nullptr && --group->users_ == 0) impl_->retire_group(group);
}

void Fib::set_prefix(std::string_view prefix, InstanceGroup& group) {
  std::size_t depth = depth_of(prefix);
  if (prefix.empty() || prefix.size() > kMaxNameBytes || depth > kMaxNameComponents) return;
  ++impl_->work.prefixes;
  ++group.users_;
  std::uint64_t hash = impl_->hasher(prefix);
  impl_->add_depth(depth, hash, group);
  PrefixCell* held = impl_->names.find(hash, [&](const PrefixCell& c) { return c.is(prefix); });
  if (held == nullptr) {
    impl_->names.insert(PrefixCell::make(*impl_->cells, hash, &group, prefix));
    return;
  }
  InstanceGroup* old = held->group.exchange(&group, std::memory_order_acq_rel);
  impl_->remove_depth(depth, hash, *old);
  drop_group(old);
}

void Fib::set_prefix(const PrefixRoute& route) {
  InstanceGroup* group = add_group(route.covering, route.instances);
  set_prefix(route.prefix.text(), *group);
  drop_group(group);
}

void Fib::remove_prefix(std::string_view prefix) {
  PrefixCell* old =
      impl_->names.erase(impl_->hasher(prefix), [&](const PrefixCell& c) { return c.is(prefix); });
  if (old == nullptr) return;
  ++impl_->work.prefixes;
  InstanceGroup* group = old->group.load(std::memory_order_relaxed);
  impl_->remove_depth(depth_of(prefix), old->hash, *group);
  impl_->withdrawn.add(old->hash, group->covering());
  impl_->reclaimer.retire([old, cells = impl_->cells] { PrefixCell::destroy(*cells, old); });
  drop_group(group);
}

void Fib::foresee(std::span<const std::string_view> prefixes) const {
  constexpr std::size_t kBatch = 64;
  std::uint64_t hashes[kBatch];
  for (std::size_t from = 0; from < prefixes.size(); from += kBatch) {
    std::size_t n = std::min(kBatch, prefixes.size() - from);
    for (std::size_t i = 0; i < n; ++i) {
      hashes[i] = impl_->hasher(prefixes[from + i]);
      impl_->names.prefetch(hashes[i]);
    }
    for (std::size_t i = 0; i < n; ++i) impl_->names.prefetch_entry(hashes[i]);
    for (std::size_t i = 0; i < n; ++i) {
      const PrefixCell* cell = impl_->names.peek(hashes[i]);
      if (cell != nullptr) __builtin_prefetch(cell->group.load(std::memory_order_relaxed));
    }
  }
}

NextHopGroup* Fib::add_next_hops(std::span<const NextHop> next_hops,
                                 const std::optional<NextHop>& alternate) {
  ++impl_->work.next_hops;
  void* block = ::operator new(sizeof(NextHopGroup) + next_hops.size_bytes());
  auto* group = new (block) NextHopGroup;
  group->count_ = static_cast<std::uint32_t>(next_hops.size());
  group->alternate_ = alternate;
  std::uninitialized_copy(next_hops.begin(), next_hops.end(), reinterpret_cast<NextHop*>(group + 1));
  impl_->held.nodes += next_hops_bytes(*group);
  return group;
}

void Fib::drop_next_hops(NextHopGroup* group) {
  if (group != nullptr && --group->users_ == 0) impl_->retire_next_hops(group);
}

void Fib::set_node(NodeId node, std::uint32_t distance, NextHopGroup& ways) {
  if (!node || node.value > kMaxNodeId) return;
  ++impl_->work.nodes;
  ++ways.users_;
  NextHopGroup* old = impl_->nodes.exchange(node.value, &ways, distance);
  if (old == nullptr) impl_->node_count.fetch_add(1, std::memory_order_relaxed);
  drop_next_hops(old);
}

void Fib::set_node(NodeId node, const NodeWays& route) {
  NextHopGroup* ways = add_next_hops(route.next_hops, route.alternate);
  set_node(node, route.distance, *ways);
  drop_next_hops(ways);
}

void Fib::remove_node(NodeId node) {
  if (node.value > kMaxNodeId) return;
  NextHopGroup* old = impl_->nodes.exchange(node.value, nullptr, 0);
  if (old == nullptr) return;
  ++impl_->work.nodes;
  impl_->node_count.fetch_sub(1, std::memory_order_relaxed);
  drop_next_hops(old);
}

void Fib::set_label(LabelEntry entry) {
  PathLabel label = entry.label;
  if (!label) return;
  ++impl_->work.labels;
  auto* slot = new LabelSlot{impl_->label_hash(label), std::move(entry)};
  const LabelSlot* old =
      impl_->labels.replace(slot, [&](const LabelSlot& s) { return s.entry.label == label; });
  if (old == nullptr) impl_->labels.insert(slot);
  impl_->retire_object(old);
}

void Fib::remove_label(PathLabel label) {
  impl_->retire_object<LabelSlot>(impl_->labels.erase(
      impl_->label_hash(label), [&](const LabelSlot& s) { return s.entry.label == label; }));
}

void Fib::set_paths(std::vector<PathUse> paths) {
  std::sort(paths.begin(), paths.end(), [](const PathUse& a, const PathUse& b) {
    return a.prefix.text().size() > b.prefix.text().size();
  });
  const PathSet* next = paths.empty() ? nullptr : new PathSet(std::move(paths));
  impl_->retire_object(impl_->paths.exchange(next, std::memory_order_acq_rel));
}

void Fib::set_link_alive(std::uint32_t link, bool alive) {
  if (link_alive(link) == alive) return;
  ++impl_->work.links;
  const LinkSet* old = impl_->dead_links.load(std::memory_order_relaxed);
  auto next = std::make_unique<LinkSet>(old != nullptr ? *old : LinkSet{});
  auto at = std::lower_bound(next->begin(), next->end(), link);
  if (alive) {
    next->erase(at);
  } else {
    next->insert(at, link);
  }
  const LinkSet* published = next->empty() ? nullptr : next.release();
  impl_->dead_links.store(published, std::memory_order_release);
  impl_->retire_object(old);
}

Match Fib::match(std::string_view name) const {
  LookUp look_up;
  impl_->prepare(name, look_up);
  return impl_->match(look_up);
}

void Fib::match_batch(std::span<const std::string_view> names, std::span<Match> out) const {
  LookUp look_ups[kLookUpsAtOnce];
  for (std::size_t from = 0; from < names.size(); from += kLookUpsAtOnce) {
    std::size_t n = std::min(kLookUpsAtOnce, names.size() - from);
    for (std::size_t i = 0; i < n; ++i) {
      impl_->prepare(names[from + i], look_ups[i]);
      if (look_ups[i].wanted != 0) impl_->names.prefetch(look_ups[i].longest(impl_->hasher));
    }
    impl_->narrow({look_ups, n});
    for (std::size_t i = 0; i < n; ++i) out[from + i] = impl_->match(look_ups[i]);
  }
}

Match Fib::find(std::string_view prefix) const {
  if (prefix.empty() || prefix.size() > kMaxNameBytes) return {};
  PrefixCell* hit =
      impl_->names.find(impl_->hasher(prefix), [&](const PrefixCell& c) { return c.is(prefix); });
  if (hit == nullptr) return {};
  return {hit->group.load(std::memory_order_acquire), prefix};
}

NodeRoute Fib::node(NodeId node) const { return impl_->nodes.get(node.value); }

const LabelEntry* Fib::label(PathLabel label) const {
  const LabelSlot* slot = impl_->labels.find(
      impl_->label_hash(label), [&](const LabelSlot& s) { return s.entry.label == label; });
  return slot == nullptr ? nullptr : &slot->entry;
}

PathLabel Fib::path_label(NodeId egress, std::string_view destination) const {
  const PathSet* paths = impl_->paths.load(std::memory_order_acquire);
  if (paths == nullptr) return {};
  for (const PathUse& use : *paths) {
    if (use.egress == egress && covers(use.prefix.text(), destination)) return use.label;
  }
  return {};
}

bool Fib::link_alive(std::uint32_t link) const {
  const LinkSet* dead = impl_->dead_links.load(std::memory_order_acquire);
  return dead == nullptr || !std::binary_search(dead->begin(), dead->end(), link);
}

bool Fib::withdrawn(std::string_view name) const {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  std::uint8_t ends[kMaxNameComponents];
  std::uint64_t hashes[kMaxNameComponents];
  std::size_t count = component_ends(name, ends);
  if (ends[count - 1] != name.size()) return false;  // more components than a name can have
  impl_->hasher.prefixes(name, ends, count, (1U << count) - 1, hashes);
  for (std::size_t i = count; i-- > 0;) {
    if (impl_->withdrawn.holds(hashes[i], i + 1 != count)) return true;
  }
  return false;
}

void Fib::age_withdrawn() { impl_->withdrawn.turn(); }

std::size_t Fib::prefix_count() const { return impl_->names.size(); }
std::size_t Fib::node_count() const { return impl_->node_count.load(std::memory_order_relaxed); }
std::size_t Fib::label_count() const { return impl_->labels.size(); }

const crypto::Key16& Fib::key() const { return impl_->key; }
const FibWork& Fib::work() const { return impl_->work; }

FibMemory Fib::memory() const {
  FibMemory out = impl_->held;
  out.prefixes += impl_->cells->bytes() + impl_->names.bytes() + impl_->below.bytes() + impl_->withdrawn.bytes();
  out.nodes += impl_->nodes.bytes();
  return out;
}

void Fib::for_each_prefix(
    const std::function<void(std::string_view, const InstanceGroup&)>& visit) const {
  std::vector<const PrefixCell*> cells;
  cells.reserve(prefix_count());
  impl_->names.for_each([&](PrefixCell& cell) { cells.push_back(&cell); });
  std::sort(cells.begin(), cells.end(),
            [](const auto* a, const auto* b) { return a->text() < b->text(); });
  for (const PrefixCell* cell : cells) visit(cell->text(), *cell->group.load());
}

void Fib::for_each_node(const std::function<void(NodeId, const NodeRoute&)>& visit) const {
  impl_->nodes.for_each(visit);
}

void Fib::for_each_label(const std::function<void(const LabelEntry&)>& visit) const {
  std::vector<const LabelEntry*> entries;
  impl_->labels.for_each([&](LabelSlot& slot) { entries.push_back(&slot.entry); });
  std::sort(entries.begin(), entries.end(),
            [](const auto* a, const auto* b) { return a->label < b->label; });
  for (const LabelEntry* entry : entries) visit(*entry);
}

}  // namespace dmsc::forwarding
