// Limits on origins and what is done about who exceeds them (docs/protocol.md, "Limits").
#include "dmsc/linkstate/limits.hpp"

#include <algorithm>

#include "dmsc/linkstate/impl.hpp"

namespace dmsc::linkstate {
namespace {

constexpr Duration kOverRateFor = seconds(10);  // without pause, until an offender is isolated
constexpr Duration kNeighbourRetry = seconds(10);

bool longer(const Name& name, const wire::DomainParameters& limits) {
  return name.text().size() > limits.max_name_bytes ||
         name.component_count() > limits.max_name_components;
}

std::optional<Excess> name_excess(const wire::Lsa& lsa, const wire::DomainParameters& limits) {
  if (lsa.key.type != wire::LsaType::prefix || lsa.purge) return std::nullopt;
  if (limits.max_name_bytes >= kMaxNameBytes && limits.max_name_components >= kMaxNameComponents) {
    return std::nullopt;  // every name there is
  }
  auto body = wire::decode_prefix_body(lsa.body());
  if (!body) return std::nullopt;  // refused by whoever uses it
  for (const wire::PrefixEntry& entry : body->entries) {
    if (longer(entry.name, limits)) return Excess{wire::Limit::names, entry.name.text()};
  }
  return std::nullopt;
}

wire::Limit limit_of(wire::LsaType type) {
  if (type == wire::LsaType::prefix) return wire::Limit::prefixes;
  return type == wire::LsaType::node ? wire::Limit::neighbours : wire::Limit::lsa;
}

}  // namespace

std::uint32_t fragments_allowed(wire::LsaType type, const wire::DomainParameters& limits) {
  std::uint32_t wanted = limits.max_unknown_fragments;
  switch (type) {
    case wire::LsaType::node:
      wanted = limits.max_adjacencies_per_node / kAdjacenciesPerFragment + 1;
      break;
    case wire::LsaType::prefix: wanted = limits.max_prefixes_per_node; break;
    case wire::LsaType::identity: wanted = 1; break;
    case wire::LsaType::grant: wanted = limits.max_grants_per_node; break;
    case wire::LsaType::authority:
    case wire::LsaType::revocation:
    case wire::LsaType::domain_parameters: wanted = 0; break;  // of issuers only
  }
  return std::min<std::uint32_t>(wanted, wire::kMaxLsaFragments);
}

std::optional<Excess> excess_of(const wire::Lsa& lsa, const wire::DomainParameters& limits) {
  if (is_issuer_origin(lsa.key.origin)) return std::nullopt;
  if (std::uint32_t most = fragments_allowed(lsa.key.type, limits); lsa.key.fragment >= most) {
    return Excess{limit_of(lsa.key.type), std::string(wire::to_string(lsa.key.type)) + " fragment " +
                                              std::to_string(lsa.key.fragment) + " of " +
                                              std::to_string(most) + " allowed"};
  }
  if (lsa.lifetime > limits.max_lsa_lifetime) {
    return Excess{wire::Limit::lsa, "lifetime of " + std::to_string(lsa.lifetime) + " s, " +
                                        std::to_string(limits.max_lsa_lifetime) + " allowed"};
  }
  return name_excess(lsa, limits);
}

// ---- what the engine does about it ---------------------------------------------------------------

// The origin's signature was found valid: it is to blame, whoever passed the LSA on.
bool Engine::Impl::within_limits(Time now, const wire::Lsa& lsa) {
  auto excess = excess_of(lsa, limits);
  if (!excess) return true;
  return exceeded(now, excess->limit, lsa.key.origin, excess->detail) == wire::LimitAction::warn;
}

wire::LimitAction Engine::Impl::exceeded(Time now, wire::Limit limit, NodeId offender,
                                         const std::string& detail) {
  wire::LimitAction action = limits.action(limit);
  if (action == wire::LimitAction::isolate) {
    ++counters.limit_isolated;
  } else if (limit != wire::Limit::rate) {  // that one only delays, and lsas_over_rate counts it
    ++(action == wire::LimitAction::warn ? counters.limit_warned : counters.limit_blocked);
  }
  auto [it, fresh] = blamed.try_emplace({offender, limit}, now);
  if (fresh || now >= it->second + kMisbehaviourGap) {
    it->second = now;
    emit(LimitExceeded{offender, limit, action, detail});
  }
  if (action == wire::LimitAction::isolate) isolate(now, offender, limit);
  return action;
}

void Engine::too_many_prefixes(Time now, NodeId origin, std::uint64_t count) {
  impl_->recorder.number(InputType::too_many_prefixes, now, origin.value, count);
  impl_->enter(now);
  if (origin == impl_->config.self || is_issuer_origin(origin)) return;
  impl_->exceeded(now, wire::Limit::prefixes, origin,
                  std::to_string(count) + " prefixes, " +
                      std::to_string(impl_->limits.max_prefixes_per_node) + " allowed");
}

// Every neighbour of the offender does so by itself: then nobody reaches it, nor it anybody.
void Engine::Impl::isolate(Time now, NodeId offender, wire::Limit limit) {
  std::string reason = std::string("isolated: over the limit of ") + wire::to_string(limit);
  for (auto& [id, l] : links) {
    if (l.state == AdjacencyState::down || l.peer.node != offender) continue;
    hold(now, l, reason, seconds(limits.isolate_seconds));
  }
}

void Engine::Impl::hold(Time now, Link& l, const std::string& reason, Duration time) {
  touch(l);
  say_goodbye(l, reason);
  drop(now, l, reason);
  l.down_reason = reason;  // also of one that was on its way up
  l.held_until = now + time;
  l.hello_due = *l.held_until;
}

// May this link's adjacency come up beside those that are?
bool Engine::Impl::room_for_adjacency(Time now, Link& l) {
  auto is_up = [](const auto& item) { return item.second.up(); };
  auto count = static_cast<std::uint32_t>(std::count_if(links.begin(), links.end(), is_up));
  if (count < limits.max_adjacencies_per_node) return true;
  std::string detail = "adjacency with node " + std::to_string(l.peer.node.value) + " on " +
                       l.config.name + ": " + std::to_string(count) + " are up";
  if (exceeded(now, wire::Limit::neighbours, config.self, detail) == wire::LimitAction::warn) return true;
  hold(now, l, "over the limit of neighbours", kNeighbourRetry);
  return false;
}

// Of an origin whose LSAs, found valid, wait for the rate.
void Engine::Impl::blame_rate(Time now, const WaitingTable::Item& item) {
  NodeId origin = item.lsa->key.origin;
  for (LinkId id : item.from) {
    auto since = admission.over_rate_since(id, origin);
    if (!since) continue;
    ++counters.lsas_over_rate;
    bool isolating = limits.action(wire::Limit::rate) == wire::LimitAction::isolate;
    if (isolating && now < *since + kOverRateFor) continue;
    if (!isolating && blamed.count({origin, wire::Limit::rate}) != 0 &&
        now < blamed[{origin, wire::Limit::rate}] + kMisbehaviourGap) {
      continue;
    }
    exceeded(now, wire::Limit::rate, origin,
             "more than " + std::to_string(limits.lsas_per_second) + " LSAs a second");
    return;
  }
}

// The root has spoken: what is held is judged by the new limits, alike everywhere. What is allowed
// again comes back by the digest.
void Engine::Impl::set_limits(Time now, const wire::Lsa& lsa) {
  auto object = wire::decode_object_body(lsa.body());
  auto fresh = object ? wire::decode_domain_parameters(*object)
                      : Result<wire::DomainParameters>(object.error());
  if (!fresh) return;  // judged valid by a trust store that knows more kinds of it than we do
  limits = *fresh;
  admission.set_rate({limits.lsas_per_second, limits.lsa_burst,
                      limits.action(wire::Limit::rate) != wire::LimitAction::warn});
  std::vector<std::uint64_t> over;
  lsdb.visit([&](const Lsdb::Entry& entry) {
    auto excess = excess_of(*lsdb.load(entry), limits);
    if (excess && limits.action(excess->limit) != wire::LimitAction::warn) over.push_back(entry.key);
  });
  for (std::uint64_t key : over) {
    auto mine = own.find(key);
    bool spoken = mine != own.end() && mine->second.wanted;
    wire::LsaKey k = wire::key_of(key);
    if (spoken && k.fragment < fragments_allowed(k.type, limits)) continue;  // said anew below
    remove(key);  // no purge: everybody does the same
    if (mine != own.end()) forget_own(mine);
  }
  apply_limits_to_own(now);
}

void Engine::Impl::apply_limits_to_own(Time now) {
  std::vector<wire::PrefixEntry> entries = std::exchange(prefixes_cut, {});
  std::map<std::pair<Name, std::uint16_t>, std::size_t> at;  // long lists of instances are in parts
  for (const auto& [id, entry] : prefixes) {
    auto [it, fresh] = at.try_emplace({entry.name, entry.interface}, entries.size());
    if (fresh) {
      entries.push_back(entry);
    } else {
      auto& list = entries[it->second].instances;
      list.insert(list.end(), entry.instances.begin(), entry.instances.end());
    }
  }
  if (prefix_fragments.highest() >= fragments_allowed(wire::LsaType::prefix, limits)) {
    set_prefixes(now, {});  // all move to fragments that are allowed, in one go
  }
  set_prefixes(now, std::move(entries));
  for (auto& [key, o] : own) {
    const Lsdb::Entry* entry = lsdb.find(key);
    if (o.wanted && entry != nullptr && entry->lifetime > limits.max_lsa_lifetime) {
      originate(now, key, o);
    }
  }
}

std::uint32_t Engine::Impl::own_lifetime() const {
  return std::min(config.lsa_lifetime, limits.max_lsa_lifetime);
}

}  // namespace dmsc::linkstate
