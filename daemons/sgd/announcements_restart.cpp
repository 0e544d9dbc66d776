// What announcements are over a restart of the gateway (docs/protocol.md, U18).
#include "sgd/announcements_items.hpp"

namespace dmsc::sgd {

std::vector<SavedAnnouncement> Announcements::saved() const {
  std::vector<SavedAnnouncement> out;
  for (const auto& [id, lease] : leases_) {
    for (const auto& [prefix, item] : lease.items) {
      if (item->state != AnnouncementState::granted || !item->grant) continue;
      auto known = known_grants_.find({item->grant->header.issuer, item->grant->header.serial});
      if (known == known_grants_.end()) continue;
      out.push_back({id, item->identity, lease.permanent, item->service, item->instance,
                     known->second.raw});
    }
  }
  return out;
}

std::size_t Announcements::restore(Time now, DomainTime domain,
                                   const std::vector<SavedAnnouncement>& saved) {
  std::size_t taken = 0;
  for (const SavedAnnouncement& one : saved) taken += restore(now, domain, one) ? 1 : 0;
  return taken;
}

bool Announcements::restore(Time now, DomainTime domain, const SavedAnnouncement& saved) {
  auto grant = wire::decode_grant(saved.grant);
  if (!grant || !saved.instance || grant->valid_until <= domain) return false;
  auto item = std::make_unique<Item>();
  item->lease = saved.lease;
  item->identity = saved.identity;
  item->service = saved.service;
  item->instance = saved.instance;
  item->since = now;
  if (!grant_problem(*item, *grant).empty()) return false;
  Lease& lease = leases_[saved.lease];
  if (!lease.identity.empty() && lease.identity != saved.identity) return false;
  lease.identity = saved.identity;
  lease.permanent = saved.permanent;
  lease.connected = saved.permanent;
  lease.broken_at = now;
  known_grants_[{grant->header.issuer, grant->header.serial}] = {*grant, saved.grant};
  item->grant = std::move(*grant);
  item->state = AnnouncementState::granted;
  item->healthy = true;
  item->held_until = now + config_.grace;
  item->ask_at = now + config_.retry;  // the registry may have changed meanwhile
  lease.items[saved.service.prefix.text()] = std::move(item);
  changed_ = true;
  return true;
}

// Its pod is still there: new flows may come, and it is checked again.
void Announcements::said_again(Time now, Item& item) {
  if (!item.held_until) return;
  item.held_until.reset();
  if (item.service.check.kind != CheckKind::none) item.check_at = now;
  changed_ = true;
}

// A pod that came back without some of what it had announced has given that up.
void Announcements::drop_held(Time now) {
  for (auto& [id, lease] : leases_) {
    std::vector<std::string> over;
    for (const auto& [prefix, item] : lease.items) {
      if (item->held_until && now >= *item->held_until) over.push_back(prefix);
    }
    for (const std::string& prefix : over) {
      remove(now, lease, prefix, "the gateway was restarted and nobody announced it again");
    }
  }
}

}  // namespace dmsc::sgd
