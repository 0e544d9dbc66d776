#include "dmsc/node/route_keeper.hpp"

#include <algorithm>

namespace dmsc::node {
RouteKeeper::RouteKeeper(NodeId self, const trust::TrustStore& trust, forwarding::Fib& fib,
                         Hooks hooks, routing::SpfDelayConfig delays)
    : self_(self),
      trust_(trust),
      fib_(fib),
      hooks_(std::move(hooks)),
      backoff_(delays),
      rib_(self, *this) {}

RouteKeeper::~RouteKeeper() = default;

bool RouteKeeper::trusted(NodeId origin) const {
  return origin == self_ || trust_.identity(origin) != nullptr;
}

void RouteKeeper::lsa_installed(Time now, DomainTime domain_now, const wire::Lsa& lsa) {
  FragmentKey key{lsa.key.origin, lsa.key.fragment};
  if (lsa.key.type == wire::LsaType::node) {
    auto body = wire::decode_node_body(lsa.body());
    node_bodies_[key] = body.ok() ? *body : wire::NodeBody{};
    apply_node(now, key.first, key.second);
  } else if (lsa.key.type == wire::LsaType::prefix) {
    auto body = wire::decode_prefix_body(lsa.body());
    wire::PrefixBody& held = prefix_bodies_[key.first][key.second];
    wire::PrefixBody next = body.ok() ? *body : wire::PrefixBody{};
    if (held == next && !next.entries.empty()) return;
    held = std::move(next);
    apply_prefixes(key.first, domain_now);
    find_expiry();
  }
}

void RouteKeeper::lsa_removed(Time now, DomainTime domain_now, const wire::LsaKey& key) {
  if (key.type == wire::LsaType::node) {
    if (node_bodies_.erase({key.origin, key.fragment}) == 0) return;
    if (in_topology_.erase({key.origin, key.fragment}) != 0) {
      topology_changed(now, key.origin, topology_.remove(key.origin, key.fragment));
    }
  } else if (key.type == wire::LsaType::prefix) {
    auto it = prefix_bodies_.find(key.origin);
    if (it == prefix_bodies_.end() || it->second.erase(key.fragment) == 0) return;
    if (it->second.empty()) prefix_bodies_.erase(it);
    apply_prefixes(key.origin, domain_now);
    find_expiry();
  }
}

void RouteKeeper::reconsider(Time now, DomainTime domain_now) {
  for (const auto& [key, body] : node_bodies_) apply_node(now, key.first, key.second);
  for (const auto& [origin, fragments] : prefix_bodies_) apply_prefixes(origin, domain_now);
  find_expiry();
}

void RouteKeeper::apply_node(Time now, NodeId origin, std::uint16_t fragment) {
  FragmentKey key{origin, fragment};
  if (trusted(origin)) {
    in_topology_.insert(key);
    topology_changed(now, origin, topology_.set(origin, fragment, node_bodies_[key]));
  } else if (in_topology_.erase(key) != 0) {
    topology_changed(now, origin, topology_.remove(origin, fragment));
  }
}

void RouteKeeper::topology_changed(Time now, NodeId origin,
                                   const routing::TopologyChange& change) {
  if (change.changed) backoff_.event(now, change.bad_news || reaches_new(origin));
}

// A node that could not be reached and now may be: its packets die until SPF has run, so this good news
// is as urgent as bad news.
bool RouteKeeper::reaches_new(NodeId origin) const {
  auto unreachable = [this](NodeId node) {
    const routing::Destination* d = rib_.destination(node);
    return d == nullptr || d->distance == routing::kUnreachable;
  };
  std::uint32_t index = topology_.index(origin);
  if (index == routing::Topology::kNone) return false;
  for (const routing::Edge& edge : topology_.edges(index)) {
    if (unreachable(origin) || unreachable(topology_.node(edge.to))) return true;
  }
  return false;
}

// By name, so that the domain's limits cut alike at every node.
std::vector<wire::PrefixEntry> RouteKeeper::entries_of(NodeId origin) const {
  std::vector<wire::PrefixEntry> out;
  auto it = prefix_bodies_.find(origin);
  if (it == prefix_bodies_.end()) return out;
  for (const auto& [fragment, body] : it->second) {
    out.insert(out.end(), body.entries.begin(), body.entries.end());
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.name < b.name;
  });
  return out;
}

bool RouteKeeper::usable(NodeId origin, const wire::PrefixEntry& entry, DomainTime domain_now,
                         std::string& reason, DomainTime& until) const {
  auto own = trust_.may_announce(origin, entry.name, entry.covering, domain_now);
  if (own.allowed) {
    until = own.until;
    return true;
  }
  // Joining a pool is originating its name (DESIGN section 3).
  auto pool = trust_.may_join_pool(origin, entry.name, domain_now);
  if (pool.allowed && !entry.covering) {
    until = pool.until;
    return true;
  }
  reason = own.reason;
  return false;
}

void RouteKeeper::apply_prefixes(NodeId origin, DomainTime domain_now) {
  auto first = refused_.lower_bound({origin, Name{}});
  while (first != refused_.end() && first->first.first == origin) first = refused_.erase(first);
  const wire::DomainParameters& limits = trust_.parameters();
  std::vector<wire::PrefixEntry> good;
  DomainTime earliest;
  for (wire::PrefixEntry& entry : entries_of(origin)) {
    Name name = entry.name;
    std::string reason;
    DomainTime until;
    if (good.size() >= limits.max_prefixes_per_node) {
      reason = "over the domain's limit of prefixes per node";
    } else if (usable(origin, entry, domain_now, reason, until)) {
      if (entry.instances.size() > limits.max_instances_per_prefix) {
        entry.instances.resize(limits.max_instances_per_prefix);
      }
      if (earliest == DomainTime{} || until < earliest) earliest = until;
      good.push_back(std::move(entry));
      continue;
    }
    refused_[{origin, name}] = reason;
  }
  if (good.empty()) {
    expiry_.erase(origin);
  } else {
    expiry_[origin] = earliest;
  }
  rib_.set_prefixes(origin, std::move(good));
}

void RouteKeeper::find_expiry() {
  next_expiry_ = DomainTime{};
  for (const auto& [origin, until] : expiry_) {
    if (next_expiry_ == DomainTime{} || until < next_expiry_) next_expiry_ = until;
  }
}

void RouteKeeper::link_up(LinkId link, NodeId neighbour, std::uint32_t metric) {
  own_links_[link] = OwnLink{neighbour, metric};
  fib_.set_link_alive(link.value, true);
  refresh_labels();
}

void RouteKeeper::link_down(LinkId link) {
  own_links_.erase(link);
  fib_.set_link_alive(link.value, false);
  refresh_labels();
}

void RouteKeeper::link_drained(LinkId link, bool drained) {
  if (drained) drained_links_.insert(link);
  else drained_links_.erase(link);
  refresh_labels();
}

void RouteKeeper::tick(Time now) {
  backoff_.tick(now);
  auto due = backoff_.due();
  if (!due || *due > now) return;
  run_spf();
  backoff_.ran(now);
  if (hooks_.spf_done) hooks_.spf_done();
}

std::optional<Time> RouteKeeper::next_deadline() const {
  auto due = backoff_.due();
  auto machine = backoff_.next_deadline();
  if (!due) return machine;
  return machine ? std::min(*due, *machine) : *due;
}

void RouteKeeper::run_spf() {
  Time begin = clock_ ? clock_() : Time{};
  routing::SpfResult result = routing::run_spf(topology_, self_);
  routing::add_alternates(topology_, result);
  rib_.set_spf(topology_, std::move(result));
  ++spf_runs_;
  if (clock_) last_spf_took_ = clock_() - begin;
}

LinkId RouteKeeper::best_link(NodeId neighbour) const {
  LinkId best;
  std::pair<bool, std::uint32_t> cost;
  for (const auto& [link, own] : own_links_) {
    std::pair<bool, std::uint32_t> here{drained_links_.count(link) != 0, own.metric};
    if (own.neighbour == neighbour && (!best || here < cost)) {
      best = link;
      cost = here;
    }
  }
  return best;
}

Status RouteKeeper::set_label(PathLabel label, NodeId egress, NodeId next) {
  labels_[label] = LabelState{label, egress, next, LinkId{}};
  refresh_labels();
  if (labels_[label].link) return Ok{};
  return make_error(Errc::unavailable, "no link to node ", std::to_string(next.value), " is up");
}

void RouteKeeper::remove_label(PathLabel label) {
  labels_.erase(label);
  fib_.remove_label(label);
}

void RouteKeeper::refresh_labels() {
  for (auto& [label, state] : labels_) {
    LinkId link = best_link(state.next);
    if (link == state.link) continue;
    state.link = link;
    if (link) {
      fib_.set_label({label, state.egress, {link.value, state.next}});
    } else {
      fib_.remove_label(label);
    }
  }
}

std::vector<RouteKeeper::LabelState> RouteKeeper::labels() const {
  std::vector<LabelState> out;
  for (const auto& [label, state] : labels_) out.push_back(state);
  return out;
}

std::vector<std::pair<NodeId, wire::PrefixEntry>> RouteKeeper::announced(const Name& name) const {
  std::vector<std::pair<NodeId, wire::PrefixEntry>> out;
  for (const auto& [origin, fragments] : prefix_bodies_) {
    for (const auto& [fragment, body] : fragments) {
      for (const wire::PrefixEntry& entry : body.entries) {
        if (entry.name == name) out.emplace_back(origin, entry);
      }
    }
  }
  return out;
}

void RouteKeeper::set_path(const Name& prefix, NodeId egress, PathLabel label) {
  paths_[{prefix, egress}] = label;
  publish_paths();
}

void RouteKeeper::clear_path(const Name& prefix, NodeId egress) {
  if (paths_.erase({prefix, egress}) != 0) publish_paths();
}

void RouteKeeper::publish_paths() {
  std::vector<forwarding::PathUse> uses;
  for (const auto& [key, label] : paths_) uses.push_back({key.second, key.first, label});
  fib_.set_paths(std::move(uses));
}

}  // namespace dmsc::node
