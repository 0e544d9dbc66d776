#include "spad/decide.hpp"

#include <algorithm>

namespace dmsc::spad {

namespace {

Decision refuse(std::string code, std::string reason) {
  Decision d;
  d.refusal = std::move(code);
  d.reason = std::move(reason);
  return d;
}

// How far a rule gets with a question: the farthest is the reason an operator needs.
enum class Fit { other_owner, wrong_gateway, too_deep, not_covering, fits };

Fit fit_of(const Rule& rule, const Question& q, const Name& prefix) {
  bool elsewhere = false;
  if (!rule_matches(rule, q.identity, q.gateway, &elsewhere)) {
    return elsewhere ? Fit::wrong_gateway : Fit::other_owner;
  }
  if (prefix.component_count() - rule.subtree.component_count() > rule.depth) return Fit::too_deep;
  return q.covering && !rule.covering ? Fit::not_covering : Fit::fits;
}

Decision refusal_of(Fit fit, const Question& q, const View& view) {
  switch (fit) {
    case Fit::wrong_gateway:
      return refuse("wrong_gateway", q.identity + " may announce " + q.prefix +
                                         " only at another gateway than " + q.gateway);
    case Fit::too_deep:
      return refuse("too_deep", q.prefix + " is deeper than the rule for " + q.identity + " allows");
    case Fit::not_covering:
      return refuse("not_covering", q.prefix + " may not be announced as covering");
    default: break;
  }
  bool known = view.identities.count(q.identity) != 0 ||
               view.identities.count(q.identity + "@" + q.gateway) != 0;
  if (!known) return refuse("unknown_identity", "no rule names " + q.identity + " at " + q.gateway);
  return refuse("not_owner", q.prefix + " does not belong to " + q.identity);
}

}  // namespace

bool rule_matches(const Rule& rule, const std::string& identity, const std::string& gateway,
                  bool* elsewhere) {
  if (identity.empty() || rule.identity.rfind(identity, 0) != 0) return false;
  std::string_view rest = std::string_view(rule.identity).substr(identity.size());
  if (rest.empty()) return true;
  if (rest.front() != '@') return false;
  bool here = rest.substr(1) == gateway;
  if (!here && elsewhere != nullptr) *elsewhere = true;
  return here;
}

std::vector<Name> pools_of(const View& view, const Rule& rule) {
  std::vector<Name> pools;
  Name parent = rule.subtree.parent();
  if (!parent.empty() && view.is_pool(parent)) pools.push_back(parent);
  if (rule.depth == 0) return pools;
  // The subtree's own name and names below it, whose children are still within reach.
  auto inside = [&rule](const Name& name) {
    return rule.subtree.covers(name) &&
           name.component_count() - rule.subtree.component_count() < rule.depth;
  };
  for (auto it = view.rules.lower_bound(rule.subtree.text()); it != view.rules.end(); ++it) {
    if (it->first.rfind(rule.subtree.text(), 0) != 0) break;
    Name name = it->second.begin()->second.subtree;
    if (pools.size() < wire::kMaxGrantPools && inside(name) && view.is_pool(name)) {
      pools.push_back(name);
    }
  }
  return pools;
}

Status check_identity(std::string_view identity, bool gateway_allowed) {
  std::string_view base = identity.substr(0, identity.find('@'));
  bool bound = base.size() != identity.size();
  bool printable = std::all_of(identity.begin(), identity.end(),
                               [](char c) { return c > ' ' && c <= '~'; });
  bool kind = base.rfind("pod:", 0) == 0 || base.rfind("unit:", 0) == 0 || base.rfind("uid:", 0) == 0;
  bool named = !base.empty() && base.back() != ':';
  bool gateway = !bound || (gateway_allowed && identity.size() > base.size() + 1);
  if (kind && named && printable && gateway && identity.size() <= 200) return Ok{};
  return make_error(Errc::invalid, "identity '", identity, "' is not pod:NAME, unit:NAME or uid:N",
                    gateway_allowed ? ", perhaps with @GATEWAY" : "");
}

Decision decide(const View& view, const Question& q) {
  Result<Name> prefix = Name::parse(q.prefix);
  if (!prefix) return refuse("bad_name", prefix.error().message);
  Status identity = check_identity(q.identity, false);
  if (!identity) return refuse("unknown_identity", identity.error().message);
  const NodeRecord* gateway = view.node(q.gateway);
  if (gateway == nullptr || gateway->role != "sg" || gateway->node_id != q.node_id ||
      gateway->key != q.key) {
    return refuse("unknown_gateway", q.gateway + " is not a gateway of the registry under this key");
  }
  Fit best = Fit::other_owner;
  Decision yes;
  for (Name at = *prefix; !at.empty() && best != Fit::fits; at = at.parent()) {
    auto rules = view.rules.find(at.text());
    if (rules == view.rules.end()) continue;
    for (const auto& [owner, rule] : rules->second) {
      Fit fit = fit_of(rule, q, *prefix);
      if (fit == Fit::fits) yes.rule = rule;
      best = std::max(best, fit);
      if (best == Fit::fits) break;
    }
  }
  if (best != Fit::fits) return refusal_of(best, q, view);
  yes.pools = pools_of(view, yes.rule);
  Name pool = prefix->parent();
  bool joins = std::find(yes.pools.begin(), yes.pools.end(), pool) != yes.pools.end();
  if (q.join_pool && !joins) {
    std::string parent = pool.empty() ? "it has no parent that" : pool.text();
    return refuse("not_a_pool", q.prefix + " cannot join a pool: " + parent + " is no pool");
  }
  return yes;
}

}  // namespace dmsc::spad
