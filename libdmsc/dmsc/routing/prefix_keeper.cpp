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

}  // namespace

std::vector<PrefixKeeper::Fragment>::iterator PrefixKeeper::find(Origin& origin,
                                                                 std::uint16_t number) {
  std::vector<Fragment>& all = origin.fragments;
  if (number < all.size() && all[number].number == number) return all.begin() + number;
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

const PrefixKeeper::Fragment* PrefixKeeper::find(NodeId id, std::uint16_t number) const {
  const Origin* origin = origins_.find(id);
  if (origin == nullptr) return nullptr;
  auto at = find(const_cast<Origin&>(*origin), number);
  return at != origin->fragments.end() && at->number == number ? &*at : nullptr;
}

wire::LsaPtr PrefixKeeper::read(NodeId id, const Fragment& fragment) const {
  return read_({id, wire::LsaType::prefix, fragment.number});
}

void PrefixKeeper::installed(DomainTime now, const wire::Lsa& lsa) {
  NodeId id = lsa.key.origin;
  if (!id || id.value > kMaxNodeId) return;
  Origin& origin = origins_[id];
  auto at = find(origin, lsa.key.fragment);
  if (at == origin.fragments.end() || at->number != lsa.key.fragment) {
    Fragment fresh;
    fresh.number = lsa.key.fragment;
    forget_prospects();  // they point at fragments
    at = origin.fragments.insert(at, std::move(fresh));
    count(origin, *at, true);
  }
  Difference* difference = nullptr;
  if (Prospect* foreseen = prospect(lsa)) {
    difference = &foreseen->difference;
  } else if (!at->hashes.empty() && compare(*at, lsa.body(), difference_)) {
    difference = &difference_;
  }
  if (difference == nullptr || !apply_difference(id, origin, *at, *difference, now)) {
    apply(id, origin, *at, lsa.body(), now);
  }
  tell_if_over(id, origin);
}

// How many prefixes of one origin are taken: with the action `warn` all of them.
std::size_t PrefixKeeper::limit() const {
  const wire::DomainParameters& limits = trust_.parameters();
  bool warn = limits.action(wire::Limit::prefixes) == wire::LimitAction::warn;
  return warn ? ~std::size_t{0} : limits.max_prefixes_per_node;
}

void PrefixKeeper::tell_if_over(NodeId id, const Origin& origin) const {
  if (over_limit_ && origin.usable > trust_.parameters().max_prefixes_per_node) {
    over_limit_(id, origin.usable);
  }
}

void PrefixKeeper::removed(DomainTime now, const wire::LsaKey& key) {
  Origin* held = origins_.find(key.origin);
  if (held == nullptr) return;
  Origin& origin = *held;
  auto at = find(origin, key.fragment);
  if (at == origin.fragments.end() || at->number != key.fragment) return;
  forget_prospects();
  bool over = origin.usable > limit();
  rib_.set_fragment(key.origin, key.fragment, {});
  origin.usable -= at->usable;
  count(origin, *at, false);
  origin.fragments.erase(at);
  if (over) share_out(key.origin, origin, now);
  if (!origin.fragments.empty()) return;
  forget_end(key.origin, origin);
  origin = {};
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
  forget_prospects();
  ++work_.whole;
  bool over = origin.usable > limit();
  count(origin, fragment, false);
  Entries entries = usable_entries(id, origin, fragment, body, now);
  if (over || origin.usable > limit()) {
    fragment.admitted = 0xffff;  // whatever it gets, it is put anew
    count(origin, fragment, true);
    return share_out(id, origin, now);
  }
  put(id, fragment, body, std::move(entries), limit());
  count(origin, fragment, true);
}

// The domain's limit counts usable entries in the order of fragments, and of the entries in them:
// so it cuts alike at every node. Fragments whose share stays are left alone.
void PrefixKeeper::share_out(NodeId id, Origin& origin, DomainTime now) {
  forget_prospects();
  std::size_t left = limit();
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
// False, with nothing done, if that does not hold. Uses the difference up.
bool PrefixKeeper::apply_difference(NodeId id, Origin& origin, Fragment& fragment,
                                    Difference& difference, DomainTime now) {
  const std::vector<std::uint64_t>& hashes = difference.hashes;
  if (hashes == fragment.hashes) return true;
  std::size_t usable = origin.usable + hashes.size() - fragment.entries;
  if (usable > limit()) return false;
  trust::Announcer announcer(trust_, id, now);
  DomainTime until = origin.until;
  for (wire::PrefixEntry& entry : difference.fresh) {
    if (!announcer.allowed(entry.name, entry.covering)) return false;
    if (until == DomainTime{} || announcer.until() < until) until = announcer.until();
    cut_instances(entry, trust_.parameters());
  }
  if (!rib_.update_fragment(id, fragment.number, difference.layout, difference.fresh)) return false;
  ++work_.differences;
  work_.decided += difference.fresh.size();
  work_.checks += announcer.checks();
  if (until != origin.until) ends(id, origin, until);
  count(origin, fragment, false);
  origin.usable = usable;
  fragment.entries = fragment.usable = fragment.admitted =
      static_cast<std::uint16_t>(hashes.size());
  if (hashes.size() <= fragment.hashes.capacity()) {
    fragment.hashes.assign(hashes.begin(), hashes.end());
  } else {
    fragment.hashes = std::vector<std::uint64_t>(hashes);  // no more room than it takes
  }
  count(origin, fragment, true);
  for (std::size_t i = next_prospect_; i < foreseen_; ++i) {
    if (prospects_[i].fragment == &fragment) prospects_[i].lsa.reset();  // seen from what was
  }
  return true;
}

void PrefixKeeper::reconsider(NodeId id, Origin& origin, DomainTime now) {
  forget_end(id, origin);
  for (Fragment& fragment : origin.fragments) {
    if (wire::LsaPtr lsa = read(id, fragment)) apply(id, origin, fragment, lsa->body(), now);
  }
  if (origin.usable > limit()) share_out(id, origin, now);
  tell_if_over(id, origin);
}

void PrefixKeeper::reconsider(DomainTime now, NodeId id) {
  if (Origin* origin = origins_.find(id)) reconsider(id, *origin, now);
}

void PrefixKeeper::reconsider(DomainTime now) {
  origins_.for_each([&](NodeId id, Origin& origin) { reconsider(id, origin, now); });
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
  std::size_t out = origins_.bytes();
  origins_.for_each([&](NodeId, const Origin& origin) {
    out += origin.fragments.capacity() * sizeof(Fragment);
    for (const Fragment& f : origin.fragments) out += f.hashes.capacity() * sizeof(std::uint64_t);
  });
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
  origins_.for_each([&](NodeId id, const Origin& origin) {
    if (origin.refused == 0) return;
    std::vector<std::uint16_t> used = rib_.fragments(id, name);
    for (const Fragment& fragment : origin.fragments) {
      if (fragment.entries == fragment.admitted) continue;
      if (!std::binary_search(used.begin(), used.end(), fragment.number)) {
        add_refused(id, fragment, name, now, out);
      }
    }
  });
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
