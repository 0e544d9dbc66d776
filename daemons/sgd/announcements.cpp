#include "sgd/announcements.hpp"

#include <algorithm>

#include "sgd/announcements_items.hpp"

namespace dmsc::sgd {

const char* to_string(CheckKind kind) {
  static constexpr const char* kNames[] = {"none", "self", "tcp", "http", "command"};
  return kNames[static_cast<std::size_t>(kind)];
}

const char* to_string(AnnouncementState state) {
  static constexpr const char* kNames[] = {"pending",   "granted",   "refused",
                                           "unhealthy", "withdrawn", "invalid"};
  return kNames[static_cast<std::size_t>(state)];
}

Announcements::Announcements(Config config) : config_(std::move(config)) {}
Announcements::~Announcements() = default;

// ---- leases -----------------------------------------------------------------------------------

std::string Announcements::open(Time now, const std::string& identity, const std::string& resume,
                                const std::string& fresh) {
  (void)now;
  auto it = leases_.find(resume);
  if (it != leases_.end() && it->second.identity == identity && !it->second.permanent) {
    it->second.connected = true;
    return resume;
  }
  leases_[fresh].identity = identity;
  return fresh;
}

void Announcements::open_permanent(Time now, const std::string& identity,
                                   const std::string& lease) {
  (void)now;
  leases_[lease].identity = identity;
  leases_[lease].permanent = true;
}

void Announcements::broken(Time now, const std::string& lease) {
  auto it = leases_.find(lease);
  if (it == leases_.end() || it->second.permanent) return;
  it->second.connected = false;
  it->second.broken_at = now;
  if (it->second.items.empty()) leases_.erase(it);
}

void Announcements::close(Time now, const std::string& lease) {
  drop_lease(now, lease, "the lease was closed");
}

void Announcements::drop_lease(Time now, const std::string& lease, const std::string& reason) {
  auto it = leases_.find(lease);
  if (it == leases_.end()) return;
  while (!it->second.items.empty()) {
    remove(now, it->second, it->second.items.begin()->first, reason);
  }
  leases_.erase(it);
}

const std::string* Announcements::identity_of(const std::string& lease) const {
  auto it = leases_.find(lease);
  return it == leases_.end() ? nullptr : &it->second.identity;
}

std::size_t Announcements::lease_count() const { return leases_.size(); }

// ---- announcements ----------------------------------------------------------------------------

Announcements::Item* Announcements::find(const std::string& lease, const std::string& prefix) {
  auto it = leases_.find(lease);
  if (it == leases_.end()) return nullptr;
  auto item = it->second.items.find(prefix);
  return item == it->second.items.end() ? nullptr : item->second.get();
}

void Announcements::set_state(Time now, Item& item, AnnouncementState state, std::string reason) {
  const bool originated = item.state == AnnouncementState::granted ||
                          item.state == AnnouncementState::unhealthy;
  const bool will_be = state == AnnouncementState::granted ||
                       state == AnnouncementState::unhealthy;
  if (item.state == state && item.reason == reason) return;
  if (item.state != state) item.since = now;
  if (originated || will_be) changed_ = true;
  item.state = state;
  item.reason = std::move(reason);
  statuses_.push_back({item.lease, item.service.prefix.text(), state, item.reason, item.instance});
}

void Announcements::announce(Time now, const std::string& lease_id, AnnouncedService service) {
  auto it = leases_.find(lease_id);
  if (it == leases_.end()) return;
  Lease& lease = it->second;
  const std::string prefix = service.prefix.text();
  auto& slot = lease.items[prefix];
  if (slot != nullptr) {
    said_again(now, *slot);
    if (slot->service == service && slot->state != AnnouncementState::refused) {
      statuses_.push_back({lease_id, prefix, slot->state, slot->reason, slot->instance});
      return;  // a resumed stream says it again
    }
    // What the grant and the health depend on has changed: start over, under the same instance id.
    const bool same_question = slot->service.covering == service.covering &&
                               slot->service.join_pool == service.join_pool && slot->grant;
    const bool same_check = slot->service.check == service.check &&
                            slot->service.endpoint == service.endpoint;
    slot->service = std::move(service);
    changed_ = true;
    if (same_question) {
      if (!same_check) start_checks(now, *slot);
      statuses_.push_back({lease_id, prefix, slot->state, slot->reason, slot->instance});
      return;
    }
    questions_open_.erase(slot->question);
    slot->question = 0;
    slot->grant.reset();
  } else if (lease.items.size() > config_.max_per_lease) {
    lease.items.erase(prefix);
    return invalid(lease_id, prefix, "more than " + std::to_string(config_.max_per_lease) +
                                         " announcements under one lease");
  } else {
    slot = std::make_unique<Item>();
    slot->lease = lease_id;
    slot->identity = lease.identity;
    slot->service = std::move(service);
    slot->since = now;
    slot->state = AnnouncementState::withdrawn;
  }
  ask(now, *slot);
}

void Announcements::invalid(const std::string& lease, const std::string& prefix,
                            const std::string& why) {
  statuses_.push_back({lease, prefix, AnnouncementState::invalid, why, InstanceId{}});
}

void Announcements::withdraw(Time now, const std::string& lease, const std::string& prefix) {
  auto it = leases_.find(lease);
  if (it == leases_.end() || it->second.items.count(prefix) == 0) {
    return invalid(lease, prefix, "not announced under this lease");
  }
  remove(now, it->second, prefix, "withdrawn by the pod");
}

void Announcements::remove(Time now, Lease& lease, const std::string& prefix,
                           const std::string& reason) {
  auto it = lease.items.find(prefix);
  Item& item = *it->second;
  set_state(now, item, AnnouncementState::withdrawn, reason);
  questions_open_.erase(item.question);
  checks_open_.erase(item.check_ticket);
  lease.items.erase(it);
}

// ---- the SPA ------------------------------------------------------------------------------------

void Announcements::ask(Time now, Item& item) {
  item.ask_at.reset();
  item.question = next_ticket_++;
  questions_open_[item.question] = &item;
  questions_.push_back({item.question, item.identity, item.service.prefix, item.service.covering,
                        item.service.join_pool});
  if (!item.grant) set_state(now, item, AnnouncementState::pending, "asking the SPA");
}

std::string Announcements::grant_problem(const Item& item, const wire::Grant& grant) const {
  const Name& prefix = item.service.prefix;
  if (grant.node != config_.self) return "it is for another gateway";
  if (grant.identity != item.identity) return "it is for " + grant.identity;
  if (!grant.subtree.covers(prefix) ||
      prefix.component_count() - grant.subtree.component_count() > grant.depth) {
    return "it covers only " + grant.subtree.text() + " to depth " + std::to_string(grant.depth);
  }
  if (item.service.covering && !grant.covering) return "it allows no covering prefixes";
  if (item.service.join_pool && std::find(grant.pools.begin(), grant.pools.end(),
                                          prefix.parent()) == grant.pools.end()) {
    return "it does not name the pool " + prefix.parent().text();
  }
  return {};
}

const Announcements::KnownGrant* Announcements::known_grant(const Item& item,
                                                            DomainTime domain) const {
  for (const auto& [key, known] : known_grants_) {
    if (known.grant.valid_until > domain && grant_problem(item, known.grant).empty()) return &known;
  }
  return nullptr;
}

void Announcements::answered(Time now, DomainTime domain, std::uint64_t ticket,
                             Result<Answer> answer) {
  auto it = questions_open_.find(ticket);
  if (it == questions_open_.end()) return;  // withdrawn meanwhile
  Item& item = *it->second;
  questions_open_.erase(it);
  item.question = 0;
  if (!answer) {
    item.ask_at = now + config_.retry;
    if (item.grant) return;  // a renewal: what was granted works until its end
    // What this identity was granted before still counts while no SPA can be asked.
    if (const KnownGrant* known = known_grant(item, domain)) return adopt(now, domain, item, *known);
    set_state(now, item, AnnouncementState::pending, answer.error().message);
    return;
  }
  if (!answer->grant.empty()) return take_grant(now, domain, item, answer->grant);
  item.grant.reset();
  item.ask_at.reset();
  set_state(now, item, AnnouncementState::refused,
            answer->refusal_code + (answer->refusal.empty() ? "" : ": " + answer->refusal));
}

void Announcements::take_grant(Time now, DomainTime domain, Item& item, const Bytes& raw) {
  auto grant = wire::decode_grant(raw);
  std::string problem = grant ? grant_problem(item, *grant) : grant.error().message;
  if (problem.empty() && grant->valid_until <= domain) problem = "it has expired";
  if (!problem.empty()) {
    // The SPA has answered something else than was asked. Try again later: another may do better.
    item.ask_at = now + config_.retry * 5;
    if (!item.grant) {
      set_state(now, item, AnnouncementState::pending, "the SPA's grant cannot be used: " + problem);
    }
    return;
  }
  KnownGrant known{*grant, raw};
  auto& stored = known_grants_[{grant->header.issuer, grant->header.serial}];
  stored = std::move(known);
  adopt(now, domain, item, stored);
}

void Announcements::adopt(Time now, DomainTime domain, Item& item, const KnownGrant& known) {
  item.grant = known.grant;
  changed_ = true;
  // Renew when a third of its life is left.
  const std::uint64_t life = known.grant.valid_until.seconds - known.grant.header.issued_at.seconds;
  const std::uint64_t left = known.grant.valid_until.seconds - domain.seconds;
  if (!item.ask_at) item.ask_at = now + seconds(left > life / 3 ? left - life / 3 : 1);
  if (item.state == AnnouncementState::granted || item.state == AnnouncementState::unhealthy) {
    return;  // a renewal
  }
  if (!item.instance) item.instance = config_.new_instance();
  start_checks(now, item);
}

void Announcements::revoke(Time now,
                           const std::function<bool(const wire::ObjectHeader&)>& is_revoked) {
  for (auto it = known_grants_.begin(); it != known_grants_.end();) {
    it = is_revoked(it->second.grant.header) ? known_grants_.erase(it) : std::next(it);
  }
  for (auto& [id, lease] : leases_) {
    for (auto& [prefix, item] : lease.items) {
      if (!item->grant || !is_revoked(item->grant->header)) continue;
      item->grant.reset();
      item->check_at.reset();
      checks_open_.erase(item->check_ticket);
      item->check_ticket = 0;
      set_state(now, *item, AnnouncementState::pending, "the grant was revoked; asking the SPA");
      if (item->question == 0) ask(now, *item);
    }
  }
}

// ---- health -------------------------------------------------------------------------------------

void Announcements::start_checks(Time now, Item& item) {
  checks_open_.erase(item.check_ticket);
  item.check_ticket = 0;
  item.healthy = item.ever_checked = false;
  item.streak = 0;
  if (item.service.check.kind == CheckKind::none) {
    item.check_at.reset();
    return set_state(now, item, AnnouncementState::granted, "");
  }
  item.check_at = now;
  set_state(now, item, AnnouncementState::unhealthy, "waiting for the first self-check");
  service_check(now, item);
}

void Announcements::service_check(Time now, Item& item) {
  if (!item.check_at || now < *item.check_at) return;
  if (item.check_ticket != 0) {
    return checked(now, item.lease, item.check_ticket, false, "no answer within the timeout");
  }
  item.check_ticket = next_ticket_++;
  checks_open_[item.check_ticket] = &item;
  item.check_at = now + item.service.check.timeout;
  checks_.push_back({item.check_ticket, item.lease, item.identity, item.service.prefix,
                     item.service.endpoint, item.service.check});
}

void Announcements::checked(Time now, const std::string& lease, std::uint64_t ticket,
                            bool healthy, const std::string& detail) {
  auto it = checks_open_.find(ticket);
  if (it == checks_open_.end() || it->second->lease != lease) return;  // late, or the announcement is gone
  Item& item = *it->second;
  checks_open_.erase(it);
  item.check_ticket = 0;
  item.check_at = now + item.service.check.interval;
  item.ever_checked = true;
  item.check_detail = detail;
  ++(healthy ? item.checks_ok : item.checks_failed);
  item.streak = healthy == item.healthy ? 0 : item.streak + 1;
  const CheckSpec& check = item.service.check;
  const bool flip = item.streak >= (healthy ? check.rise : check.fall);
  if (flip) {
    item.healthy = healthy;
    item.streak = 0;
  }
  if (!item.grant) return;
  if (item.healthy) {
    set_state(now, item, AnnouncementState::granted, "");
  } else if (!healthy) {
    set_state(now, item, AnnouncementState::unhealthy,
              "self-check failed" + (detail.empty() ? "" : ": " + detail));
  }
}

// ---- time ---------------------------------------------------------------------------------------

void Announcements::service_item(Time now, DomainTime domain, Item& item) {
  if (item.grant && item.grant->valid_until <= domain) {
    item.grant.reset();
    item.check_at.reset();
    checks_open_.erase(item.check_ticket);
    item.check_ticket = 0;
    set_state(now, item, AnnouncementState::pending, "the grant has expired; asking the SPA");
    if (item.question == 0) ask(now, item);
  }
  if (item.ask_at && now >= *item.ask_at && item.question == 0) ask(now, item);
  service_check(now, item);
}

void Announcements::tick(Time now, DomainTime domain) {
  std::vector<std::string> over;
  for (auto& [id, lease] : leases_) {
    if (!lease.connected && now - lease.broken_at >= config_.grace) over.push_back(id);
  }
  for (const std::string& id : over) {
    drop_lease(now, id, "the pod's stream broke and did not come back");
  }
  drop_held(now);
  for (auto& [id, lease] : leases_) {
    for (auto& [prefix, item] : lease.items) service_item(now, domain, *item);
  }
  for (auto it = known_grants_.begin(); it != known_grants_.end();) {
    it = it->second.grant.valid_until <= domain ? known_grants_.erase(it) : std::next(it);
  }
}

std::optional<Time> Announcements::deadline() const {
  std::optional<Time> next;
  auto consider = [&](Time at) { next = next ? std::min(*next, at) : at; };
  for (const auto& [id, lease] : leases_) {
    if (!lease.connected) consider(lease.broken_at + config_.grace);
    for (const auto& [prefix, item] : lease.items) {
      if (item->ask_at && item->question == 0) consider(*item->ask_at);
      if (item->check_at) consider(*item->check_at);
      if (item->held_until) consider(*item->held_until);
    }
  }
  return next;
}

void Announcements::set_draining(bool draining) {
  if (draining_ != draining) changed_ = true;
  draining_ = draining;
}

}  // namespace dmsc::sgd
