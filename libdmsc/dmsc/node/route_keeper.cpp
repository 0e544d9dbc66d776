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
      spf_(self),
      writer_(fib, writer_hooks()),
      rib_(self, writer_, 25, fib.key()),
      prefixes_(
          trust, rib_,
          [this](const wire::LsaKey& key) { return hooks_.read ? hooks_.read(key) : nullptr; },
          fib.key()) {
  prefixes_.when_over_limit(hooks_.over_limit);
}

RouteKeeper::~RouteKeeper() = default;

void RouteKeeper::stamp(std::uint64_t& writes, Time& last) {
  ++writes;
  if (clock_) last = clock_();
}

forwarding::FibWriter::Hooks RouteKeeper::writer_hooks() {
  return {[this](std::string_view prefix) {
            stamp(fib_writes_.prefixes, fib_writes_.last_prefix);
            if (!hooks_.route) return;
            if (auto name = Name::parse(prefix)) hooks_.route(*name);
          },
          [this](NodeId, bool fresh) {
            stamp(fib_writes_.nodes, fib_writes_.last_node);
            if (fresh) fib_writes_.last_new_node = fib_writes_.last_node;
          }};
}

bool RouteKeeper::trusted(NodeId origin) const {
  return origin == self_ || trust_.identity(origin) != nullptr;
}

void RouteKeeper::lsa_installed(Time now, DomainTime domain_now, const wire::Lsa& lsa) {
  if (lsa.key.type == wire::LsaType::node) {
    FragmentKey key{lsa.key.origin, lsa.key.fragment};
    apply_node(now, key, node_lsas_[key], lsa.body());
  } else if (lsa.key.type == wire::LsaType::prefix) {
    prefixes_.installed(domain_now, lsa);
  }
}

void RouteKeeper::lsa_removed(Time now, DomainTime domain_now, const wire::LsaKey& key) {
  if (key.type == wire::LsaType::node) {
    auto it = node_lsas_.find({key.origin, key.fragment});
    if (it == node_lsas_.end()) return;
    bool counted = it->second;
    node_lsas_.erase(it);
    if (counted) leave_topology(now, {key.origin, key.fragment});
  } else if (key.type == wire::LsaType::prefix) {
    prefixes_.removed(domain_now, key);
  }
}

void RouteKeeper::reconsider(Time now, DomainTime domain_now) {
  for (auto& [key, in_topology] : node_lsas_) read_node(now, key, in_topology);
  prefixes_.reconsider(domain_now);
}

void RouteKeeper::reconsider(Time now, DomainTime domain_now, NodeId origin) {
  for (auto it = node_lsas_.lower_bound({origin, 0});
       it != node_lsas_.end() && it->first.first == origin; ++it) {
    read_node(now, it->first, it->second);
  }
  prefixes_.reconsider(domain_now, origin);
}

void RouteKeeper::apply_node(Time now, const FragmentKey& key, bool& in_topology, ByteView raw) {
  if (trusted(key.first)) {
    in_topology = true;
    auto decoded = wire::decode_node_body(raw);
    wire::NodeBody body = decoded ? std::move(decoded).value() : wire::NodeBody{};
    if (link_mtus_.set(key.first, key.second, body)) path_mtus_stale_ = true;
    topology_changed(now, key.first, topology_.set(key.first, key.second, body));
  } else if (std::exchange(in_topology, false)) {
    leave_topology(now, key);
  }
}

void RouteKeeper::leave_topology(Time now, const FragmentKey& key) {
  if (link_mtus_.remove(key.first, key.second)) path_mtus_stale_ = true;
  topology_changed(now, key.first, topology_.remove(key.first, key.second));
}

// After a change of trust alone: what counts already is left as it is.
void RouteKeeper::read_node(Time now, const FragmentKey& key, bool& in_topology) {
  if (in_topology == trusted(key.first)) return;
  wire::LsaPtr lsa;
  if (hooks_.read) lsa = hooks_.read({key.first, wire::LsaType::node, key.second});
  if (lsa || in_topology) apply_node(now, key, in_topology, lsa ? lsa->body() : ByteView{});
}

void RouteKeeper::topology_changed(Time now, NodeId origin,
                                   const routing::TopologyChange& change) {
  if (change.changed) backoff_.event(now, change.bad_news || reaches_new(origin));
}

// A node that could not be reached and now may be: its packets die until SPF has run, so this good news
// is as urgent as bad news.
bool RouteKeeper::reaches_new(NodeId origin) const {
  auto unreachable = [this](NodeId node) {
    return rib_.distance(node) == routing::kUnreachable;
  };
  std::uint32_t index = topology_.index(origin);
  if (index == routing::Topology::kNone) return false;
  for (const routing::Edge& edge : topology_.edges(index)) {
    if (unreachable(origin) || unreachable(topology_.node(edge.to))) return true;
  }
  return false;
}

void RouteKeeper::link_up(LinkId link, NodeId neighbour, std::uint32_t metric) {
  own_links_[link] = OwnLink{neighbour, metric};
  fib_.set_link_alive(link.value, true);
  for (auto& [label, state] : labels_) {
    if (state.next == neighbour || state.link == link) refresh_label(state);
  }
}

void RouteKeeper::link_down(LinkId link) {
  own_links_.erase(link);
  fib_.set_link_alive(link.value, false);
  for (auto& [label, state] : labels_) {
    if (state.link == link) refresh_label(state);
  }
}

void RouteKeeper::link_drained(LinkId link, bool drained) {
  if (drained) drained_links_.insert(link);
  else drained_links_.erase(link);
  for (auto& [label, state] : labels_) refresh_label(state);
}

void RouteKeeper::tick(Time now) {
  backoff_.tick(now);
  auto due = backoff_.due();
  if (!due || *due > now) {
    run_alternates();
  } else {
    run_spf();
    backoff_.ran(now);
    if (hooks_.spf_done) hooks_.spf_done();
  }
  refresh_path_mtus();
}

// Not while SPF is to run: distances and links would not belong together.
void RouteKeeper::refresh_path_mtus() {
  if (!path_mtus_stale_ || backoff_.due() || !hooks_.path_mtus) return;
  path_mtus_stale_ = false;
  std::vector<routing::LabelledPath> labelled;
  for (const auto& [key, path] : paths_) {
    if (!path.obstacle) labelled.push_back({key.second, &path.nodes});
  }
  auto table = routing::path_mtus(topology_, spf_, link_mtus_, labelled);
  if (table == *path_mtus_) return;
  path_mtus_ = std::make_shared<const routing::PathMtuTable>(std::move(table));
  hooks_.path_mtus(path_mtus_);
}

std::optional<Time> RouteKeeper::next_deadline() const {
  auto due = backoff_.due();
  auto machine = backoff_.next_deadline();
  if (alternates_pending_ && !due) return Time{};  // next, but after whatever waits already
  if (!due) return machine;
  return machine ? std::min(*due, *machine) : *due;
}

void RouteKeeper::run_spf() {
  Time begin = clock_ ? clock_() : Time{};
  spf_.update(topology_);
  rib_.set_spf(topology_, spf_);
  path_mtus_stale_ = true;
  check_paths();
  // Before this node itself is in the topology there is nothing to protect.
  alternates_pending_ = topology_.index(self_) != routing::Topology::kNone;
  ++spf_runs_;
  if (clock_) last_spf_took_ = clock_() - begin;
}

// One slice. A topology that has changed meanwhile has its SPF first, which starts them anew.
void RouteKeeper::run_alternates() {
  constexpr std::size_t kNeighbours = 4;
  if (!alternates_pending_ || backoff_.due()) return;
  // Nodes heard of since that are linked to none are no event, and yet the topology has grown.
  if (spf_.update(topology_) != routing::Spf::Run::none) {
    rib_.set_spf(topology_, spf_);
  }
  if (!spf_.update_alternates(topology_, kNeighbours)) return;
  alternates_pending_ = false;
  rib_.set_spf(topology_, spf_);
  path_mtus_stale_ = true;
  if (hooks_.spf_done) hooks_.spf_done();
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
  LabelState& state = labels_[label];
  if (state.egress != egress || state.next != next) {
    fib_.remove_label(label);
    state = LabelState{label, egress, next, LinkId{}};
  }
  refresh_label(state);
  if (state.link) return Ok{};
  return make_error(Errc::unavailable, "no link to node ", std::to_string(next.value), " is up");
}

void RouteKeeper::remove_label(PathLabel label) {
  labels_.erase(label);
  fib_.remove_label(label);
}

void RouteKeeper::refresh_label(LabelState& state) {
  LinkId link = best_link(state.next);
  if (link == state.link) return;
  state.link = link;
  if (link) {
    fib_.set_label({state.label, state.egress, {link.value, state.next}});
  } else {
    fib_.remove_label(state.label);
  }
}

std::vector<RouteKeeper::LabelState> RouteKeeper::labels() const {
  std::vector<LabelState> out;
  for (const auto& [label, state] : labels_) out.push_back(state);
  return out;
}

void RouteKeeper::age_withdrawn(Time now) {
  constexpr Duration kInterval = minutes(5);
  if (now < withdrawn_aged_ + kInterval) return;
  withdrawn_aged_ = now;
  fib_.age_withdrawn();
}

void RouteKeeper::set_path(const Name& prefix, NodeId egress, PathLabel label,
                            std::vector<NodeId> nodes) {
  auto obstacle = routing::find_obstacle(topology_, nodes);
  paths_[{prefix, egress}] = {label, std::move(nodes), obstacle};
  publish_paths();
}

void RouteKeeper::clear_path(const Name& prefix, NodeId egress) {
  if (paths_.erase({prefix, egress}) != 0) publish_paths();
}

void RouteKeeper::publish_paths() {
  path_mtus_stale_ = true;
  std::vector<forwarding::PathUse> uses;
  for (const auto& [key, path] : paths_) {
    if (!path.obstacle) uses.push_back({key.second, key.first, path.label});
  }
  fib_.set_paths(std::move(uses));
}

// After SPF, so that packets which leave a path find the routes that avoid what is drained.
void RouteKeeper::check_paths() {
  bool changed = false;
  for (auto& [key, path] : paths_) {
    auto obstacle = routing::find_obstacle(topology_, path.nodes);
    changed = changed || obstacle.has_value() != path.obstacle.has_value();
    path.obstacle = obstacle;
  }
  if (changed) publish_paths();
}

}  // namespace dmsc::node
