// The revocation lists an SPA signs: derived from the registry and from the grants it issued, so that
// they are right after any crash and any order of edits.
#include <algorithm>

#include "spad/office.hpp"

namespace dmsc::spad {

// Does the registry still allow what this grant says?
bool Office::backed(const GrantRow& row) const {
  const View& view = store_.view();
  Result<wire::Grant> grant = wire::decode_grant(row.object);
  auto gateway = view.node_ids.find(row.node);
  auto rules = view.rules.find(row.subtree);
  if (!grant || gateway == view.node_ids.end() || rules == view.rules.end()) return false;
  return std::any_of(rules->second.begin(), rules->second.end(), [&](const auto& item) {
    const Rule& rule = item.second;
    if (!rule_matches(rule, row.identity, gateway->second)) return false;
    std::vector<Name> pools = pools_of(view, rule);
    bool all_pools = std::all_of(grant->pools.begin(), grant->pools.end(), [&](const Name& pool) {
      return std::find(pools.begin(), pools.end(), pool) != pools.end();
    });
    return grant->depth <= rule.depth && (rule.covering || !grant->covering) && all_pools;
  });
}

// What this SPA's lists must say now, part by part.
Result<std::vector<wire::Revocation>> Office::wanted_lists(std::uint64_t now) {
  std::vector<wire::Revocation::GrantRef> grants;
  std::vector<wire::Revocation::NodeRef> nodes;
  Result<std::vector<GrantRow>> rows = live_grants(now);
  if (!rows) return rows.error();
  for (const GrantRow& row : *rows) {
    if (!backed(row)) grants.push_back({issuer_, row.serial});
  }
  if (writer_) {
    for (const auto& [ref, revoked] : store_.view().revoked_grants) {
      if (revoked.until > now) grants.push_back(ref);
    }
    for (const auto& [ref, revoked] : store_.view().revoked_nodes) {
      if (revoked.until > now) nodes.push_back(ref);
    }
  }
  std::sort(grants.begin(), grants.end());
  grants.erase(std::unique(grants.begin(), grants.end()), grants.end());
  std::vector<wire::Revocation> lists;
  std::size_t g = 0, n = 0;
  while (g < grants.size() || n < nodes.size()) {
    wire::Revocation list;
    list.part = static_cast<std::uint16_t>(lists.size());
    std::size_t g_end = std::min(grants.size(), g + wire::kMaxRevokedGrantsPerPart);
    std::size_t n_end = std::min(nodes.size(), n + wire::kMaxRevokedNodesPerPart);
    list.grants.assign(grants.begin() + static_cast<long>(g), grants.begin() + static_cast<long>(g_end));
    list.nodes.assign(nodes.begin() + static_cast<long>(n), nodes.begin() + static_cast<long>(n_end));
    g = g_end;
    n = n_end;
    lists.push_back(std::move(list));
  }
  return lists;
}

const Bytes* Office::signed_list(const std::string& key) const {
  const auto& lists = writer_ ? store_.view().objects : own_lists_;
  auto it = lists.find(key);
  return it == lists.end() ? nullptr : &it->second;
}

Status Office::sign_list(wire::Revocation list, const std::string& key, std::uint64_t now) {
  list.header = {store_.view().domain_id, issuer_, 0, {now}};
  if (writer_) {
    Changes changes;
    list.header.serial = next_number(store_.view(), "revocation", changes);
    changes.push_back(record_object(key, wire::sign(list, key_)));
    return store_.commit(changes, now);
  }
  list.header.serial = store_.own_number("list_serial") + 1;
  Bytes object = wire::sign(list, key_);
  Status kept = store_.db().transaction([&] {
    Status done = store_.set_own("list_serial", std::to_string(list.header.serial));
    return done ? store_.set_own(key, to_hex(object)) : done;
  });
  if (kept) own_lists_[key] = std::move(object);
  return kept;
}

Result<bool> Office::refresh_revocations(std::uint64_t now) {
  Result<std::vector<wire::Revocation>> wanted = wanted_lists(now);
  if (!wanted) return wanted.error();
  bool changed = false;
  for (std::size_t part = 0;; ++part) {
    std::string key = "revocation/" + std::to_string(issuer_) + "/" + std::to_string(part);
    const Bytes* have = signed_list(key);
    if (part >= wanted->size() && have == nullptr) return changed;
    wire::Revocation list;  // a part once used and no longer needed is sent empty
    list.part = static_cast<std::uint16_t>(part);
    if (part < wanted->size()) list = (*wanted)[part];
    if (have != nullptr) {
      Result<wire::Revocation> old = wire::decode_revocation(*have);
      if (old && old->grants == list.grants && old->nodes == list.nodes) continue;
    }
    Status done = sign_list(std::move(list), key, now);
    if (!done) return done.error();
    changed = true;
  }
}

}  // namespace dmsc::spad
