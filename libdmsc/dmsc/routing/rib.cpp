#include "dmsc/routing/rib.hpp"

#include <algorithm>
#include <cstring>

#include "dmsc/routing/rib_impl.hpp"

namespace dmsc::routing {
namespace {

std::uint64_t seed_of(const NameKey& key) {
  std::uint64_t seed;
  std::memcpy(&seed, key.data() + 8, sizeof seed);
  return seed;
}

}  // namespace

Rib::Impl::Impl(NodeId node, RibSink& to, unsigned percent, const NameKey& key)
    : self(node), sink(to), tier_percent(percent), prefixes(key), groups(seed_of(key)) {}

Rib::Rib(NodeId self, RibSink& sink, unsigned tier_percent, const NameKey& key)
    : impl_(std::make_unique<Impl>(self, sink, tier_percent, key)) {}
Rib::~Rib() = default;

RibRoute Rib::Impl::route(PrefixId prefix) const {
  RibRoute out;
  out.prefix = std::move(Name::parse(prefixes.name(prefix))).value();
  InstanceGroupId group = prefixes.group(prefix);
  choose(
      groups.members(group), policy(groups.policy(group)), tier_percent,
      [this](NodeId node) { return distance(node); }, out);
  return out;
}

std::optional<RibRoute> Rib::find(const Name& prefix) const {
  Impl::PrefixId id = impl_->prefixes.find(prefix.text());
  if (id == PrefixTable::kNone) return std::nullopt;
  return impl_->route(id);
}

std::optional<RibRoute> Rib::match(const Name& name) const {
  std::uint8_t ends[kMaxNameComponents];
  std::string_view text = name.text();
  for (std::size_t i = text.empty() ? 0 : component_ends(text, ends); i-- > 0;) {
    Impl::PrefixId id = impl_->prefixes.find(text.substr(0, ends[i]));
    if (id == PrefixTable::kNone) continue;
    std::span<const Member> members = impl_->groups.members(impl_->prefixes.group(id));
    if (any_covering(members) || ends[i] == text.size()) return impl_->route(id);
  }
  return std::nullopt;
}

std::vector<RibRoute> Rib::routes() const {
  std::vector<Impl::PrefixId> ids;
  ids.reserve(impl_->prefixes.size());
  impl_->prefixes.for_each([&](Impl::PrefixId id) { ids.push_back(id); });
  std::sort(ids.begin(), ids.end(), [this](Impl::PrefixId a, Impl::PrefixId b) {
    return impl_->prefixes.name(a) < impl_->prefixes.name(b);
  });
  std::vector<RibRoute> out;
  out.reserve(ids.size());
  for (Impl::PrefixId id : ids) out.push_back(impl_->route(id));
  return out;
}

void Rib::for_each_prefix(const std::function<void(std::string_view, bool)>& visit) const {
  impl_->prefixes.for_each([&](Impl::PrefixId id) {
    std::span<const Member> members = impl_->groups.members(impl_->prefixes.group(id));
    visit(impl_->prefixes.name(id), any_covering(members));
  });
}

std::vector<std::uint16_t> Rib::fragments(NodeId origin, const Name& prefix) const {
  std::vector<std::uint16_t> out;
  Impl::PrefixId id = impl_->prefixes.find(prefix.text());
  const Impl::Origin* all = impl_->origins.find(origin);
  if (id == PrefixTable::kNone || all == nullptr) return out;
  for (const Impl::Fragment& f : *all) {
    if (f.has(id)) out.push_back(f.number);
  }
  return out;
}

std::vector<NodeId> Rib::origins(const Name& prefix) const {
  std::vector<NodeId> out;
  Impl::PrefixId id = impl_->prefixes.find(prefix.text());
  if (id == PrefixTable::kNone) return out;
  for (const Member& m : impl_->groups.members(impl_->prefixes.group(id))) {
    if (out.empty() || out.back().value != m.egress) out.push_back(NodeId{m.egress});
  }
  return out;
}

std::size_t Rib::prefix_count() const { return impl_->prefixes.size(); }
std::size_t Rib::group_count() const { return impl_->groups.size(); }

RibMemory Rib::memory() const {
  RibMemory out;
  out.names = impl_->prefixes.name_bytes();
  out.prefixes = impl_->prefixes.bytes();
  out.groups = impl_->groups.bytes();
  out.origins = impl_->origins.bytes();
  impl_->origins.for_each([&](NodeId, const Impl::Origin& fragments) {
    out.origins += fragments.capacity() * sizeof(Impl::Fragment);
    for (const auto& f : fragments) out.origins += f.prefixes.capacity() * sizeof(std::uint32_t);
  });
  out.destinations = impl_->reach.capacity() * sizeof(Impl::Reach);
  for (const Impl::Ways& ways : impl_->ways) {
    out.destinations += sizeof ways + ways.group.next_hops.capacity() * sizeof(FirstHop);
  }
  return out;
}

}  // namespace dmsc::routing
