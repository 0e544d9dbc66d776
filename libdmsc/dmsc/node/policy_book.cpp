#include "dmsc/node/policy_book.hpp"

#include <algorithm>

namespace dmsc::node {

void PolicyBook::heard_epoch(std::uint64_t epoch) { epoch_ = std::max(epoch_, epoch); }

Status PolicyBook::accept(Time now, routing::Policy policy, std::uint64_t epoch,
                          std::uint64_t version, Duration lifetime) {
  if (epoch < epoch_) {
    return make_error(Errc::conflict, "epoch ", std::to_string(epoch), " is older than ",
                      std::to_string(epoch_));
  }
  epoch_ = epoch;
  auto it = held_.find(policy.id);
  if (it != held_.end()) {
    HeldPolicy& old = it->second;
    if (old.epoch == epoch && version < old.version) {
      return make_error(Errc::conflict, "version ", std::to_string(version), " is older than ",
                        std::to_string(old.version));
    }
    if (old.policy.content == policy.content) {
      old.policy.reason = std::move(policy.reason);
      old.epoch = epoch;
      old.version = version;
      old.expires = now + lifetime;
      return Ok{};
    }
  }
  const routing::Policy* previous = it == held_.end() ? nullptr : &it->second.policy;
  if (Status s = target_.apply(policy, previous); !s) return s;
  std::string id = policy.id;
  held_[id] = {std::move(policy), epoch, version, now, now + lifetime};
  return Ok{};
}

Status PolicyBook::withdraw(const std::string& id, std::uint64_t epoch) {
  if (epoch < epoch_) {
    return make_error(Errc::conflict, "epoch ", std::to_string(epoch), " is older than ",
                      std::to_string(epoch_));
  }
  auto it = held_.find(id);
  if (it == held_.end()) return Ok{};
  target_.withdraw(it->second.policy);
  held_.erase(it);
  return Ok{};
}

std::vector<std::string> PolicyBook::tick(Time now) {
  std::vector<std::string> gone;
  for (auto it = held_.begin(); it != held_.end();) {
    if (it->second.expires > now) {
      ++it;
      continue;
    }
    target_.withdraw(it->second.policy);
    gone.push_back(it->first);
    it = held_.erase(it);
  }
  return gone;
}

void PolicyBook::clear() {
  for (const auto& [id, held] : held_) target_.withdraw(held.policy);
  held_.clear();
}

}  // namespace dmsc::node
