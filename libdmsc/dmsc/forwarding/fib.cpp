#include "dmsc/forwarding/fib.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <new>

#include "dmsc/forwarding/bucket_table.hpp"
#include "dmsc/forwarding/name_hash.hpp"

namespace dmsc::forwarding {
namespace {

// A prefix in one block of memory, its text first: comparing a name and reading the group touch
// neighbouring cache lines.
class NameEntry {
 public:
  const std::uint64_t hash;

  static NameEntry* make(std::uint64_t hash, InstanceGroup group) {
    std::size_t size = group.prefix.text().size();
    void* block = ::operator new(group_offset(size) + sizeof(InstanceGroup));
    auto* entry = new (block) NameEntry(hash, static_cast<std::uint8_t>(size));
    std::memcpy(entry->base() + sizeof(NameEntry), group.prefix.text().data(), size);
    new (entry->base() + group_offset(size)) InstanceGroup(std::move(group));
    return entry;
  }
  static void destroy(NameEntry* entry) {
    entry->group().~InstanceGroup();
    ::operator delete(entry);
  }
  bool is(std::string_view text) const {
    return text.size() == size_ && std::memcmp(base() + sizeof(NameEntry), text.data(), size_) == 0;
  }
  InstanceGroup& group() {
    return *std::launder(reinterpret_cast<InstanceGroup*>(base() + group_offset(size_)));
  }

 private:
  NameEntry(std::uint64_t h, std::uint8_t size) : hash(h), size_(size) {}
  static std::size_t group_offset(std::size_t text) {
    constexpr std::size_t align = alignof(InstanceGroup);
    return (sizeof(NameEntry) + text + align - 1) / align * align;
  }
  char* base() { return reinterpret_cast<char*>(this); }
  const char* base() const { return reinterpret_cast<const char*>(this); }

  std::uint8_t size_;
};

struct LabelSlot {
  std::uint64_t hash;
  LabelEntry entry;
};

// Pointers by node id, in chunks made on first use and never moved.
class NodeArray {
 public:
  ~NodeArray() {
    for (auto& slot : chunks_) {
      Chunk* chunk = slot.load();
      if (chunk == nullptr) continue;
      for (auto& route : *chunk) delete route.load();
      delete chunk;
    }
  }
  const NodeRoute* get(std::uint32_t id) const {
    if (id > kMaxNodeId) return nullptr;
    const Chunk* chunk = chunks_[id / kChunk].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : (*chunk)[id % kChunk].load(std::memory_order_acquire);
  }
  // Returns what was there.
  const NodeRoute* exchange(std::uint32_t id, const NodeRoute* route) {
    std::atomic<Chunk*>& slot = chunks_[id / kChunk];
    if (slot.load(std::memory_order_relaxed) == nullptr) {
      if (route == nullptr) return nullptr;
      slot.store(new Chunk{}, std::memory_order_release);
    }
    return (*slot.load(std::memory_order_relaxed))[id % kChunk].exchange(route,
                                                                         std::memory_order_acq_rel);
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t id = 0; id <= kMaxNodeId; ++id) {
      if (chunks_[id / kChunk].load() == nullptr) {
        id += kChunk - 1;
      } else if (const NodeRoute* route = get(id)) {
        visit(NodeId{id}, *route);
      }
    }
  }

 private:
  static constexpr std::uint32_t kChunk = 1024;
  using Chunk = std::array<std::atomic<const NodeRoute*>, kChunk>;
  std::array<std::atomic<Chunk*>, kMaxNodeId / kChunk + 1> chunks_ = {};
};

// How many prefixes of each component count there are, and which counts occur at all: depths that
// no prefix has are never looked up.
class DepthMask {
 public:
  void add(std::size_t depth) {
    ++count_[depth];
    mask_.fetch_or(1U << depth, std::memory_order_acq_rel);
  }
  void remove(std::size_t depth) {
    if (--count_[depth] == 0) mask_.fetch_and(~(1U << depth), std::memory_order_acq_rel);
  }
  std::uint32_t mask() const { return mask_.load(std::memory_order_acquire); }

 private:
  std::array<std::size_t, kMaxNameComponents + 1> count_ = {};
  std::atomic<std::uint32_t> mask_ = 0;
};

// One longest match, prepared: where components end, and the hashes of the depths that can serve.
struct LookUp {
  std::string_view name;
  std::size_t count = 0;     // components
  std::uint32_t wanted = 0;  // bit i: the first i + 1 components may match; 0 = nothing can
  std::uint8_t ends[kMaxNameComponents];
  std::uint64_t hashes[kMaxNameComponents];

  std::uint64_t longest() const { return hashes[31 - __builtin_clz(wanted)]; }
  // Calls visit(i), longest first, until it returns true.
  template <class Visit>
  void for_each_depth(Visit visit) const {
    for (std::uint32_t left = wanted; left != 0;) {
      auto i = static_cast<std::size_t>(31 - __builtin_clz(left));
      left &= ~(1U << i);
      if (visit(i)) return;
    }
  }
};

using LinkSet = std::vector<std::uint32_t>;  // sorted
using PathSet = std::vector<PathUse>;        // longest prefix first

bool covers(std::string_view prefix, std::string_view name) {
  return name.substr(0, prefix.size()) == prefix &&
         (name.size() == prefix.size() || name[prefix.size()] == '/');
}

}  // namespace

struct Fib::Impl {
  Impl(const crypto::Key16& key, Reclaimer& r) : hasher(key), reclaimer(r), names(r), labels(r) {}

  std::uint64_t label_hash(PathLabel label) const {
    char raw[4];
    std::memcpy(raw, &label.value, sizeof raw);
    return hasher(std::string_view(raw, sizeof raw));
  }
  void count(const InstanceGroup& group, bool add) {
    std::size_t depth = group.prefix.component_count();
    add ? exact.add(depth) : exact.remove(depth);
    if (group.covering) add ? covering.add(depth) : covering.remove(depth);
  }
  void retire(NameEntry* entry) {
    reclaimer.retire([entry] { NameEntry::destroy(entry); });
  }
  template <class T>
  void retire_object(const T* object) {
    if (object != nullptr) reclaimer.retire([object] { delete object; });
  }
  // Which component counts can serve a name of `n` components; bit i is depth i + 1.
  std::uint32_t wanted(std::size_t n) const {
    std::uint32_t at_n = 1U << n;
    return ((exact.mask() & at_n) | (covering.mask() & (at_n - 1))) >> 1;
  }

  void prepare(std::string_view name, LookUp& out) const {
    out.name = name;
    out.wanted = 0;
    if (name.empty() || name.size() > kMaxNameBytes) return;
    out.count = component_ends(name, out.ends);
    if (out.ends[out.count - 1] != name.size()) return;  // more components than a name can have
    out.wanted = wanted(out.count);
    hasher.prefixes(name, out.ends, out.count, out.wanted, out.hashes);
  }

  const InstanceGroup* match(const LookUp& look_up) const {
    const InstanceGroup* found = nullptr;
    look_up.for_each_depth([&](std::size_t i) {
      std::string_view text = look_up.name.substr(0, look_up.ends[i]);
      NameEntry* hit =
          names.find(look_up.hashes[i], [&](const NameEntry& e) { return e.is(text); });
      if (hit == nullptr || (i + 1 != look_up.count && !hit->group().covering)) return false;
      found = &hit->group();
      return true;
    });
    return found;
  }

  NameHasher<> hasher;
  Reclaimer& reclaimer;
  BucketTable<NameEntry> names;
  BucketTable<LabelSlot> labels;
  NodeArray nodes;
  std::atomic<std::size_t> node_count = 0;
  DepthMask exact, covering;
  std::atomic<const LinkSet*> dead_links = nullptr;  // nullptr = all alive, the usual case
  std::atomic<const PathSet*> paths = nullptr;       // nullptr = none, the usual case
};

Fib::Fib(const crypto::Key16& key, Reclaimer& reclaimer)
    : impl_(std::make_unique<Impl>(key, reclaimer)) {}

Fib::~Fib() {
  impl_->names.for_each([](NameEntry& entry) { NameEntry::destroy(&entry); });
  impl_->labels.for_each([](LabelSlot& slot) { delete &slot; });
  delete impl_->dead_links.load();
  delete impl_->paths.load();
}

void Fib::set_prefix(InstanceGroup group) {
  if (group.prefix.empty()) return;
  group.total_weight = 0;
  for (const InstanceEntry& instance : group.instances) group.total_weight += instance.weight;
  std::uint64_t hash = impl_->hasher(group.prefix.text());
  NameEntry* entry = NameEntry::make(hash, std::move(group));
  impl_->count(entry->group(), true);
  std::string_view text = entry->group().prefix.text();
  NameEntry* old = impl_->names.replace(entry, [&](const NameEntry& e) { return e.is(text); });
  if (old == nullptr) {
    impl_->names.insert(entry);
    return;
  }
  impl_->count(old->group(), false);
  impl_->retire(old);
}

void Fib::remove_prefix(const Name& prefix) {
  const std::string& text = prefix.text();
  NameEntry* old =
      impl_->names.erase(impl_->hasher(text), [&](const NameEntry& e) { return e.is(text); });
  if (old == nullptr) return;
  impl_->count(old->group(), false);
  impl_->retire(old);
}

void Fib::set_node(NodeId node, NodeRoute route) {
  if (!node || node.value > kMaxNodeId) return;
  const NodeRoute* old = impl_->nodes.exchange(node.value, new NodeRoute(std::move(route)));
  if (old == nullptr) impl_->node_count.fetch_add(1, std::memory_order_relaxed);
  impl_->retire_object(old);
}

void Fib::remove_node(NodeId node) {
  if (node.value > kMaxNodeId) return;
  const NodeRoute* old = impl_->nodes.exchange(node.value, nullptr);
  if (old != nullptr) impl_->node_count.fetch_sub(1, std::memory_order_relaxed);
  impl_->retire_object(old);
}

void Fib::set_label(LabelEntry entry) {
  PathLabel label = entry.label;
  if (!label) return;
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

const InstanceGroup* Fib::match(std::string_view name) const {
  LookUp look_up;
  impl_->prepare(name, look_up);
  return impl_->match(look_up);
}

void Fib::match_batch(std::span<const std::string_view> names,
                      std::span<const InstanceGroup*> out) const {
  constexpr std::size_t kBatch = 32;
  LookUp look_ups[kBatch];
  for (std::size_t from = 0; from < names.size(); from += kBatch) {
    std::size_t n = std::min(kBatch, names.size() - from);
    for (std::size_t i = 0; i < n; ++i) {
      impl_->prepare(names[from + i], look_ups[i]);
      look_ups[i].for_each_depth([&](std::size_t d) {
        impl_->names.prefetch(look_ups[i].hashes[d]);
        return false;
      });
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (look_ups[i].wanted != 0) impl_->names.prefetch_entry(look_ups[i].longest());
    }
    for (std::size_t i = 0; i < n; ++i) out[from + i] = impl_->match(look_ups[i]);
  }
}

const InstanceGroup* Fib::find(std::string_view prefix) const {
  if (prefix.empty() || prefix.size() > kMaxNameBytes) return nullptr;
  NameEntry* hit =
      impl_->names.find(impl_->hasher(prefix), [&](const NameEntry& e) { return e.is(prefix); });
  return hit == nullptr ? nullptr : &hit->group();
}

const NodeRoute* Fib::node(NodeId node) const { return impl_->nodes.get(node.value); }

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

std::size_t Fib::prefix_count() const { return impl_->names.size(); }
std::size_t Fib::node_count() const { return impl_->node_count.load(std::memory_order_relaxed); }
std::size_t Fib::label_count() const { return impl_->labels.size(); }

void Fib::for_each_prefix(const std::function<void(const InstanceGroup&)>& visit) const {
  std::vector<const InstanceGroup*> groups;
  groups.reserve(prefix_count());
  impl_->names.for_each([&](NameEntry& entry) { groups.push_back(&entry.group()); });
  std::sort(groups.begin(), groups.end(),
            [](const auto* a, const auto* b) { return a->prefix < b->prefix; });
  for (const InstanceGroup* group : groups) visit(*group);
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
