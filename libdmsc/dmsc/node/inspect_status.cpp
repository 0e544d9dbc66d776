// status, neighbors, links, counters.
#include "dmsc/node/inspect.hpp"

namespace dmsc::node {

namespace {

std::string hex(U128 v) {
  ByteWriter w;
  w.u128(v);
  return to_hex(w.view());
}

Json record_json(const RecordFile* record) {
  if (record == nullptr) return Json();
  return Json{{"file", record->path()},
              {"written_bytes", record->bytes()},
              {"limit_bytes", record->limit()},
              {"stopped", record->stopped()}};
}

}  // namespace

Json NodeImpl::links_drained() const {
  Json out = Json::array();
  for (const auto& [name, drain] : drains_.links) out.push_back(name);
  return out;
}

Json NodeImpl::status() const {
  std::size_t up = 0;
  for (const auto& [id, link] : links_) up += link.adjacent ? 1 : 0;
  const routing::Spf::Protected protection = routes_.protection();
  return Json{{"name", identity_.name},
              {"id", identity_.id.value},
              {"domain", identity_.domain},
              {"role", identity_.role == wire::NodeRole::gateway ? "gateway" : "router"},
              {"waiting_for", waiting_for()},
              {"synchronised", engine_.synchronised()},
              {"drain", drain_word(LinkId{0})},
              {"drained", drains_.node ? drains_.node->reason : ""},
              {"links_drained", links_drained()},
              {"neighbors_up", up},
              {"neighbors_configured", links_.size()},
              {"lsas", engine_.lsa_count()},
              {"digest", hex(engine_.digest())},
              {"lsdb_bytes", engine_.lsdb_memory().held_bytes},
              {"lsas_waiting_for_trust", verifier_.pending()},
              {"prefixes", plane_->fib().prefix_count()},
              {"prefixes_refused",
               routes_.prefixes().counts().entries - routes_.prefixes().counts().used},
              {"instance_groups", routes_.rib().group_count()},
              {"rib_bytes", routes_.rib().memory().total() + routes_.prefixes().bytes()},
              {"fib_bytes", plane_->fib().memory().total()},
              {"nodes", plane_->fib().node_count()},
              {"protected_against_node_loss", protection.node},
              {"protected_against_link_loss", protection.link},
              {"unprotected", protection.none},
              {"spf_runs", routes_.spf_runs()},
              {"spa", connected_spa()},
              {"domain_time", trust_.domain_time(now()).seconds},
              {"workers", plane_->workers().size()},
              {"record", record_json(record_.get())}};
}

}  // namespace dmsc::node

namespace dmsc::node::inspect {

// Who drains what at this link; blank while nothing is.
std::string drain_of(const NodeImpl& node, const linkstate::NeighbourView& view) {
  std::string word = node.drain_word(view.link), out = word == "none" ? "" : word;
  auto add = [&out](const char* text) { out += (out.empty() ? "" : ", ") + std::string(text); };
  if (view.neighbour_drains) add("by neighbor");
  const routing::NodeAttributes* peer = node.topology().attributes(view.neighbour);
  if (peer != nullptr && peer->overload) add("no transit");
  return out;
}

Json neighbor(const NodeImpl& node, const linkstate::NeighbourView& view, const LinkRecord& link) {
  return Json{{"link", view.link_name},
              {"neighbour", view.neighbour ? view.neighbour_name : link.settings.peer},
              {"id", view.neighbour.value},
              {"state", linkstate::to_string(view.state)},
              {"data_path", !link.adjacent ? "-" : link.usable ? "up" : "dead"},
              {"up_ms", ms(view.up_for)},
              {"rtt_ms", ms(view.rtt)},
              {"jitter_ms", ms(view.jitter)},
              {"loss_percent", view.loss * 100},
              {"metric", view.metric},
              {"drain", drain_of(node, view)},
              {"synchronised", view.synchronised},
              {"unacknowledged", view.unacknowledged},
              {"queued", view.queued},
              {"flaps", view.flaps},
              {"held_ms", view.held_for > Duration::zero() ? Json(ms(view.held_for)) : Json()},
              {"last_down", view.last_down_reason},
              {"session", view.session.value},
              {"worker_ports", view.data.worker_ports},
              {"mtu", view.path_mtu},
              {"address", node.control().remote(view.link).text()}};
}

Json neighbors(const NodeImpl& node, const linkstate::Engine& engine) {
  Json rows = Json::array();
  for (const linkstate::NeighbourView& view : engine.neighbours(node.now())) {
    auto it = node.links().find(view.link);
    if (it != node.links().end()) rows.push_back(neighbor(node, view, it->second));
  }
  return rows;
}

Json discovery(const NodeImpl& node) {
  Json rows = Json::array();
  for (const auto& [name, finder] : node.finders()) {
    Json base{{"finder", name},
              {"interface", finder->settings().interface},
              {"local", finder->local().valid() ? finder->local().text() : ""}};
    if (finder->neighbours().empty()) rows.push_back(base);
    for (const auto& [id, n] : finder->neighbours()) {
      Json row = base;
      row["neighbour"] = n.name;
      row["id"] = id.value;
      row["address"] = finder->endpoint_text(n.at);
      row["heard_ms"] = ms(node.now() - n.heard);
      row["hold_ms"] = ms(n.hold);
      row["adjacent"] = n.adjacent;
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Json links(const NodeImpl& node) {
  Json rows = Json::array();
  std::map<LinkId, dataplane::LinkStats> stats;
  for (auto& s : const_cast<NodeImpl&>(node).data_plane().link_stats()) stats[s.link] = s;
  for (const LinkQuality& q : node.link_quality()) {
    const dataplane::LinkStats& s = stats[q.link];
    bool known = q.capacity_bps != 0;
    rows.push_back(Json{{"link", q.name},
                        {"id", q.link.value},
                        {"neighbour", node.name_of(q.neighbour)},
                        {"state", !q.up ? "down" : q.usable ? "up" : "data path dead"},
                        {"delay_ms", ms(q.delay)},
                        {"jitter_ms", ms(q.jitter)},
                        {"loss_percent", q.loss * 100},
                        {"data_rtt_ms", ms(s.path.round_trip)},
                        {"capacity_bps", known ? Json(q.capacity_bps) : Json()},
                        {"used_bps", q.used_bps},
                        {"available_bps", known ? Json(q.available_bps) : Json()},
                        {"probes_sent", s.path.sent},
                        {"probes_answered", s.path.answered},
                        {"packets_in", s.counters.packets_in},
                        {"in_bytes", s.counters.bytes_in},
                        {"packets_out", s.counters.packets_out},
                        {"out_bytes", s.counters.bytes_out}});
  }
  return rows;
}

namespace {

Json data_counters(const dataplane::CounterValues& c) {
  Json drops = Json::object();
  for (std::size_t i = 1; i < c.drops.size(); ++i) {
    drops[forwarding::to_string(static_cast<forwarding::DropReason>(i))] = c.drops[i];
  }
  return Json{{"received", c.received},
              {"packets_in", c.packets_in},   {"in_bytes", c.bytes_in},
              {"packets_out", c.packets_out}, {"out_bytes", c.bytes_out},
              {"originated", c.originated},   {"forwarded", c.forwarded},
              {"delivered", c.delivered},     {"ended", c.ended},
              {"by_name", c.by_name},
              {"by_label", c.by_label},       {"repaired", c.repaired},
              {"probes_answered", c.probes_answered},
              {"errors_sent", c.errors_sent}, {"errors_suppressed", c.errors_suppressed},
              {"trains_in", c.trains_in}, {"trains_out", c.trains_out},
              {"trains_refused", c.trains_refused},
              {"drops", drops},
              {"drops_elsewhere", c.drops_elsewhere},
              {"unaccounted", c.unaccounted()}};
}

Json control_counters(const linkstate::EngineCounters& c) {
  return Json{{"packets_in", c.packets_in},
              {"packets_out", c.packets_out},
              {"in_bytes", c.bytes_in},
              {"out_bytes", c.bytes_out},
              {"auth_failures", c.auth_failures},
              {"replays", c.replays},
              {"malformed", c.malformed},
              {"strangers", c.strangers},
              {"reflected", c.reflected},
              {"refused_hellos", c.refused_hellos},
              {"hellos_in", c.hellos_in},
              {"hellos_out", c.hellos_out},
              {"keepalives_in", c.keepalives_in},
              {"keepalives_out", c.keepalives_out},
              {"lsas_in", c.lsas_in},
              {"lsas_new", c.lsas_new},
              {"lsas_duplicate", c.lsas_duplicate},
              {"lsas_older", c.lsas_older},
              {"lsas_out", c.lsas_out},
              {"acks_in", c.acks_in},
              {"acks_out", c.acks_out},
              {"retransmissions", c.retransmissions},
              {"verify_wanted", c.verify_wanted},
              {"verify_failed", c.verify_failed},
              {"limit_warned", c.limit_warned},
              {"limit_blocked", c.limit_blocked},
              {"limit_isolated", c.limit_isolated},
              {"lsas_over_rate", c.lsas_over_rate},
              {"digest_repairs", c.digest_repairs},
              {"originated", c.originated},
              {"purged", c.purged},
              {"expired", c.expired}};
}

// Instants (_us) are of the machine's monotonic clock, for programs: they compare with those of other nodes in a lab.
// Beside each is how long ago it was, for people; null if it never was.
Json fib_writes(const NodeImpl& node) {
  const RouteKeeper::FibWrites& w = node.routes().fib_writes();
  auto us = [](Time at) { return at.time_since_epoch() / microseconds(1); };
  auto ago = [now = node.now()](Time at) { return at == Time{} ? Json() : Json(ms(now - at)); };
  return Json{{"node_routes_written", w.nodes},
              {"prefix_routes_written", w.prefixes},
              {"last_node_route_us", us(w.last_node)},
              {"last_new_node_us", us(w.last_new_node)},
              {"last_prefix_route_us", us(w.last_prefix)},
              {"last_drain_us", us(node.drained_at())},
              {"last_node_route_ago_ms", ago(w.last_node)},
              {"last_new_node_ago_ms", ago(w.last_new_node)},
              {"last_prefix_route_ago_ms", ago(w.last_prefix)},
              {"last_drain_ago_ms", ago(node.drained_at())},
              {"spf_runs", node.routes().spf_runs()},
              {"spf_ms", ms(node.routes().last_spf_took())}};
}

}  // namespace

Json counters(const NodeImpl& node, linkstate::Engine& engine, dataplane::DataPlane& plane) {
  Json control = control_counters(engine.counters());
  control["unknown_sources"] = node.control().unknown_sources();
  control["socket_wakeups"] = node.control().wakeups();
  return Json{{"data", data_counters(plane.counters())},
              {"control", control},
              {"fib", fib_writes(node)},
              {"nodes", plane.fib().node_count()},
              {"prefixes", plane.fib().prefix_count()}};
}

}  // namespace dmsc::node::inspect
