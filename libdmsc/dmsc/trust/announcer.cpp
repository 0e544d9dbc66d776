#include "dmsc/trust/announcer.hpp"

#include <algorithm>

namespace dmsc::trust {

Announcer::Announcer(const TrustStore& store, NodeId origin, DomainTime now)
    : store_(store), now_(now), last_(~std::size_t{0}) {
  if (!store.unfit(origin, now).empty()) return;
  book_ = &store.grants_.at(origin);
  not_after_ = store.identity(origin)->not_after;
  use_.resize(book_->grants().size());
}

bool Announcer::good(std::size_t grant) {
  if (use_[grant] == Use::unknown) {
    ++checks_;
    bool usable = store_.unusable(book_->grants()[grant], now_).empty();
    use_[grant] = usable ? Use::good : Use::bad;
  }
  return use_[grant] == Use::good;
}

// The name is known to be the grant's subtree or below it.
bool Announcer::permits(std::size_t grant, const Name& name, bool covering) const {
  const wire::Grant& g = book_->grants()[grant];
  if (covering && !g.covering) return false;
  std::string_view below = std::string_view(name.text()).substr(g.subtree.text().size());
  return std::count(below.begin(), below.end(), '/') <= g.depth;
}

bool Announcer::allow(std::size_t grant) {
  last_ = grant;
  until_ = std::min(accepted_until(book_->grants()[grant]), not_after_);
  return true;
}

bool Announcer::covered(const Name& name, bool covering) {
  constexpr std::size_t kFew = 8;  // comparing with so many costs less than looking up the name
  const std::vector<wire::Grant>& grants = book_->grants();
  if (grants.size() <= kFew) {
    for (std::size_t grant = 0; grant < grants.size(); ++grant) {
      if (!grants[grant].subtree.covers(name)) continue;
      if (permits(grant, name, covering) && good(grant)) return allow(grant);
    }
    return false;
  }
  for (std::size_t grant : book_->covering(name)) {
    if (permits(grant, name, covering) && good(grant)) return allow(grant);
  }
  return false;
}

bool Announcer::allowed(const Name& name, bool covering) {
  if (book_ == nullptr) return false;
  if (last_ < use_.size() && book_->grants()[last_].subtree.covers(name) &&
      permits(last_, name, covering)) {
    return allow(last_);
  }
  if (covered(name, covering)) return true;
  if (covering) return false;
  for (std::size_t grant : book_->with_pool(name)) {
    if (good(grant)) {
      allow(grant);
      last_ = ~std::size_t{0};  // a pool's name need not be in the subtree
      return true;
    }
  }
  return false;
}

}  // namespace dmsc::trust
