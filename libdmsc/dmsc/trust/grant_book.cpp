#include "dmsc/trust/grant_book.hpp"

namespace dmsc::trust {

namespace {

GrantBook::Ref ref_of(const wire::Grant& grant) { return {grant.header.issuer, grant.header.serial}; }

void drop(std::unordered_multimap<std::string, std::size_t>& index, const std::string& key,
          std::size_t at) {
  auto [begin, end] = index.equal_range(key);
  for (auto it = begin; it != end; ++it) {
    if (it->second != at) continue;
    index.erase(it);
    return;
  }
}

std::vector<std::size_t> positions(const std::unordered_multimap<std::string, std::size_t>& index,
                                   const std::string& key) {
  std::vector<std::size_t> out;
  auto [begin, end] = index.equal_range(key);
  for (auto it = begin; it != end; ++it) out.push_back(it->second);
  return out;
}

}  // namespace

bool GrantBook::hold(std::uint32_t holder, const wire::Grant& grant) {
  Ref ref = ref_of(grant);
  bool changed = false;
  if (holder != kOwn) {
    auto carried = carried_.find(holder);
    if (carried != carried_.end() && carried->second != ref) {
      changed = unhold(holder, Ref(carried->second));
    }
    carried_[holder] = ref;
  }
  holders_[ref].insert(holder);
  if (position_.count(ref) != 0) return changed;
  position_[ref] = grants_.size();
  grants_.push_back(grant);
  index(grants_.size() - 1);
  return true;
}

bool GrantBook::release(std::uint32_t holder) {
  auto carried = carried_.find(holder);
  return carried != carried_.end() && unhold(holder, Ref(carried->second));
}

bool GrantBook::unhold(std::uint32_t holder, const Ref& ref) {
  carried_.erase(holder);
  auto holders = holders_.find(ref);
  if (holders == holders_.end()) return false;
  holders->second.erase(holder);
  if (!holders->second.empty()) return false;
  holders_.erase(holders);
  auto at = position_.find(ref);
  if (at == position_.end()) return false;
  erase(at->second);
  return true;
}

bool GrantBook::expire(DomainTime now) {
  bool changed = false;
  for (std::size_t i = grants_.size(); i-- > 0;) {
    if (accepted_until(grants_[i]) >= now) continue;
    auto holders = holders_.find(ref_of(grants_[i]));
    if (holders != holders_.end()) {
      for (std::uint32_t holder : holders->second) carried_.erase(holder);
      holders_.erase(holders);
    }
    erase(i);
    changed = true;
  }
  return changed;
}

std::vector<std::size_t> GrantBook::covering(const Name& name) const {
  std::vector<std::size_t> out;
  std::uint8_t ends[kMaxNameComponents];
  std::size_t count = component_ends(name.text(), ends);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t at : positions(by_subtree_, name.text().substr(0, ends[i]))) out.push_back(at);
  }
  return out;
}

std::vector<std::size_t> GrantBook::with_pool(const Name& pool) const {
  return positions(by_pool_, pool.text());
}

void GrantBook::index(std::size_t at) {
  by_subtree_.emplace(grants_[at].subtree.text(), at);
  for (const Name& pool : grants_[at].pools) by_pool_.emplace(pool.text(), at);
}

void GrantBook::unindex(std::size_t at) {
  drop(by_subtree_, grants_[at].subtree.text(), at);
  for (const Name& pool : grants_[at].pools) drop(by_pool_, pool.text(), at);
}

// The last grant moves into the gap.
void GrantBook::erase(std::size_t at) {
  std::size_t last = grants_.size() - 1;
  unindex(at);
  position_.erase(ref_of(grants_[at]));
  if (at != last) {
    unindex(last);
    grants_[at] = std::move(grants_[last]);
    position_[ref_of(grants_[at])] = at;
    index(at);
  }
  grants_.pop_back();
}

}  // namespace dmsc::trust
