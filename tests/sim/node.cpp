#include "tests/sim/node.hpp"

#include <cstdio>
#include <cstdlib>

namespace dmsc::sim {
namespace {

trust::TrustStore make_store(const Pki& pki) {
  auto store = trust::TrustStore::create(kDomain, pki.root());
  if (!store) {
    std::fprintf(stderr, "trust store: %s\n", store.error().message.c_str());
    std::abort();
  }
  return std::move(store).value();
}

}  // namespace

SimNode::SimNode(Shared shared, NodeSpec spec, linkstate::EngineConfig config, Time now,
                 std::function<void(LinkId, Bytes)> send)
    : shared_(shared),
      spec_(spec),
      send_(std::move(send)),
      engine_(std::move(config), now),
      trust_(make_store(shared.pki)),
      fib_(crypto::Key16{}, reclaimer_),
      rib_(spec.id, *this) {}

void SimNode::receive(Time now, LinkId link, ByteView datagram) {
  engine_.receive(now, link, datagram);
  settle(now);
}

void SimNode::tick(Time now) {
  engine_.tick(now);
  backoff_.tick(now);
  settle(now);
}

std::optional<Time> SimNode::deadline() const {
  std::optional<Time> due = engine_.next_deadline();
  for (std::optional<Time> other : {backoff_.due(), backoff_.next_deadline()}) {
    if (other && (!due || *other < *due)) due = other;
  }
  return due;
}

void SimNode::settle(Time now) {
  for (bool more = true; more;) {
    more = false;
    for (linkstate::Output& output : engine_.poll()) {
      more = true;
      if (auto* t = std::get_if<linkstate::Transmit>(&output)) {
        send_(t->link, std::move(t->datagram));
      } else if (auto* wanted = std::get_if<linkstate::VerifyWanted>(&output)) {
        judge(now, *wanted);
      } else if (auto* change = std::get_if<linkstate::LsdbChanged>(&output)) {
        changed(now, *change);
      } else if (auto* up = std::get_if<linkstate::AdjacencyUp>(&output)) {
        fib_.set_link_alive(up->link.value, true);
      } else if (auto* down = std::get_if<linkstate::AdjacencyDown>(&output)) {
        fib_.set_link_alive(down->link.value, false);
      } else if (auto* epoch = std::get_if<linkstate::Epoch>(&output)) {
        epoch_ = epoch->value;
      }
    }
  }
  if (backoff_.due() && *backoff_.due() <= now) run_spf(now);
}

void SimNode::judge(Time now, const linkstate::VerifyWanted& wanted) {
  trust::Verdict verdict = shared_.memo.judge(trust_, *wanted.lsa);
  if (verdict == trust::Verdict::unknown) return engine_.undecided(now, wanted.ticket);
  engine_.verdict(now, wanted.ticket, verdict == trust::Verdict::valid);
}

void SimNode::changed(Time now, const linkstate::LsdbChanged& change) {
  const wire::Lsa& lsa = *change.lsa;
  bool gone = change.kind == linkstate::ChangeKind::removed;
  if (gone ? trust_.forget(lsa) : trust_.learn(lsa)) trust_changed(now, lsa.key.origin);
  if (change.kind == linkstate::ChangeKind::refreshed) return;
  if (lsa.key.type == wire::LsaType::node) {
    auto body = wire::decode_node_body(lsa.body());
    routing::TopologyChange moved = gone || !body
                                        ? topology_.remove(lsa.key.origin, lsa.key.fragment)
                                        : topology_.set(lsa.key.origin, lsa.key.fragment, *body);
    if (moved) backoff_.event(now, moved.bad_news);
  } else if (lsa.key.type == wire::LsaType::prefix) {
    auto body = wire::decode_prefix_body(lsa.body());
    if (gone || !body) {
      prefix_lsas_[lsa.key.origin].erase(lsa.key.fragment);
    } else {
      prefix_lsas_[lsa.key.origin][lsa.key.fragment] = std::move(body).value();
    }
    rebuild_prefixes(lsa.key.origin);
  }
}

// What a node says of itself concerns its own prefixes; what an issuer says may concern all. The
// engine itself asks again for LSAs that waited for an identity or an issuer.
void SimNode::trust_changed(Time now, NodeId origin) {
  if (!is_issuer_origin(origin)) return rebuild_prefixes(origin);
  trust_.heard_time(now, trust_.newest_signed());
  for (const auto& [node, fragments] : prefix_lsas_) rebuild_prefixes(node);
}

// Every node checks the grant before a prefix enters its RIB, its own prefixes included.
void SimNode::rebuild_prefixes(NodeId origin) {
  auto held = prefix_lsas_.find(origin);
  if (held == prefix_lsas_.end()) return;
  std::vector<wire::PrefixEntry> allowed;
  for (const auto& [fragment, body] : held->second) {
    for (const wire::PrefixEntry& entry : body.entries) {
      DomainTime time{kDomainTime};
      if (trust_.may_announce(origin, entry.name, entry.covering, time).allowed ||
          trust_.may_join_pool(origin, entry.name, time).allowed) {
        allowed.push_back(entry);
      }
    }
  }
  rib_.set_prefixes(origin, std::move(allowed));
}

void SimNode::run_spf(Time now) {
  routing::SpfResult result = routing::run_spf(topology_, spec_.id);
  routing::add_alternates(topology_, result);
  rib_.set_spf(topology_, std::move(result));
  backoff_.ran(now);
}

void SimNode::announce(Time now, const Announced& what) {
  engine_.set_grants(now, what.grants);
  engine_.set_prefixes(now, what.entries);
}

void SimNode::inject(Time now, ByteView signed_object) {
  if (auto lsa = wire::make_spa_lsa(signed_object)) engine_.inject(now, *lsa);
}

std::set<std::string> SimNode::names_of(NodeId origin) const {
  std::set<std::string> names;
  auto it = prefix_lsas_.find(origin);
  if (it == prefix_lsas_.end()) return names;
  for (const auto& [fragment, body] : it->second) {
    for (const wire::PrefixEntry& entry : body.entries) names.insert(entry.name.text());
  }
  return names;
}

bool SimNode::serves(std::string_view name) const {
  const forwarding::InstanceGroup* group = fib_.match(name);
  if (group == nullptr) return false;
  for (const forwarding::InstanceEntry& entry : group->instances) {
    if (entry.egress == spec_.id) return true;
  }
  return false;
}

void SimNode::route_changed(const routing::RibRoute& route) {
  forwarding::InstanceGroup group{route.prefix, route.covering, {}, 0};
  for (const routing::InstanceChoice& c : route.choices) {
    group.instances.push_back(
        {c.instance.egress, c.instance.id, c.weight, c.distance, c.draining, c.covering});
  }
  fib_.set_prefix(std::move(group));
}

void SimNode::route_removed(const Name& prefix) { fib_.remove_prefix(prefix); }

void SimNode::destination_changed(NodeId node, const routing::Destination& destination) {
  forwarding::NodeRoute route;
  route.distance = destination.distance;
  for (const routing::FirstHop& hop : destination.next_hops) {
    route.next_hops.push_back({hop.link, hop.neighbour});
  }
  if (destination.alternate) {
    route.alternate = forwarding::NextHop{destination.alternate->link, destination.alternate->neighbour};
  }
  fib_.set_node(node, std::move(route));
}

void SimNode::destination_removed(NodeId node) { fib_.remove_node(node); }

}  // namespace dmsc::sim
