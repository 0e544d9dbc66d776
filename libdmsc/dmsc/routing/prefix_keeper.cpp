#include "dmsc/routing/prefix_keeper.hpp"

#include <algorithm>

#include "dmsc/trust/announcer.hpp"
#include "dmsc/wire/tlv.hpp"

namespace dmsc::routing {
namespace {

void cut_instances(wire::PrefixEntry& entry, const wire::DomainParameters& limits) {
  if (entry.instances.size() > limits.max_instances_per_prefix) {
    entry.instances.resize(limits.max_instances_per_prefix);
  }
}

// For each new hash the place of the same old one, which serves once; Rib::kFresh if there is none.
std::vector<std::uint16_t> match_entries(const std::vector<std::uint64_t>& old_hashes,
                                         const std::vector<std::uint64_t>& new_hashes) {
  std::vector<std::uint16_t> layout(new_hashes.size(), Rib::kFresh);
  std::vector<std::pair<std::uint64_t, std::uint16_t>> left;  // old ones not at the same place
  std::size_t both = std::min(old_hashes.size(), new_hashes.size());
  for (std::size_t i = 0; i < old_hashes.size(); ++i) {
    if (i < both && old_hashes[i] == new_hashes[i]) {
      layout[i] = static_cast<std::uint16_t>(i);
    } else {
      left.emplace_back(old_hashes[i], static_cast<std::uint16_t>(i));
    }
  }
  std::sort(left.begin(), left.end());
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (layout[i] != Rib::kFresh) continue;
    auto at =
        std::lower_bound(left.begin(), left.end(), std::pair(new_hashes[i], std::uint16_t{0}));
    if (at == left.end() || at->first != new_hashes[i]) continue;
    layout[i] = at->second;
    left.erase(at);
  }
  return layout;
}

}  // namespace

std::vector<PrefixKeeper::Fragment>::iterator PrefixKeeper::find(Origin& origin,
                                                                 std::uint16_t number) {
  return std::lower_bound(origin.fragments.begin(), origin.fragments.end(), number,
                          [](const Fragment& f, std::uint16_t n) { return f.number < n; });
}

void PrefixKeeper::count(Origin& origin, const Fragment& fragment, bool add) {
  std::size_t sign = add ? 1 : ~std::size_t{0};  // modulo 2^64
  counts_.lsas += sign;
  counts_.entries += sign * fragment.entries;
  counts_.used += sign * fragment.admitted;
  origin.refused += sign * (std::size_t{fragment.entries} - fragment.admitted);
}

wire::LsaPtr PrefixKeeper::read(NodeId id, const Fragment& fragment) const {
  return read_({id, wire::LsaType::prefix, fragment.number});
}

void PrefixKeeper::installed(DomainTime now, const wire::Lsa& lsa) {
  NodeId id = lsa.key.origin;
  Origin& origin = origins_[id];
  auto at = find(origin, lsa.key.fragment);
  if (at == origin.fragments.end() || at->number != lsa.key.fragment) {
    Fragment fresh;
    fresh.number = lsa.key.fragment;
    at = origin.fragments.insert(at, std::move(fresh));
    count(origin, *at, true);
  }
  if (!at->hashes.empty() && apply_difference(id, origin, *at, lsa.body(), now)) return;
  apply(id, origin, *at, lsa.body(), now);
}

void PrefixKeeper::removed(DomainTime now, const wire::LsaKey& key) {
  auto it = origins_.find(key.origin);
  if (it == origins_.end()) return;
  Origin& origin = it->second;
  auto at = find(origin, key.fragment);
  if (at == origin.fragments.end() || at->number != key.fragment) return;
  bool over = origin.usable > trust_.parameters().max_prefixes_per_node;
  rib_.set_fragment(key.origin, key.fragment, {});
  origin.usable -= at->usable;
  count(origin, *at, false);
  origin.fragments.erase(at);
  if (over) share_out(key.origin, origin, now);
  if (!origin.fragments.empty()) return;
  forget_end(key.origin, origin);
  origins_.erase(it);
}

// What the fragment says and the origin may: counts it, tells nobody.
PrefixKeeper::Entries PrefixKeeper::usable_entries(NodeId id, Origin& origin, Fragment& fragment,
                                                   ByteView raw, DomainTime now) {
  auto body = wire::decode_prefix_body(raw);
  Entries said, out;
  if (body) said = std::move(body->entries);
  fragment.entries = static_cast<std::uint16_t>(said.size());
  trust::Announcer announcer(trust_, id, now);
  DomainTime until;
  out.reserve(said.size());
  for (wire::PrefixEntry& entry : said) {
    if (!announcer.allowed(entry.name, entry.covering)) continue;
    if (until == DomainTime{} || announcer.until() < until) until = announcer.until();
    cut_instances(entry, trust_.parameters());
    out.push_back(std::move(entry));
  }
  work_.decided += said.size();
  work_.checks += announcer.checks();
  if (until != DomainTime{}) ends(id, origin, until);
  origin.usable += out.size();
  origin.usable -= fragment.usable;
  fragment.usable = static_cast<std::uint16_t>(out.size());
  return out;
}

void PrefixKeeper::put(NodeId id, Fragment& fragment, ByteView body, Entries entries,
                       std::size_t admitted) {
  entries.resize(std::min(entries.size(), admitted));
  std::size_t held = rib_.set_fragment(id, fragment.number, entries);
  fragment.admitted = static_cast<std::uint16_t>(entries.size());
  std::vector<ByteView> raw;
  fragment.hashes.clear();
  bool plain = held == fragment.entries && held == fragment.admitted;
  if (!plain || !hash_entries(body, fragment.hashes, raw)) fragment.hashes.clear();
  fragment.hashes.shrink_to_fit();
}

void PrefixKeeper::apply(NodeId id, Origin& origin, Fragment& fragment, ByteView body,
                         DomainTime now) {
  ++work_.whole;
  std::size_t limit = trust_.parameters().max_prefixes_per_node;
  bool over = origin.usable > limit;
  count(origin, fragment, false);
  Entries entries = usable_entries(id, origin, fragment, body, now);
  if (over || origin.usable > limit) {
    fragment.admitted = 0xffff;  // whatever it gets, it is put anew
    count(origin, fragment, true);
    return share_out(id, origin, now);
  }
  put(id, fragment, body, std::move(entries), limit);
  count(origin, fragment, true);
}

// The domain's limit counts usable entries in the order of fragments, and of the entries in them:
// so it cuts alike at every node. Fragments whose share stays are left alone.
void PrefixKeeper::share_out(NodeId id, Origin& origin, DomainTime now) {
  std::size_t left = trust_.parameters().max_prefixes_per_node;
  for (Fragment& fragment : origin.fragments) {
    std::size_t share = std::min<std::size_t>(left, fragment.usable);
    if (share != fragment.admitted) {
      wire::LsaPtr lsa = read(id, fragment);
      ByteView body = lsa ? lsa->body() : ByteView{};
      count(origin, fragment, false);
      put(id, fragment, body, usable_entries(id, origin, fragment, body, now), share);
      count(origin, fragment, true);
    }
    left -= fragment.admitted;
  }
}

// A hash of each entry, and its TLV. False if the chain is broken.
bool PrefixKeeper::hash_entries(ByteView body, std::vector<std::uint64_t>& hashes,
                                std::vector<ByteView>& entries) const {
  wire::TlvReader tlvs(body);
  while (tlvs.next()) {
    if (tlvs.type() != wire::kPrefixEntryTlv) continue;
    ByteView value = tlvs.value();
    hashes.push_back(hasher_(as_text(value)));
    entries.push_back({value.data() - wire::kTlvHeaderBytes, value.size() + wire::kTlvHeaderBytes});
  }
  return tlvs.ok();
}

// The change between two versions of a fragment all of whose entries are in the RIB, and will be.
// False, with nothing done, if that does not hold.
bool PrefixKeeper::apply_difference(NodeId id, Origin& origin, Fragment& fragment, ByteView body,
                                    DomainTime now) {
  std::vector<std::uint64_t> hashes;
  std::vector<ByteView> entries;
  if (!hash_entries(body, hashes, entries)) return false;
  if (hashes == fragment.hashes) return true;
  std::size_t usable = origin.usable + hashes.size() - fragment.entries;
  if (usable > trust_.parameters().max_prefixes_per_node) return false;
  std::vector<std::uint16_t> layout = match_entries(fragment.hashes, hashes);
  trust::Announcer announcer(trust_, id, now);
  DomainTime until = origin.until;
  Entries fresh;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (layout[i] != Rib::kFresh) continue;
    auto decoded = wire::decode_prefix_body(entries[i]);
    if (!decoded) return false;
    wire::PrefixEntry& entry = decoded->entries.front();
    if (!announcer.allowed(entry.name, entry.covering)) return false;
    if (until == DomainTime{} || announcer.until() < until) until = announcer.until();
    cut_instances(entry, trust_.parameters());
    fresh.push_back(std::move(entry));
  }
  if (!rib_.update_fragment(id, fragment.number, layout, fresh)) return false;
  ++work_.differences;
  work_.decided += fresh.size();
  work_.checks += announcer.checks();
  if (until != origin.until) ends(id, origin, until);
  count(origin, fragment, false);
  origin.usable = usable;
  fragment.entries = fragment.usable = fragment.admitted =
      static_cast<std::uint16_t>(hashes.size());
  hashes.shrink_to_fit();
  fragment.hashes = std::move(hashes);
  count(origin, fragment, true);
  return true;
}

void PrefixKeeper::reconsider(NodeId id, Origin& origin, DomainTime now) {
  forget_end(id, origin);
  for (Fragment& fragment : origin.fragments) {
    if (wire::LsaPtr lsa = read(id, fragment)) apply(id, origin, fragment, lsa->body(), now);
  }
  if (origin.usable > trust_.parameters().max_prefixes_per_node) share_out(id, origin, now);
}

void PrefixKeeper::reconsider(DomainTime now, NodeId id) {
  auto it = origins_.find(id);
  if (it != origins_.end()) reconsider(id, it->second, now);
}

void PrefixKeeper::reconsider(DomainTime now) {
  for (auto& [id, origin] : origins_) reconsider(id, origin, now);
}

void PrefixKeeper::end_grants(DomainTime now) {
  while (!expiry_.empty() && expiry_.begin()->first < now) {
    reconsider(now, NodeId(expiry_.begin()->second));
  }
}

DomainTime PrefixKeeper::next_expiry() const {
  return expiry_.empty() ? DomainTime{} : expiry_.begin()->first;
}

// No later than now known.
void PrefixKeeper::ends(NodeId id, Origin& origin, DomainTime until) {
  if (origin.until != DomainTime{} && origin.until <= until) return;
  forget_end(id, origin);
  origin.until = until;
  expiry_.insert({until, id});
}

void PrefixKeeper::forget_end(NodeId id, Origin& origin) {
  if (origin.until != DomainTime{}) expiry_.erase({origin.until, id});
  origin.until = DomainTime{};
}

std::size_t PrefixKeeper::bytes() const {
  std::size_t out = 0;
  for (const auto& [id, origin] : origins_) {
    out += sizeof(Origin) + 64 + origin.fragments.capacity() * sizeof(Fragment);
    for (const Fragment& f : origin.fragments) out += f.hashes.capacity() * sizeof(std::uint64_t);
  }
  return out;
}

// For `explain`: what is used is found by the RIB; only fragments with refused entries are
// searched.
std::vector<PrefixKeeper::Announcement> PrefixKeeper::announcements(const Name& name,
                                                                    DomainTime now) const {
  std::vector<Announcement> out;
  for (NodeId id : rib_.origins(name)) {
    for (std::uint16_t number : rib_.fragments(id, name)) {
      wire::LsaPtr lsa = read_({id, wire::LsaType::prefix, number});
      auto body = wire::decode_prefix_body(lsa ? lsa->body() : ByteView{});
      if (!body) continue;
      for (wire::PrefixEntry& entry : body->entries) {
        if (entry.name == name) out.push_back({id, lsa, std::move(entry), ""});
      }
    }
  }
  for (const auto& [id, origin] : origins_) {
    if (origin.refused == 0) continue;
    std::vector<std::uint16_t> used = rib_.fragments(id, name);
    for (const Fragment& fragment : origin.fragments) {
      if (fragment.entries == fragment.admitted) continue;
      if (!std::binary_search(used.begin(), used.end(), fragment.number)) {
        add_refused(id, fragment, name, now, out);
      }
    }
  }
  return out;
}

void PrefixKeeper::add_refused(NodeId id, const Fragment& fragment, const Name& name,
                               DomainTime now, std::vector<Announcement>& out) const {
  wire::LsaPtr lsa = read(id, fragment);
  if (!lsa || as_text(lsa->body()).find(name.text()) == std::string_view::npos) return;
  auto body = wire::decode_prefix_body(lsa->body());
  if (!body) return;
  for (wire::PrefixEntry& entry : body->entries) {
    if (entry.name != name) continue;
    trust::Announcer announcer(trust_, id, now);
    std::string why = announcer.allowed(name, entry.covering)
                          ? "over the domain's limit of prefixes per node"
                          : trust_.may_announce(id, name, entry.covering, now).reason;
    out.push_back({id, lsa, std::move(entry), why});
  }
}

}  // namespace dmsc::routing
