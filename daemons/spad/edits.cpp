#include "spad/edits.hpp"

#include <algorithm>

#include "dmsc/runtime/units.hpp"
#include "dmsc/trust/certificate.hpp"
#include "spad/decide.hpp"

namespace dmsc::spad {

namespace {

constexpr std::uint64_t kMaxLsaLife = 86400;  // an LSA may outlive its origin's certificate by this

// Node names are one DNS label.
Status check_node_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
              std::all_of(name.begin(), name.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
              });
  if (good) return Ok{};
  return make_error(Errc::invalid, "'", name, "' is no node name: 1 to 63 of a-z, 0-9 and -");
}

Result<std::uint32_t> free_node_id(const View& view, std::uint64_t now) {
  std::uint32_t id = 1;
  auto taken = [&](std::uint32_t n) {
    auto retired = view.retired_ids.find(n);
    return view.node_ids.count(n) != 0 || (retired != view.retired_ids.end() && retired->second > now);
  };
  while (id <= kMaxNodeId && taken(id)) ++id;
  if (id > kMaxNodeId) return make_error(Errc::limit, "all node ids are taken");
  return id;
}

Status check_address(const std::string& address) {
  if (address.empty()) return Ok{};
  Result<runtime::Endpoint> e = runtime::parse_endpoint(address, 0);
  return e ? Status(Ok{}) : Status(with_context("address", e.error()));
}

}  // namespace

std::uint64_t next_number(const View& view, const std::string& counter, Changes& changes) {
  auto it = view.counters.find(counter);
  std::uint64_t n = it == view.counters.end() ? 1 : it->second + 1;
  for (Change& c : changes) {  // a second number in the same batch
    if (c.kind != "meta" || c.key != "counter/" + counter) continue;
    n = c.value->get<std::uint64_t>() + 1;
    c.value = n;
    return n;
  }
  changes.push_back(record_meta("counter/" + counter, n));
  return n;
}

Result<Changes> add_node(const View& view, const NodeSpec& spec, Moment at) {
  Status name = check_node_name(spec.name);
  if (!name) return name.error();
  if (!trust::is_role(spec.role)) {
    return make_error(Errc::invalid, "role '", spec.role,
                      "' is not one of sg, sr, spa, scsc, pod, operator");
  }
  if (view.node(spec.name) != nullptr) return make_error(Errc::exists, spec.name, " exists already");
  Status address = check_address(spec.address);
  if (!address) return address.error();
  if (spec.role == "spa" && view.issuers.size() >= wire::kMaxIssuers) {
    return make_error(Errc::limit, "a domain has at most ", std::to_string(wire::kMaxIssuers), " SPAs");
  }
  NodeRecord node;
  node.name = spec.name;
  node.role = spec.role;
  node.address = spec.address;
  node.nearest_spa = spec.nearest_spa;
  if (!trust::is_node_role(spec.role)) return Changes{record(node)};
  Result<std::uint32_t> id = free_node_id(view, at.time);
  if (!id) return id.error();
  node.node_id = *id;
  Changes changes{record(node)};
  if (view.retired_ids.count(*id) != 0) changes.push_back(removal("retired", std::to_string(*id)));
  return changes;
}

Result<Changes> remove_node(const View& view, const std::string& name, Moment at) {
  const NodeRecord* node = view.node(name);
  if (node == nullptr) return make_error(Errc::not_found, "there is no node ", name);
  Changes changes{removal("node", name)};
  for (const auto& [id, issuer] : view.issuers) {
    if (issuer.name != name) continue;
    if (view.issuers.size() == 1) return make_error(Errc::conflict, name, " is the only issuer");
    changes.push_back(removal("issuer", std::to_string(id)));
  }
  if (node->node_id == 0 || !node->enrolled()) return changes;
  changes.push_back(record(RevokedNode{{NodeId{node->node_id}, node->key}, name, node->not_after}));
  changes.push_back(
      record_retired(node->node_id, std::max(node->not_after, at.time) + kMaxLsaLife));
  return changes;
}

Result<Changes> set_rule(const View& view, const RuleSpec& spec, Moment at) {
  Result<Name> subtree = Name::parse(spec.subtree);
  if (!subtree) return with_context("subtree", subtree.error());
  if (spec.identity.empty() && !spec.pool) {
    return make_error(Errc::invalid, "a rule for ", spec.subtree, " needs an owner, or pool");
  }
  Status identity = spec.identity.empty() ? Status(Ok{}) : check_identity(spec.identity, true);
  if (!identity) return identity.error();
  if (spec.depth > kMaxNameComponents - subtree->component_count()) {
    return make_error(Errc::invalid, "depth ", std::to_string(spec.depth), " below ", spec.subtree,
                      ": a name has at most ", std::to_string(kMaxNameComponents), " components");
  }
  auto spelling = view.spellings.find(subtree->folded());
  if (spelling != view.spellings.end() && spelling->second != spec.subtree) {
    return make_error(Errc::conflict, spec.subtree, " looks like ", spelling->second,
                      ", which is registered already");
  }
  Rule rule{*subtree,      spec.identity, static_cast<std::uint8_t>(spec.depth),
            spec.covering, spec.pool,     at.position};
  return Changes{record(rule)};
}

Result<Changes> remove_rule(const View& view, const std::string& subtree,
                            const std::string& identity) {
  auto rules = view.rules.find(subtree);
  Changes changes;
  if (rules != view.rules.end()) {
    for (const auto& [owner, rule] : rules->second) {
      if (identity.empty() || owner == identity) {
        changes.push_back(removal("rule", rule_key(subtree, owner)));
      }
    }
  }
  if (!changes.empty()) return changes;
  return make_error(Errc::not_found, "there is no rule for ", subtree,
                    identity.empty() ? "" : " and " + identity);
}

namespace {

Error too_early(const LinkKeyRecord& key, std::uint64_t now) {
  std::uint64_t left = key.since + kRotationSettles - now;
  return make_error(Errc::conflict, "link key ", std::to_string(key.id), " is ", to_string(key.stage),
                    " too short a time to have reached every node: wait ", std::to_string(left), " s");
}

const LinkKeyRecord* key_in(const View& view, LinkKeyStage stage) {
  for (const auto& [id, key] : view.link_keys) {
    if (key.stage == stage) return &key;
  }
  return nullptr;
}

Result<Changes> activate_link_key(const View& view, Moment at) {
  const LinkKeyRecord* staged = key_in(view, LinkKeyStage::staged);
  const LinkKeyRecord* active = key_in(view, LinkKeyStage::active);
  if (staged == nullptr) return make_error(Errc::conflict, "no link key is staged: add one first");
  if (staged->since + kRotationSettles > at.time) return too_early(*staged, at.time);
  Changes changes;
  LinkKeyRecord next = *staged;
  next.stage = LinkKeyStage::active;
  next.since = at.time;
  changes.push_back(record(next));
  if (active != nullptr) {
    LinkKeyRecord old = *active;
    old.stage = LinkKeyStage::retiring;
    old.since = at.time;
    changes.push_back(record(old));
  }
  return changes;
}

}  // namespace

Result<Changes> rotate_link_key(const View& view, const std::string& step,
                                const crypto::Key32& fresh_secret, Moment at) {
  const LinkKeyRecord* staged = key_in(view, LinkKeyStage::staged);
  const LinkKeyRecord* retiring = key_in(view, LinkKeyStage::retiring);
  if (step == "add") {
    if (staged != nullptr || retiring != nullptr) {
      return make_error(Errc::conflict, "link key ",
                        std::to_string((staged != nullptr ? staged : retiring)->id), " is still ",
                        to_string((staged != nullptr ? staged : retiring)->stage));
    }
    std::uint16_t id = view.link_keys.empty() ? 1 : view.link_keys.rbegin()->first;
    do {
      id = static_cast<std::uint16_t>(id % 65535 + 1);
    } while (view.link_keys.count(id) != 0);
    if (view.link_keys.empty()) id = 1;
    return Changes{record(LinkKeyRecord{id, fresh_secret, LinkKeyStage::staged, at.time})};
  }
  if (step == "activate") return activate_link_key(view, at);
  if (step != "retire") {
    return make_error(Errc::invalid, "step '", step, "' is not add, activate or retire");
  }
  if (retiring == nullptr) return make_error(Errc::conflict, "no link key is retiring");
  if (retiring->since + kRotationSettles > at.time) return too_early(*retiring, at.time);
  return Changes{removal("link_key", std::to_string(retiring->id))};
}

}  // namespace dmsc::spad
