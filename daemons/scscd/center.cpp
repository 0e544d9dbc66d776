#include "scscd/center.hpp"

#include <algorithm>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::scscd {
namespace {
namespace log = runtime::log;
constexpr auto kTick = std::chrono::milliseconds(100);
}  // namespace

Center::Center(boost::asio::io_context& io, Config config, runtime::Identity identity,
               trust::TrustStore trust, History history, std::uint64_t epoch)
    : io_(io),
      config_(std::move(config)),
      identity_(std::move(identity)),
      view_(trust.domain(), std::move(trust)),
      decider_(config_.decider, epoch),
      history_(std::move(history)),
      epoch_(epoch),
      server_(io, *this, epoch, config_.node.name,
              static_cast<std::uint32_t>(config_.report_interval / milliseconds(1))),
      timer_(io) {
  view_.set_now(runtime::now());
}

Status Center::start() {
  if (Status s = server_.start(config_.listen, config_.node.state_dir, identity_.certificate.domain); !s) return s;
  tick();
  return Ok{};
}

void Center::stop() {
  timer_.cancel();
  server_.stop();
}

Result<std::string> Center::reload(Config config) {
  if (config.listen != config_.listen || config.node != config_.node) {
    return make_error(Errc::unsupported, "node and listen change only by a restart");
  }
  config_ = std::move(config);
  decider_.reconfigure(config_.decider);
  return std::string("thresholds reloaded");
}

void Center::opened(NodeId node, const std::string& name, const std::vector<std::string>& held) {
  log::info("session-opened", {{"node", name}, {"id", node.value}, {"held", held.size()}});
  SessionState state;
  state.name = name;
  state.opened = runtime::now();
  sessions_[node] = std::move(state);
  watches_.erase(node);
  rollout_.session_opened(runtime::now(), node, held);
  choose_feeds();
}

void Center::closed(NodeId node) {
  log::warning("session-closed", {{"node", sessions_[node].name}, {"id", node.value}});
  if (sessions_[node].feed) view_.feed_lost(node);
  sessions_.erase(node);
  rollout_.session_closed(node);
  choose_feeds();
}

void Center::choose_feeds() {
  std::size_t feeds = 0;
  for (const auto& [node, state] : sessions_) feeds += state.feed ? 1 : 0;
  for (auto& [node, state] : sessions_) {
    if (feeds >= kFeeds) return;
    if (state.feed || !server_.subscribe(node, true)) continue;
    state.feed = true;
    ++feeds;
  }
}

void Center::telemetry(NodeId node, const Telemetry& telemetry) {
  Time now = runtime::now();
  SessionState& state = sessions_[node];
  state.last_report = now;
  ++state.reports;
  for (const LinkTelemetry& link : telemetry.links) {
    decider_.observe_link(now, node, link.neighbour, link.quality);
  }
  for (const InstanceTelemetry& i : telemetry.instances) {
    measure::Quality quality = i.quality;
    if (!quality.bandwidth_bps) {
      // A gateway sees no bandwidth end to end: it is the least of the links of the path.
      auto path = view_.spf_path(node, i.instance.egress);
      quality.bandwidth_bps = decider_.path_quality(path).bandwidth_bps;
    }
    decider_.observe(now, {node, i.prefix, i.instance}, quality);
  }
  for (const NameUse& use : telemetry.uses) {
    NameUse& sum = state.uses[use.prefix];
    sum.prefix = use.prefix;
    sum.calls += use.calls;
    sum.bytes += use.bytes;
  }
}

void Center::acknowledged(NodeId node, const std::string& id, std::uint64_t version, bool accepted,
                          const std::string& reason) {
  rollout_.acknowledged(runtime::now(), node, id, version, accepted, reason);
  if (!accepted) {
    log::warning("policy-refused", {{"node", sessions_[node].name}, {"policy", id},
                                    {"reason", reason}});
  }
}

void Center::lsdb(NodeId node, DomainView::Event event, std::uint64_t sequence, ByteView lsa) {
  SessionState& state = sessions_[node];
  ++state.lsdb_events;
  bool delta = event == DomainView::Event::installed || event == DomainView::Event::removed;
  if (delta && state.next_lsdb != 0 && sequence != state.next_lsdb) {
    // A lost delta would go unnoticed for ever: take a new snapshot.
    ++state.lsdb_gaps;
    state.next_lsdb = 0;
    log::warning("lsdb-gap", {{"node", state.name}, {"sequence", sequence}});
    server_.subscribe(node, false);
    server_.subscribe(node, true);
    return;
  }
  if (delta) state.next_lsdb = sequence + 1;
  if (Status s = view_.apply(node, event, lsa); !s) {
    ++bad_lsas_;
    log::warning("lsdb-event-refused", {{"node", state.name}, {"error", s.error()}});
  }
}

void Center::record(const Decision& decision) {
  log::info("decision", {{"what", decision.event}, {"subject", decision.subject},
                         {"reason", decision.reason}});
  if (Status s = history_.add(runtime::wall_seconds(), decision); !s) {
    log::error("history-failed", {{"error", s.error()}});
  }
}

void Center::update_watches() {
  std::map<NodeId, std::set<Name>> wanted;
  for (const auto& [target, state] : decider_.targets()) {
    if (state.watchdog.tripped()) wanted[target.ingress].insert(target.prefix);
  }
  for (const auto& [node, state] : sessions_) {
    std::set<Name>& have = watches_[node];
    if (have == wanted[node]) continue;
    have = wanted[node];
    server_.watch(node, {have.begin(), have.end()});
  }
}

void Center::tick() {
  Time now = runtime::now();
  view_.set_now(now);
  for (const Decision& decision : decider_.decide(now, view_, rollout_)) record(decision);
  for (const Outgoing& outgoing : rollout_.poll(now)) server_.send(outgoing);
  update_watches();
  timer_.expires_after(kTick);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) tick();
  });
}

std::vector<NodeId> Center::probe(const Name& prefix) {
  std::vector<NodeId> asked;
  for (const auto& [node, state] : sessions_) {
    const routing::NodeAttributes* body = view_.attributes(node);
    if (body == nullptr || body->role != wire::NodeRole::gateway) continue;
    if (server_.probe(node, prefix)) asked.push_back(node);
  }
  return asked;
}

Result<std::vector<PathCandidate>> Center::compute_path(const std::string& from,
                                                        const Name& prefix) {
  auto source = view_.node_by_name(from);
  if (!source) return make_error(Errc::not_found, "no node '", from, "' in the domain");
  std::vector<PathCandidate> out;
  for (const ServingInstance& serving : view_.instances(prefix)) {
    std::vector<NodeId> path = view_.spf_path(*source, serving.instance.egress);
    if (path.empty()) continue;
    PathCandidate c;
    c.egress = view_.node_name(serving.instance.egress);
    c.instance = serving.instance.id.value;
    for (NodeId node : path) c.path.push_back(view_.node_name(node));
    c.metric = view_.distance(*source, serving.instance.egress);
    c.quality = decider_.path_quality(path);
    auto target = decider_.targets().find({*source, prefix, serving.instance});
    if (target != decider_.targets().end() && target->second.watchdog.tripped()) {
      c.note = "tripped: " + target->second.watchdog.reason(runtime::now());
    }
    out.push_back(std::move(c));
  }
  if (out.empty()) {
    return make_error(Errc::not_found, "'", prefix.text(), "' has no reachable instance from ", from);
  }
  std::stable_sort(out.begin(), out.end(), [](const PathCandidate& a, const PathCandidate& b) {
    if (a.note.empty() != b.note.empty()) return a.note.empty();
    return a.metric < b.metric;
  });
  return out;
}

}  // namespace dmsc::scscd
