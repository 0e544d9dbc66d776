#include "dmsc/routing/rib.hpp"

#include <algorithm>
#include <unordered_map>

#include "dmsc/routing/tiers.hpp"

namespace dmsc::routing {
namespace {

struct Entry {
  RibRoute route;
  std::vector<Source> sources;  // by origin
  bool published = false;
};

bool by_name(const Entry* a, const Entry* b) { return a->route.prefix < b->route.prefix; }

// Entries of the same name are one, with the instances of both.
std::vector<wire::PrefixEntry> sorted_and_united(std::vector<wire::PrefixEntry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.name < b.name; });
  std::vector<wire::PrefixEntry> out;
  for (wire::PrefixEntry& entry : entries) {
    if (entry.name.empty()) continue;
    if (out.empty() || out.back().name != entry.name) {
      out.push_back(std::move(entry));
      continue;
    }
    out.back().covering = out.back().covering || entry.covering;
    auto& into = out.back().instances;
    into.insert(into.end(), entry.instances.begin(), entry.instances.end());
  }
  for (wire::PrefixEntry& entry : out) {
    auto& list = entry.instances;
    std::stable_sort(list.begin(), list.end(),
                     [](const auto& a, const auto& b) { return a.id < b.id; });
    auto same = [](const auto& a, const auto& b) { return a.id == b.id; };
    list.erase(std::unique(list.begin(), list.end(), same), list.end());
  }
  return out;
}

}  // namespace

struct Rib::Impl {
  Impl(NodeId node, RibSink& to, unsigned percent) : self(node), sink(to), tier_percent(percent) {}

  std::uint32_t distance(NodeId node) const {
    if (node == self) return 0;
    return node.value < destinations.size() ? destinations[node.value].distance : kUnreachable;
  }

  Entry& entry_of(const Name& name) {
    auto [it, added] = entries.try_emplace(name);
    if (added) it->second.route.prefix = name;
    return it->second;
  }

  // Computes the route anew and tells the sink if that made a difference.
  void refresh(Entry& entry) {
    auto policy = policies.find(entry.route.prefix);
    RibRoute next = make_route(entry.route.prefix, entry.sources,
                               policy == policies.end() ? nullptr : &policy->second, tier_percent,
                               [this](NodeId node) { return distance(node); });
    if (entry.published && next == entry.route) return;
    entry.route = std::move(next);
    entry.published = true;
    sink.route_changed(entry.route);
  }

  void refresh_all(std::vector<Entry*>& touched) {
    std::sort(touched.begin(), touched.end(), by_name);
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (Entry* entry : touched) refresh(*entry);
  }

  // Distances of a route of one egress are not kept up to date by set_spf: they are read here.
  void update_distances(Entry& entry) const {
    if (entry.sources.size() != 1) return;
    for (InstanceChoice& c : entry.route.choices) c.distance = distance(c.instance.egress);
  }

  bool put_source(Entry& entry, NodeId origin, const wire::PrefixEntry& from);
  void drop_source(Entry& entry, NodeId origin);
  void mark_shared(Entry& entry, bool shared);
  void collect(NodeId origin, bool reachability, std::vector<Entry*>& touched);

  NodeId self;
  RibSink& sink;
  unsigned tier_percent;
  std::uint64_t spf_runs = 0;
  std::unordered_map<Name, Entry> entries;
  struct Origin {
    std::vector<Entry*> entries;              // by name
    std::unordered_map<Entry*, bool> shared;  // those with more than one origin
  };
  std::map<NodeId, Origin> origins;
  std::unordered_map<Name, WeightPolicy> policies;
  std::vector<Destination> destinations;  // by node id; kUnreachable = absent
};

Rib::Rib(NodeId self, RibSink& sink, unsigned tier_percent)
    : impl_(std::make_unique<Impl>(self, sink, tier_percent)) {}
Rib::~Rib() = default;

void Rib::Impl::mark_shared(Entry& entry, bool shared) {
  for (const Source& source : entry.sources) {
    if (shared) {
      origins[source.origin].shared.emplace(&entry, true);
    } else {
      origins[source.origin].shared.erase(&entry);
    }
  }
}

// True if that origin's part of the prefix is new or another than before.
bool Rib::Impl::put_source(Entry& entry, NodeId origin, const wire::PrefixEntry& from) {
  Source next{origin, from.covering, from.instances};
  auto at = std::lower_bound(entry.sources.begin(), entry.sources.end(), next,
                             [](const auto& a, const auto& b) { return a.origin < b.origin; });
  if (at != entry.sources.end() && at->origin == origin) {
    if (*at == next) return false;
    *at = std::move(next);
    return true;
  }
  entry.sources.insert(at, std::move(next));
  if (entry.sources.size() > 1) mark_shared(entry, true);
  return true;
}

void Rib::Impl::drop_source(Entry& entry, NodeId origin) {
  auto at = std::find_if(entry.sources.begin(), entry.sources.end(),
                         [&](const Source& s) { return s.origin == origin; });
  if (at == entry.sources.end()) return;
  entry.sources.erase(at);
  origins[origin].shared.erase(&entry);
  if (entry.sources.size() == 1) mark_shared(entry, false);
}

void Rib::set_prefixes(NodeId origin, std::vector<wire::PrefixEntry> given) {
  std::vector<wire::PrefixEntry> next = sorted_and_united(std::move(given));
  std::vector<Entry*> held = std::move(impl_->origins[origin].entries), now, touched;
  auto old = held.begin();
  auto drop = [&](Entry* entry) {
    impl_->drop_source(*entry, origin);
    touched.push_back(entry);
  };
  for (const wire::PrefixEntry& entry : next) {
    while (old != held.end() && (*old)->route.prefix < entry.name) drop(*old++);
    if (old != held.end() && (*old)->route.prefix == entry.name) ++old;
    Entry& target = impl_->entry_of(entry.name);
    if (impl_->put_source(target, origin, entry)) touched.push_back(&target);
    now.push_back(&target);
  }
  while (old != held.end()) drop(*old++);
  if (now.empty()) {
    impl_->origins.erase(origin);
  } else {
    impl_->origins[origin].entries = std::move(now);
  }
  auto gone = std::stable_partition(touched.begin(), touched.end(),
                                    [](Entry* entry) { return !entry->sources.empty(); });
  std::vector<Entry*> removed(gone, touched.end());
  touched.erase(gone, touched.end());
  impl_->refresh_all(touched);
  for (Entry* entry : removed) {
    Name name = entry->route.prefix;
    impl_->entries.erase(name);
    impl_->sink.route_removed(name);
  }
}

// What has to be computed anew when the distance of `origin` changed: all of its prefixes if it can
// be reached now and could not before or the other way round, else those with another origin too.
void Rib::Impl::collect(NodeId origin, bool reachability, std::vector<Entry*>& touched) {
  auto it = origins.find(origin);
  if (it == origins.end()) return;
  if (reachability) {
    touched.insert(touched.end(), it->second.entries.begin(), it->second.entries.end());
  } else {
    for (const auto& [entry, shared] : it->second.shared) touched.push_back(entry);
  }
}

void Rib::set_spf(const Topology& topology, SpfResult result) {
  ++impl_->spf_runs;
  std::vector<Destination> next(impl_->destinations.size());
  auto slot = [&](NodeId id) -> Destination& {
    if (id.value >= next.size()) next.resize(id.value + 1);
    return next[id.value];
  };
  for (std::uint32_t i = 0; i < result.destinations.size(); ++i) {
    if (result.destinations[i].distance == kUnreachable) continue;
    slot(topology.node(i)) = std::move(result.destinations[i]);
  }
  slot(impl_->self) = Destination{0, {}, std::nullopt, Protection::none};
  std::vector<Destination> was = std::exchange(impl_->destinations, std::move(next));
  was.resize(impl_->destinations.size());
  std::vector<Entry*> touched;
  std::vector<NodeId> lost;
  for (std::uint32_t id = 0; id < was.size(); ++id) {
    const Destination &a = was[id], &b = impl_->destinations[id];
    if (a == b) continue;
    bool reachability = (a.distance == kUnreachable) != (b.distance == kUnreachable);
    if (a.distance != b.distance) impl_->collect(NodeId{id}, reachability, touched);
    if (b.distance == kUnreachable) {
      lost.push_back(NodeId{id});
    } else {
      impl_->sink.destination_changed(NodeId{id}, b);
    }
  }
  impl_->refresh_all(touched);
  for (NodeId id : lost) impl_->sink.destination_removed(id);
}

void Rib::set_weights(const WeightPolicy& policy) {
  auto [it, added] = impl_->policies.try_emplace(policy.prefix, policy);
  if (!added && policy.version < it->second.version) return;
  it->second = policy;
  auto entry = impl_->entries.find(policy.prefix);
  if (entry != impl_->entries.end()) impl_->refresh(entry->second);
}

void Rib::clear_weights(const Name& prefix) {
  if (impl_->policies.erase(prefix) == 0) return;
  auto entry = impl_->entries.find(prefix);
  if (entry != impl_->entries.end()) impl_->refresh(entry->second);
}

const RibRoute* Rib::find(const Name& prefix) const {
  auto it = impl_->entries.find(prefix);
  if (it == impl_->entries.end()) return nullptr;
  impl_->update_distances(it->second);
  return &it->second.route;
}

const RibRoute* Rib::match(const Name& name) const {
  for (Name at = name; !at.empty(); at = at.parent()) {
    const RibRoute* route = find(at);
    if (route != nullptr && (route->covering || at == name)) return route;
  }
  return nullptr;
}

std::vector<RibRoute> Rib::routes() const {
  std::vector<RibRoute> out;
  out.reserve(impl_->entries.size());
  for (auto& [name, entry] : impl_->entries) {
    impl_->update_distances(entry);
    out.push_back(entry.route);
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
  return out;
}

const Destination* Rib::destination(NodeId node) const {
  if (node.value >= impl_->destinations.size()) return nullptr;
  const Destination& d = impl_->destinations[node.value];
  return d.distance == kUnreachable ? nullptr : &d;
}

std::uint64_t Rib::spf_runs() const { return impl_->spf_runs; }

}  // namespace dmsc::routing
