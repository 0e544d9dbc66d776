// What the new version of a fragment changes, and finding that out for many LSAs at a time.
#include <algorithm>

#include "dmsc/routing/prefix_keeper.hpp"

namespace dmsc::routing {
namespace {

constexpr std::size_t kLine = 64;  // of the cache, in bytes

void prefetch(const void* begin, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kLine) {
    __builtin_prefetch(static_cast<const char*>(begin) + at);
  }
}

}  // namespace

// For each new hash the place of the same old one, which serves once; Rib::kFresh if there is none.
// What both versions begin and end with is most of them.
void PrefixKeeper::match_entries(const Fragment& fragment, Difference& out) {
  const std::vector<std::uint64_t>&was = fragment.hashes, &is = out.hashes;
  std::size_t both = std::min(was.size(), is.size()), front = 0, back = 0;
  while (front < both && was[front] == is[front]) ++front;
  while (back < both - front && was[was.size() - 1 - back] == is[is.size() - 1 - back]) ++back;
  out.layout.assign(is.size(), Rib::kFresh);
  for (std::size_t i = 0; i < front; ++i) out.layout[i] = static_cast<std::uint16_t>(i);
  for (std::size_t i = 1; i <= back; ++i) {
    out.layout[is.size() - i] = static_cast<std::uint16_t>(was.size() - i);
  }
  auto& left = unmatched_;
  left.clear();
  for (std::size_t i = front; i < was.size() - back; ++i) {
    left.emplace_back(was[i], static_cast<std::uint16_t>(i));
  }
  std::sort(left.begin(), left.end());
  for (std::size_t i = front; i < is.size() - back && !left.empty(); ++i) {
    auto at = std::lower_bound(left.begin(), left.end(), std::pair(is[i], std::uint16_t{0}));
    if (at == left.end() || at->first != is[i]) continue;
    out.layout[i] = at->second;
    left.erase(at);
  }
  out.gone.clear();
  for (const auto& [hash, place] : left) out.gone.push_back(place);
}

// False if the new version cannot be taken entry by entry.
bool PrefixKeeper::compare(const Fragment& fragment, ByteView body, Difference& out) {
  out.hashes.clear();
  out.fresh.clear();
  raw_entries_.clear();
  if (!hash_entries(body, out.hashes, raw_entries_)) return false;
  match_entries(fragment, out);
  for (std::size_t i = 0; i < out.layout.size(); ++i) {
    if (out.layout[i] != Rib::kFresh) continue;
    auto decoded = wire::decode_prefix_body(raw_entries_[i]);
    if (!decoded) return false;
    out.fresh.push_back(std::move(decoded->entries.front()));
  }
  return true;
}

// Step by step, each for all LSAs before the next: what one reads, the one before has asked for.
void PrefixKeeper::look_ahead(std::span<const wire::LsaPtr> lsas) const {
  for (const wire::LsaPtr& lsa : lsas) prefetch(lsa.get(), sizeof(wire::Lsa));
  for (const wire::LsaPtr& lsa : lsas) {
    __builtin_prefetch(origins_.find(lsa->key.origin));
    rib_.foresee_origin(lsa->key.origin);
    prefetch(lsa->raw.data(), lsa->raw.size());
  }
  for (const wire::LsaPtr& lsa : lsas) {
    rib_.foresee_fragment(lsa->key.origin, lsa->key.fragment);
    __builtin_prefetch(trust_.identity(lsa->key.origin));
    const Origin* origin = origins_.find(lsa->key.origin);
    if (origin == nullptr || origin->fragments.empty()) continue;
    std::size_t at = std::min<std::size_t>(lsa->key.fragment, origin->fragments.size() - 1);
    __builtin_prefetch(origin->fragments.data() + at);
  }
  for (const wire::LsaPtr& lsa : lsas) {
    rib_.foresee_prefixes(lsa->key.origin, lsa->key.fragment);
    const std::vector<wire::Grant>& grants = trust_.grants_of(lsa->key.origin);
    prefetch(grants.data(), grants.empty() ? 0 : sizeof(wire::Grant));
    if (const Fragment* held = find(lsa->key.origin, lsa->key.fragment)) {
      prefetch(held->hashes.data(), held->hashes.size() * sizeof held->hashes[0]);
    }
  }
}

void PrefixKeeper::foresee(std::span<const wire::LsaPtr> lsas) {
  constexpr std::size_t kAtOnce = 64;  // more would push each other out of the cache
  forget_prospects();
  lsas = lsas.first(std::min(lsas.size(), kAtOnce));
  look_ahead(lsas);
  prospects_.resize(std::max(prospects_.size(), lsas.size()));
  hints_.clear();
  for (const wire::LsaPtr& lsa : lsas) {
    if (lsa->key.type != wire::LsaType::prefix) continue;
    const Fragment* held = find(lsa->key.origin, lsa->key.fragment);
    if (held == nullptr || held->hashes.empty()) continue;
    Prospect& prospect = prospects_[foreseen_];
    if (!compare(*held, lsa->body(), prospect.difference)) continue;
    prospect.lsa = lsa;
    prospect.fragment = held;
    ++foreseen_;
    hints_.push_back({lsa->key.origin, lsa->key.fragment, prospect.difference.gone,
                      prospect.difference.fresh});
  }
  rib_.foresee(hints_);
}

// What was found out about the LSA ahead, if that still holds.
PrefixKeeper::Prospect* PrefixKeeper::prospect(const wire::Lsa& lsa) {
  for (std::size_t i = next_prospect_; i < foreseen_; ++i) {
    if (prospects_[i].lsa.get() != &lsa) continue;
    next_prospect_ = i + 1;
    prospects_[i].lsa.reset();
    return &prospects_[i];
  }
  return nullptr;
}

void PrefixKeeper::forget_prospects() {
  for (std::size_t i = 0; i < foreseen_; ++i) prospects_[i].lsa.reset();
  foreseen_ = next_prospect_ = 0;
}

}  // namespace dmsc::routing
