#include "dmsc/linkstate/waiting.hpp"

#include <algorithm>

namespace dmsc::linkstate {

namespace {

bool opens_others(const wire::LsaKey& key) {
  return key.type == wire::LsaType::identity || is_issuer_origin(key.origin);
}

}  // namespace

WaitingTable::Added WaitingTable::add(Time now, LinkId from, const wire::LsaPtr& lsa,
                                      std::uint32_t remaining, std::uint64_t& ticket) {
  SlotKey slot{wire::key_number(lsa->key), from};
  if (auto it = slots_.find(slot); it != slots_.end()) {
    ticket = it->second;
    if (compare_copies(*lsa, *items_.at(ticket).lsa) <= 0) return Added::joined;
    release(slot);
  } else {
    auto neighbour = count_.find(from);
    auto origin = count_of_origin_.find({from, lsa->key.origin});
    std::size_t most = kMaxPerNeighbour + (opens_others(lsa->key) ? kReserved : 0);
    if (neighbour != count_.end() && neighbour->second >= most) return Added::full;
    if (origin != count_of_origin_.end() && origin->second >= kMaxPerOrigin) return Added::full;
  }
  auto [known, fresh] = by_hash_.try_emplace(lsa->hash, next_ticket_);
  ticket = known->second;
  if (fresh) ++next_ticket_;
  Item& item = items_[ticket];
  if (fresh) item = {lsa, remaining, now, {}, false};
  item.remaining = std::max(item.remaining, remaining);
  item.from.push_back(from);
  slots_[slot] = ticket;
  ++count_[from];
  ++count_of_origin_[{from, lsa->key.origin}];
  return fresh ? Added::created : Added::joined;
}

std::uint64_t WaitingTable::add_recheck(Time now, const wire::LsaPtr& lsa) {
  std::uint64_t ticket = next_ticket_++;
  items_[ticket] = {lsa, 0, now, {}, true};
  rechecks_.insert(ticket);
  return ticket;
}

void WaitingTable::release(const SlotKey& slot) {
  auto it = slots_.find(slot);
  if (it == slots_.end()) return;
  auto item = items_.find(it->second);
  auto origin = count_of_origin_.find({slot.second, item->second.lsa->key.origin});
  if (--origin->second == 0) count_of_origin_.erase(origin);
  auto& from = item->second.from;
  from.erase(std::remove(from.begin(), from.end(), slot.second), from.end());
  if (from.empty()) {
    by_hash_.erase(item->second.lsa->hash);
    items_.erase(item);
  }
  slots_.erase(it);
  if (--count_[slot.second] == 0) count_.erase(slot.second);
}

std::optional<WaitingTable::Item> WaitingTable::take(std::uint64_t ticket) {
  auto it = items_.find(ticket);
  if (it == items_.end()) return std::nullopt;
  Item item = it->second;
  if (item.recheck) {
    items_.erase(it);
    rechecks_.erase(ticket);
    return item;
  }
  for (LinkId link : item.from) release({wire::key_number(item.lsa->key), link});
  return item;
}

std::optional<std::uint64_t> WaitingTable::ticket_of(LinkId from, std::uint64_t key) const {
  auto it = slots_.find({key, from});
  if (it == slots_.end()) return std::nullopt;
  return it->second;
}

bool WaitingTable::holds(LinkId from, const wire::LsaRef& ref) const {
  auto it = slots_.find({wire::key_number(ref.key), from});
  return it != slots_.end() && wire::ref_of(*items_.at(it->second).lsa) == ref;
}

void WaitingTable::forget(LinkId from) {
  std::vector<SlotKey> gone;
  for (const auto& [slot, ticket] : slots_) {
    if (slot.second == from) gone.push_back(slot);
  }
  for (const SlotKey& slot : gone) release(slot);
}

void WaitingTable::settle(const wire::Lsa& installed) {
  std::uint64_t key = wire::key_number(installed.key);
  std::vector<SlotKey> settled;
  for (auto it = slots_.lower_bound({key, LinkId{0}}); it != slots_.end() && it->first.first == key;
       ++it) {
    if (compare_copies(*items_.at(it->second).lsa, installed) <= 0) settled.push_back(it->first);
  }
  for (const SlotKey& slot : settled) release(slot);
}

std::vector<std::uint64_t> WaitingTable::tickets_of(NodeId origin) const {
  std::vector<std::uint64_t> out;
  std::uint64_t lo = wire::key_number({origin, {}, 0}), hi = lo | 0xffffff;
  for (auto it = slots_.lower_bound({lo, LinkId{0}}); it != slots_.end() && it->first.first <= hi;
       ++it) {
    if (out.empty() || out.back() != it->second) out.push_back(it->second);
  }
  for (std::uint64_t ticket : rechecks_) {
    if (items_.at(ticket).lsa->key.origin == origin) out.push_back(ticket);
  }
  return out;
}

}  // namespace dmsc::linkstate
