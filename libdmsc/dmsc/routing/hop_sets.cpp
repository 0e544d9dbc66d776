#include "dmsc/routing/hop_sets.hpp"

#include <algorithm>

namespace dmsc::routing {

HopSets::HopSets() : bits_(1, 0), used_(1, 1), table_(64, kEmpty) {}

std::size_t HopSets::hash(const std::uint64_t* words) const {
  std::uint64_t h = 0;
  for (std::size_t w = 0; w < stride_; ++w) {
    h = (h ^ words[w]) * 0x9e3779b97f4a7c15ULL;
    h ^= h >> 29;
  }
  return static_cast<std::size_t>(h);
}

void HopSets::index(std::uint32_t set) {
  std::size_t mask = table_.size() - 1, at = hash(words(set)) & mask;
  while (table_[at] != kEmpty) at = (at + 1) & mask;
  table_[at] = set;
}

void HopSets::rebuild_index() {
  std::size_t size = 64;
  while (size < 2 * (held_ + 1)) size *= 2;
  table_.assign(size, kEmpty);
  for (std::uint32_t set = 1; set < used_.size(); ++set) {
    if (used_[set] != 0) index(set);
  }
  recent_.fill({});
}

std::uint32_t HopSets::take_number() {
  ++held_;
  ++made_;
  if (!free_.empty()) {
    std::uint32_t set = free_.back();
    free_.pop_back();
    used_[set] = 1;
    return set;
  }
  used_.push_back(1);
  bits_.resize(bits_.size() + stride_);
  return static_cast<std::uint32_t>(used_.size() - 1);
}

std::uint32_t HopSets::intern(const std::uint64_t* given) {
  std::size_t mask = table_.size() - 1, at = hash(given) & mask;
  for (; table_[at] != kEmpty; at = (at + 1) & mask) {
    if (std::equal(given, given + stride_, words(table_[at]))) return table_[at];
  }
  std::uint32_t set = take_number();
  std::copy(given, given + stride_, bits_.begin() + static_cast<std::ptrdiff_t>(set * stride_));
  if (2 * held_ > table_.size()) {
    rebuild_index();
  } else {
    table_[at] = set;
  }
  return set;
}

std::uint32_t HopSets::unite(std::uint32_t a, std::uint32_t b) {
  if (a == b || b == kEmpty) return a;
  if (a == kEmpty) return b;
  if (a > b) std::swap(a, b);
  Merged& known = recent_[(a * 31 + b) % recent_.size()];
  if (known.a == a && known.b == b) return known.set;
  sum_.resize(stride_);
  for (std::size_t w = 0; w < stride_; ++w) sum_[w] = words(a)[w] | words(b)[w];
  std::uint32_t set = intern(sum_.data());
  recent_[(a * 31 + b) % recent_.size()] = {a, b, set};
  return set;
}

// More words per set, keeping all numbers.
void HopSets::widen(std::size_t slots) {
  std::size_t stride = stride_;
  while (stride * 64 < slots) stride *= 2;
  if (stride == stride_) return;
  std::vector<std::uint64_t> wide(used_.size() * stride, 0);
  for (std::size_t set = 0; set < used_.size(); ++set) {
    std::copy_n(bits_.begin() + static_cast<std::ptrdiff_t>(set * stride_), stride_,
                wide.begin() + static_cast<std::ptrdiff_t>(set * stride));
  }
  bits_.swap(wide);
  stride_ = stride;
  rebuild_index();
}

std::size_t HopSets::slot_of(const FirstHop& hop) {
  std::size_t vacant = slots_.size();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i] == hop) return i;
    if (!slots_[i].neighbour && vacant == slots_.size()) vacant = i;
  }
  if (vacant == slots_.size()) slots_.emplace_back();
  slots_[vacant] = hop;
  widen(slots_.size());
  return vacant;
}

void HopSets::set_hops(std::vector<FirstHop> hops) {
  std::sort(hops.begin(), hops.end());
  hops.erase(std::unique(hops.begin(), hops.end()), hops.end());
  auto same = [](const Single& s, const FirstHop& h) { return s.hop == h; };
  if (std::equal(singles_.begin(), singles_.end(), hops.begin(), hops.end(), same)) return;
  singles_.clear();
  for (const FirstHop& hop : hops) {
    std::size_t slot = slot_of(hop);
    std::vector<std::uint64_t> one(stride_, 0);
    one[slot / 64] = std::uint64_t{1} << (slot % 64);
    singles_.push_back({hop, intern(one.data())});
  }
}

std::uint32_t HopSets::single(const FirstHop& hop) const {
  auto at = std::lower_bound(singles_.begin(), singles_.end(), hop,
                             [](const Single& s, const FirstHop& h) { return s.hop < h; });
  return at != singles_.end() && at->hop == hop ? at->set : kEmpty;
}

std::vector<FirstHop> HopSets::members(std::uint32_t set, std::size_t limit) const {
  std::vector<FirstHop> out;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (has(set, slot)) out.push_back(slots_[slot]);
  }
  std::sort(out.begin(), out.end());
  if (out.size() > limit) out.resize(limit);
  return out;
}

void HopSets::sweep(std::vector<std::uint8_t> in_use) {
  for (const Single& s : singles_) in_use[s.set] = 1;
  in_use[kEmpty] = 1;
  std::vector<std::uint64_t> live(stride_, 0);
  for (std::uint32_t set = 1; set < used_.size(); ++set) {
    if (used_[set] == 0) continue;
    if (in_use[set] == 0) {
      used_[set] = 0;
      free_.push_back(set);
      --held_;
      continue;
    }
    for (std::size_t w = 0; w < stride_; ++w) live[w] |= words(set)[w];
  }
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if ((live[slot / 64] >> (slot % 64) & 1) == 0) slots_[slot] = {};
  }
  kept_ = held_;
  made_ = 0;
  rebuild_index();
}

std::size_t HopSets::bytes() const {
  return sizeof(*this) + bits_.capacity() * sizeof(std::uint64_t) + used_.capacity() +
         (free_.capacity() + table_.capacity()) * sizeof(std::uint32_t) +
         slots_.capacity() * sizeof(FirstHop) + singles_.capacity() * sizeof(Single);
}

}  // namespace dmsc::routing
