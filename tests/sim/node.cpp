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

SimNode::SimNode(Shared shared, NodeSpec spec, linkstate::EngineConfig config, Time now, Duration clock)
    : engine_(std::move(config), now + clock),
      clock_(clock),
      now_(now),
      spec_(spec),
      shared_(shared),
      trust_(make_store(shared.pki)),
      spf_(spec.id),
      fib_(crypto::Key16{}, reclaimer_),
      writer_(fib_),
      rib_(spec.id, *this) {
  trust_.share_certificates(shared_.certificates);
}

void SimNode::receive(Time now, LinkId link, Bytes datagram) {
  engine_.receive(now + clock_, link, datagram);
  shared_.primitives.recycle(std::move(datagram));
  settle(now);
}

void SimNode::tick(Time now) {
  engine_.tick(now + clock_);
  if (now + clock_ >= routes_due_) {
    backoff_.tick(now + clock_);
    run_alternates();
    routes_moved_ = true;
  }
  settle(now);
}

void SimNode::change_link(Time now, linkstate::LinkConfig link) {
  engine_.change_link(now + clock_, std::move(link));
  settle(now);
}

void SimNode::interface_state(Time now, LinkId link, bool up) {
  engine_.interface_state(now + clock_, link, up);
  settle(now);
}

void SimNode::set_drain(Time now, linkstate::DrainLevel level) {
  engine_.set_drain(now + clock_, level);
  settle(now);
}

void SimNode::set_link_drain(Time now, LinkId link, linkstate::DrainLevel level) {
  engine_.set_link_drain(now + clock_, link, level);
  settle(now);
}

void SimNode::set_overload(Time now, bool overload) {
  engine_.set_overload(now + clock_, overload);
  settle(now);
}

Time SimNode::deadline() const {
  Time due = std::min(engine_.next_deadline().value_or(Time::max()), routes_due_);
  return due == Time::max() ? due : due - clock_;
}

void SimNode::settle(Time world) {
  now_ = world;
  Time now = world + clock_;
  read_outputs(now);
  if (!routes_moved_ && now < routes_due_) return;
  routes_moved_ = false;
  if (backoff_.due() && *backoff_.due() <= now) run_spf(now);
  std::optional<Time> spf = backoff_.due();
  routes_due_ = std::min(spf.value_or(Time::max()), backoff_.next_deadline().value_or(Time::max()));
  if (alternates_pending_ && !spf) routes_due_ = now;  // next, but after whatever waits already
}

void SimNode::read_outputs(Time now) {
  for (bool more = true; more;) {
    more = false;  // until nothing the engine said made an input for it
    engine_.poll(shared_.outputs);
    for (linkstate::Output& output : shared_.outputs) {
      if (auto* t = std::get_if<linkstate::Transmit>(&output)) {
        shared_.wire.send(spec_.id.value - 1, t->link, std::move(t->datagram));
      } else if (auto* wanted = std::get_if<linkstate::VerifyWanted>(&output)) {
        more = judge(now, *wanted) || more;
      } else if (auto* change = std::get_if<linkstate::LsdbChanged>(&output)) {
        changed(now, *change);
      } else if (auto* up = std::get_if<linkstate::AdjacencyUp>(&output)) {
        fib_.set_link_alive(up->link.value, true);
        tell("link " + std::to_string(up->link.value) + " up");
        if (shared_.watch != nullptr) shared_.watch->links(spec_.id);
      } else if (auto* down = std::get_if<linkstate::AdjacencyDown>(&output)) {
        fib_.set_link_alive(down->link.value, false);
        tell("link " + std::to_string(down->link.value) + " to n" + std::to_string(down->neighbour.value) + " down: " + down->reason);
        adjacency_lost_ = now_;
        if (shared_.watch != nullptr) shared_.watch->links(spec_.id);
      } else if (auto* epoch = std::get_if<linkstate::Epoch>(&output)) {
        epoch_ = epoch->value;
      }
    }
  }
}

bool SimNode::judge(Time now, const linkstate::VerifyWanted& wanted) {
  trust::Verdict verdict = shared_.memo.judge(trust_, *wanted.lsa);
  if (verdict == trust::Verdict::unknown) {
    engine_.undecided(now, wanted.ticket);
    return false;
  }
  engine_.verdict(now, wanted.ticket, verdict == trust::Verdict::valid);
  return true;
}

void SimNode::changed(Time now, const linkstate::LsdbChanged& change) {
  const wire::Lsa& lsa = *change.lsa;
  routes_moved_ = true;
  bool gone = change.kind == linkstate::ChangeKind::removed;
  if (gone && shared_.mutation == Mutation::deaf_to_withdrawals) return;
  if (gone ? trust_.forget(lsa) : trust_.learn(lsa)) trust_changed(now, lsa.key.origin);
  if (change.kind == linkstate::ChangeKind::refreshed) return;
  if (lsa.key.type == wire::LsaType::node) {
    auto body = wire::decode_node_body(lsa.body());
    routing::TopologyChange moved = gone || !body
                                        ? topology_.remove(lsa.key.origin, lsa.key.fragment)
                                        : topology_.set(lsa.key.origin, lsa.key.fragment, *body);
    if (gone || !body) {
      link_mtus_.remove(lsa.key.origin, lsa.key.fragment);
    } else if (shared_.mutation != Mutation::deaf_to_mtus) {
      link_mtus_.set(lsa.key.origin, lsa.key.fragment, *body);
    }
    bool urgent = moved.bad_news || (moved && reaches_new(lsa.key.origin));
    if (moved) backoff_.event(now, urgent);
    tell_change(lsa, gone, moved, urgent);
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
      if (shared_.mutation == Mutation::any_origin ||
          trust_.may_announce(origin, entry.name, entry.covering, time).allowed ||
          trust_.may_join_pool(origin, entry.name, time).allowed) {
        allowed.push_back(entry);
      }
    }
  }
  rib_.set_prefixes(origin, allowed);
}

// As node::RouteKeeper has it: a node that could not be reached and now may be is as urgent as bad news.
bool SimNode::reaches_new(NodeId origin) const {
  auto unreachable = [this](NodeId node) { return rib_.distance(node) == routing::kUnreachable; };
  std::uint32_t index = topology_.index(origin);
  if (index == routing::Topology::kNone) return false;
  for (const routing::Edge& edge : topology_.edges(index)) {
    if (unreachable(origin) || unreachable(topology_.node(edge.to))) return true;
  }
  return false;
}

void SimNode::run_spf(Time now) {
  spf_.update(topology_);
  rib_.set_spf(topology_, spf_);
  alternates_pending_ = topology_.index(spec_.id) != routing::Topology::kNone;
  backoff_.ran(now);
  ++spf_runs_;
  tell("SPF");
}

// One slice, after next hops are published. A topology that has changed meanwhile has its SPF first.
void SimNode::run_alternates() {
  constexpr std::size_t kNeighbours = 4;
  if (!alternates_pending_ || backoff_.due()) return;
  if (spf_.update(topology_) != routing::Spf::Run::none) {
    rib_.set_spf(topology_, spf_);
  }
  if (!spf_.update_alternates(topology_, kNeighbours)) return;
  alternates_pending_ = false;
  rib_.set_spf(topology_, spf_);
}

void SimNode::announce(Time now, const Announced& what) {
  engine_.set_grants(now + clock_, what.grants);
  engine_.set_prefixes(now + clock_, what.entries);
}

void SimNode::inject(Time now, ByteView signed_object) {
  if (auto lsa = wire::make_spa_lsa(signed_object)) engine_.inject(now + clock_, *lsa);
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
  const forwarding::Match match = fib_.match(name);
  if (!match) return false;
  for (const forwarding::InstanceEntry& entry : match->instances()) {
    if (entry.egress == spec_.id) return true;
  }
  return false;
}

void SimNode::tell(const std::string& what) const {
  if (shared_.watch == nullptr || !shared_.watch->told()) return;
  static const char* const kStates[] = {"QUIET", "SHORT_WAIT", "LONG_WAIT"};
  auto ms = [](Duration d) { return std::to_string(d / milliseconds(1)) + " ms"; };
  std::string run = backoff_.due() ? ", SPF in " + ms(*backoff_.due() - now_ - clock_) : "";
  shared_.watch->tell(spec_.id, what + " (" + kStates[static_cast<int>(backoff_.state())] + ", gap " +
                                    ms(backoff_.gap()) + run + ")");
}

void SimNode::tell_change(const wire::Lsa& lsa, bool gone, bool moved, bool urgent) const {
  if (shared_.watch == nullptr || !shared_.watch->told()) return;
  shared_.watch->holds(spec_.id, lsa.key, gone ? wire::LsaVersion{} : lsa.version);
  if (!moved) return;
  tell((urgent ? "urgent news of n" : "good news of n") + std::to_string(lsa.key.origin.value) + "#" +
       std::to_string(lsa.version.sequence));
}

void SimNode::touched_route(const std::string& name) {
  fib_changed_ = now_;
  if (shared_.watch != nullptr) shared_.watch->route(spec_.id, name);
}

void SimNode::group_added(routing::InstanceGroupId group, bool covering,
                          std::span<const routing::GroupMember> members) {
  writer_.group_added(group, covering, members);
}

void SimNode::group_weights(routing::InstanceGroupId group, std::span<const std::uint32_t> weights) {
  writer_.group_weights(group, weights);
  for (const auto& [name, used] : group_of_) {
    if (used == group) touched_route(name);
  }
}

void SimNode::group_removed(routing::InstanceGroupId group) { writer_.group_removed(group); }

void SimNode::route_changed(std::string_view prefix, routing::InstanceGroupId group) {
  writer_.route_changed(prefix, group);
  std::string name(prefix);
  group_of_[name] = group;
  touched_route(name);
}

void SimNode::route_removed(std::string_view prefix) {
  writer_.route_removed(prefix);
  std::string name(prefix);
  group_of_.erase(name);
  touched_route(name);
}

void SimNode::touched_destination(NodeId node) {
  fib_changed_ = now_;
  if (shared_.watch != nullptr) shared_.watch->destination(spec_.id, node);
}

void SimNode::next_hops_added(routing::GroupId group, const routing::NextHopGroup& ways) {
  writer_.next_hops_added(group, ways);
}

void SimNode::next_hops_removed(routing::GroupId group) { writer_.next_hops_removed(group); }

void SimNode::destination_changed(NodeId node, std::uint32_t distance, routing::GroupId next_hops) {
  writer_.destination_changed(node, distance, next_hops);
  touched_destination(node);
}

void SimNode::destination_removed(NodeId node) {
  if (shared_.mutation == Mutation::stuck_fib) return;
  writer_.destination_removed(node);
  touched_destination(node);
}

}  // namespace dmsc::sim
