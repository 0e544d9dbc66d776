// What announcements amount to: originated entries, grants to flood, instances for the data paths.
#include <algorithm>
#include <set>

#include "sgd/announcements.hpp"
#include "sgd/announcements_items.hpp"

namespace dmsc::sgd {

std::vector<wire::PrefixEntry> Announcements::entries() const {
  std::map<Name, wire::PrefixEntry> by_name;
  auto add = [&](const Name& name, const Item& item, bool covering) {
    wire::PrefixEntry& entry = by_name[name];
    entry.name = name;
    entry.covering = entry.covering || covering;
    if (entry.interface == 0 && config_.interface_of) {
      entry.interface = config_.interface_of(item.identity);
    }
    const bool new_flows = !draining_ && !item.held_until;
    const std::uint16_t capacity = new_flows ? item.service.capacity : std::uint16_t{0};
    entry.instances.push_back({item.instance, capacity});
    for (wire::ServicePort& port : told_ports(item.service, capacity)) {
      entry.ports.push_back(std::move(port));
    }
  };
  for (const auto& [id, lease] : leases_) {
    for (const auto& [prefix, item] : lease.items) {
      if (item->state != AnnouncementState::granted) continue;
      add(item->service.prefix, *item, item->service.covering);
      if (item->service.join_pool) add(item->service.prefix.parent(), *item, false);
    }
  }
  std::vector<wire::PrefixEntry> out;
  for (auto& [name, entry] : by_name) {
    std::sort(entry.instances.begin(), entry.instances.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    entry.ports = united(entry.ports);
    wire::fit_service_ports(entry.ports);
    out.push_back(std::move(entry));
  }
  return out;
}

std::vector<Bytes> Announcements::grants() const {
  std::set<std::pair<std::uint32_t, std::uint64_t>> used;
  for (const auto& [id, lease] : leases_) {
    for (const auto& [prefix, item] : lease.items) {
      if (item->grant) used.emplace(item->grant->header.issuer, item->grant->header.serial);
    }
  }
  std::vector<Bytes> out;
  for (const auto& key : used) {
    auto it = known_grants_.find(key);
    if (it != known_grants_.end()) out.push_back(it->second.raw);
  }
  return out;
}

std::vector<LocalInstance> Announcements::instances() const {
  std::vector<LocalInstance> out;
  for (const auto& [id, lease] : leases_) {
    for (const auto& [prefix, item] : lease.items) {
      if (!item->instance || !item->grant) continue;
      LocalInstance instance{item->instance, id, item->identity, Name(),
                             item->state == AnnouncementState::granted, item->service};
      if (item->service.join_pool) instance.pool = item->service.prefix.parent();
      out.push_back(std::move(instance));
    }
  }
  return out;
}

std::vector<std::pair<Name, InstanceId>> Announcements::granted_names(
    const std::string& identity) const {
  std::vector<std::pair<Name, InstanceId>> out;
  for (const auto& [id, lease] : leases_) {
    if (lease.identity != identity) continue;
    for (const auto& [prefix, item] : lease.items) {
      if (item->grant && item->instance) out.emplace_back(item->service.prefix, item->instance);
    }
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  return out;
}

std::vector<Announcements::View> Announcements::views(Time now) const {
  std::vector<View> out;
  for (const auto& [id, lease] : leases_) {
    for (const auto& [prefix, item] : lease.items) {
      View v;
      v.lease = id;
      v.identity = item->identity;
      v.prefix = prefix;
      if (item->service.join_pool) v.pool = item->service.prefix.parent().text();
      v.endpoint = item->service.endpoint;
      v.ports = to_text(item->service.ports);
      v.check = to_string(item->service.check.kind);
      v.health = item->service.check.kind == CheckKind::none ? "unchecked"
                 : !item->ever_checked                       ? "unknown"
                 : item->healthy                             ? "healthy"
                                                             : "failing";
      v.reason = item->reason;
      v.state = item->state;
      v.instance = item->instance;
      v.capacity = item->service.capacity;
      v.connected = lease.connected;
      v.covering = item->service.covering;
      v.in_state = now - item->since;
      v.valid_until = item->grant ? item->grant->valid_until.seconds : 0;
      v.checks_ok = item->checks_ok;
      v.checks_failed = item->checks_failed;
      out.push_back(std::move(v));
    }
  }
  return out;
}

std::vector<Announcements::Question> Announcements::take_questions() {
  return std::exchange(questions_, {});
}
std::vector<Announcements::CheckRun> Announcements::take_checks() {
  return std::exchange(checks_, {});
}
std::vector<Announcements::Status> Announcements::take_statuses() {
  return std::exchange(statuses_, {});
}
bool Announcements::take_changed() { return std::exchange(changed_, false); }

}  // namespace dmsc::sgd
