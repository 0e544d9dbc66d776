#include "sgd/registrar.hpp"

#include <boost/asio/post.hpp>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::sgd {

namespace asio = boost::asio;
namespace log = runtime::log;

namespace {

// How long one question may go from SPA to SPA.
constexpr Duration kAskTimeout = seconds(2);
// The gateway looks at its announcements at least so often: domain time moves by itself.
constexpr Duration kIdleTick = seconds(1);
// What a crash may cost: instances announced so shortly before it come back under new ids.
constexpr Duration kSaveDelay = milliseconds(50);

std::string random_lease() { return to_hex(runtime::random_array<16>()); }

}  // namespace

Announcements::Config Registrar::announcements_config(const Config& config) {
  Announcements::Config out;
  out.self = node_.identity().id;
  out.grace = config.grace;
  out.new_instance = [this] {
    return ids_.next([this](InstanceId id) {
      for (const LocalInstance& i : announcements_.instances()) {
        if (i.id == id) return true;
      }
      return false;
    });
  };
  out.interface_of = [this](const std::string& identity) {
    auto it = interface_of_.find(identity);
    return it == interface_of_.end() ? std::uint16_t{0} : it->second;
  };
  return out;
}

Registrar::Registrar(node::Node& node, const Config& config, const IdentityResolver& identities,
                     InstanceIds ids, std::function<void(GatewayViewPtr)> changed)
    : node_(node),
      ids_(std::move(ids)),
      changed_(std::move(changed)),
      config_(config),
      announcements_(announcements_config(config)),
      server_(node.io(), identities, *this),
      view_(std::make_shared<GatewayView>()),
      timer_(node.io()),
      save_timer_(node.io()),
      store_(config.router.node.state_dir) {}

Registrar::~Registrar() { stop(); }

dmsc::Status Registrar::start(const std::string& pod_socket) {
  restore();
  if (auto taken = reload(config_); !taken) return taken;
  lsdb_listener_ = node_.subscribe_lsdb([this](const node::LsdbEvent& e) { lsdb_changed(e); });
  trust_listener_ = node_.on_trust([this] {
    announcements_.revoke(node_.now(), [this](const wire::ObjectHeader& header) {
      return node_.trust().revoked({header.issuer, header.serial});
    });
    pump();
  });
  auto started = server_.start(pod_socket);
  if (started) pump();
  return started;
}

void Registrar::stop() {
  if (stopped_) return;
  stopped_ = true;
  *alive_ = false;
  timer_.cancel();
  save_timer_.cancel();
  if (save_due_) store_.save(announcements_.saved());
  store_.flush();
  if (lsdb_listener_ != 0) node_.remove_listener(lsdb_listener_);
  if (trust_listener_ != 0) node_.remove_listener(trust_listener_);
  server_.stop();
}

dmsc::Status Registrar::reload(const Config& config) {
  auto drop_ins = config.services_dir.empty() ? Result<std::vector<DropIn>>(std::vector<DropIn>())
                                              : read_services_dir(config.services_dir);
  if (!drop_ins) return drop_ins.error();
  config_ = config;
  announcements_.set_grace(config.grace);
  netns_of_.clear();
  interface_of_.clear();
  for (const PodNamespace& pod : config.edge.pods) {
    netns_of_["pod:" + pod.name] = pod.netns;
    interface_of_["pod:" + pod.name] = static_cast<std::uint16_t>(interface_of_.size() + 1);
  }
  set_drop_ins(std::move(*drop_ins));
  view_dirty_ = true;
  if (lsdb_listener_ != 0) pump();
  return Ok{};
}

// Every drop-in has a lease of its own that nobody keeps but its file.
void Registrar::set_drop_ins(std::vector<DropIn> drop_ins) {
  std::map<std::string, DropIn> next;
  for (DropIn& drop_in : drop_ins) {
    next["drop-in:" + drop_in.identity + ":" + drop_in.service.prefix.text()] = std::move(drop_in);
  }
  const Time now = node_.now();
  for (const auto& [lease, drop_in] : drop_ins_) {
    if (next.count(lease) == 0) announcements_.close(now, lease);
  }
  for (const auto& [lease, drop_in] : next) {
    if (drop_ins_.count(lease) == 0) {
      announcements_.open_permanent(now, drop_in.identity, lease);
      log::info("drop-in", {{"file", drop_in.file}, {"identity", drop_in.identity},
                            {"prefix", drop_in.service.prefix.text()}});
    }
    announcements_.announce(now, lease, drop_in.service);
  }
  drop_ins_ = std::move(next);
}

void Registrar::set_draining(bool draining, const std::string& reason) {
  announcements_.set_draining(draining);
  if (draining) server_.drain_all(reason);
  pump();
}

// ---- streams ------------------------------------------------------------------------------------

const std::string* Registrar::lease_of(StreamId stream) const {
  auto it = streams_.find(stream);
  return it == streams_.end() ? nullptr : &it->second.lease;
}

void Registrar::pod_hello(StreamId stream, const PeerIdentity& peer, const std::string& client,
                          const std::string& resume_lease) {
  if (streams_.count(stream) != 0) return server_.end(stream, "hello is said once");
  const std::string lease =
      announcements_.open(node_.now(), peer.name, resume_lease, random_lease());
  streams_[stream] = {lease, client.substr(0, 100), peer};
  stream_of_[lease] = stream;
  log::info("lease-opened", {{"identity", peer.name}, {"pid", peer.pid}, {"lease", lease},
                             {"client", client.substr(0, 100)},
                             {"resumed", !resume_lease.empty() && lease == resume_lease}});
  server_.welcome(stream, {lease, peer.name, node_.identity().name, node_.identity().domain,
                           config_.grace});
  pump();
}

void Registrar::pod_announce(StreamId stream, AnnouncedService service) {
  const std::string* lease = lease_of(stream);
  if (lease == nullptr) return server_.end(stream, "hello comes first");
  announcements_.announce(node_.now(), *lease, std::move(service));
  pump();
}

void Registrar::pod_invalid(StreamId stream, const std::string& prefix, const std::string& why) {
  const std::string* lease = lease_of(stream);
  if (lease == nullptr) return server_.end(stream, "hello comes first");
  announcements_.invalid(*lease, prefix, why);
  pump();
}

void Registrar::pod_withdraw(StreamId stream, const std::string& prefix) {
  const std::string* lease = lease_of(stream);
  if (lease == nullptr) return server_.end(stream, "hello comes first");
  announcements_.withdraw(node_.now(), *lease, prefix);
  pump();
}

void Registrar::pod_checked(StreamId stream, std::uint64_t id, bool healthy,
                            const std::string& detail) {
  const std::string* lease = lease_of(stream);
  if (lease == nullptr) return server_.end(stream, "hello comes first");
  announcements_.checked(node_.now(), *lease, id, healthy, detail);
  pump();
}

void Registrar::pod_closed(StreamId stream) {
  auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  Stream closed = std::move(it->second);
  streams_.erase(it);
  auto keeper = stream_of_.find(closed.lease);
  if (keeper == stream_of_.end() || keeper->second != stream) return;  // resumed by another
  stream_of_.erase(keeper);
  log::info("lease-broken", {{"identity", closed.peer.name}, {"lease", closed.lease}});
  announcements_.broken(node_.now(), closed.lease);
  pump();
}

// ---- the work -----------------------------------------------------------------------------------

void Registrar::pump() {
  pump_again_ = true;
  if (pumping_ || stopped_) return;
  pumping_ = true;
  while (pump_again_) {
    pump_again_ = false;
    for (const auto& question : announcements_.take_questions()) ask(question);
    for (const auto& run : announcements_.take_checks()) run_check(run);
    for (const auto& status : announcements_.take_statuses()) tell(status);
  }
  if (announcements_.take_changed()) publish();
  if (view_dirty_) make_view();
  pumping_ = false;
  arm();
}

void Registrar::arm() {
  const Time now = node_.now();
  Time at = now + kIdleTick;
  if (auto next = announcements_.deadline()) at = std::min(at, *next);
  timer_.expires_after(std::max<Duration>(at - now, milliseconds(1)));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    announcements_.tick(node_.now(), node_.domain_time());
    pump();
  });
}

void Registrar::ask(const Announcements::Question& question) {
  ++asked_;
  node::AuthenticationRequest request{question.identity, question.prefix, question.covering,
                                      question.join_pool};
  auto done = [this, ticket = question.ticket,
               alive = alive_](Result<node::AuthenticationAnswer> answer) {
    if (!*alive) return;
    const DomainTime domain = node_.domain_time();
    if (!answer) {
      ++unanswered_;
      announcements_.answered(node_.now(), domain, ticket, answer.error());
    } else {
      announcements_.answered(node_.now(), domain, ticket,
                              Announcements::Answer{std::move(answer->grant), answer->refusal_code,
                                                    answer->refusal});
    }
    pump();
  };
  node_.authenticate(std::move(request), kAskTimeout, std::move(done));
}

void Registrar::run_check(const Announcements::CheckRun& run) {
  if (run.check.kind == CheckKind::self || run.check.kind == CheckKind::command) {
    auto stream = stream_of_.find(run.lease);
    if (stream != stream_of_.end()) {
      server_.check(stream->second, run.ticket, run.prefix.text(), run.check);
    }
    return;  // no stream: the check times out, and so does the lease
  }
  auto netns = netns_of_.find(run.identity);
  auto done = [this, ticket = run.ticket, lease = run.lease, alive = alive_,
               &io = node_.io()](dmsc::Status result) {
    asio::post(io, [this, ticket, lease, alive, result] {
      if (!*alive) return;
      announcements_.checked(node_.now(), lease, ticket, result.ok(),
                             result ? std::string() : result.error().message);
      pump();
    });
  };
  checker_.check(run.endpoint, run.check, netns == netns_of_.end() ? "" : netns->second, done);
}

void Registrar::tell(const Announcements::Status& status) {
  switch (status.state) {
    case AnnouncementState::granted: ++granted_; break;
    case AnnouncementState::refused: ++refused_; break;
    case AnnouncementState::invalid: ++invalid_; break;
    default: break;
  }
  const std::string* identity = announcements_.identity_of(status.lease);
  const bool bad = status.state == AnnouncementState::refused ||
                   status.state == AnnouncementState::invalid ||
                   status.state == AnnouncementState::unhealthy;
  log::write(bad ? log::Level::warning : log::Level::info, "announcement",
             {{"prefix", status.prefix.substr(0, 255)}, {"state", to_string(status.state)},
              {"identity", identity != nullptr ? *identity : ""},
              {"instance", status.instance.value}, {"reason", status.reason}});
  auto stream = stream_of_.find(status.lease);
  if (stream != stream_of_.end()) server_.status(stream->second, status);
}

void Registrar::restore() {
  const auto saved = store_.load();
  const std::size_t taken = announcements_.restore(node_.now(), node_.domain_time(), saved);
  for (const SavedAnnouncement& one : saved) {
    if (one.permanent) drop_ins_[one.lease] = DropIn{"", one.identity, one.service};
  }
  if (!saved.empty()) {
    log::info("announcements-restored", {{"held", taken}, {"given_up", saved.size() - taken},
                                         {"grace_ms", std::chrono::duration_cast<milliseconds>(
                                                          config_.grace).count()}});
  }
}

// A burst of announcements is written once.
void Registrar::save_soon() {
  if (std::exchange(save_due_, true)) return;
  save_timer_.expires_after(kSaveDelay);
  save_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    save_due_ = false;
    store_.save(announcements_.saved());
  });
}

void Registrar::publish() {
  make_view();  // first: the data paths know an instance before anybody is sent to it
  node_.set_grants(announcements_.grants());  // before the prefixes that need them
  node_.set_prefixes(announcements_.entries());
  save_soon();
}

void Registrar::make_view() {
  view_dirty_ = false;
  auto view = std::make_shared<GatewayView>();
  view->gateway = node_.identity().name;
  view->domain = node_.identity().domain;
  view->require_grant = config_.require_grant;
  view->instances = announcements_.instances();
  view->node_names = node_names_;
  std::set<std::string> identities;
  for (const LocalInstance& instance : view->instances) identities.insert(instance.identity);
  for (const std::string& identity : identities) {
    view->callers[identity] = announcements_.granted_names(identity);
  }
  view_ = view;
  changed_(view_);
}

// Names of nodes, for the paths that traced calls show.
void Registrar::lsdb_changed(const node::LsdbEvent& event) {
  if (event.lsa == nullptr || event.lsa->key.type != wire::LsaType::node) return;
  const NodeId origin = event.lsa->key.origin;
  if (event.kind == node::LsdbEvent::Kind::removed || event.lsa->key.fragment != 0) return;
  auto body = wire::decode_node_body(event.lsa->body());
  if (!body || node_names_[origin] == body->name) return;
  node_names_[origin] = body->name;
  view_dirty_ = true;
  asio::post(node_.io(), [this, alive = alive_] {
    if (*alive && view_dirty_) pump();
  });
}

// ---- looking at it --------------------------------------------------------------------------------

node::Json Registrar::pods(
    const std::set<std::pair<std::string, std::string>>& bound) const {
  node::Json rows = node::Json::array();
  const Time now = node_.now();
  for (const Announcements::View& v : announcements_.views(now)) {
    auto stream = stream_of_.find(v.lease);
    auto known = stream == stream_of_.end() ? streams_.end() : streams_.find(stream->second);
    node::Json row;
    row["identity"] = v.identity;
    row["prefix"] = v.prefix;
    row["state"] = to_string(v.state);
    row["reason"] = v.reason;
    row["instance"] = v.instance.value;
    row["pool"] = v.pool;
    row["covering"] = v.covering;
    row["capacity"] = v.capacity;
    row["endpoint"] = v.endpoint;
    row["ports"] = v.ports;
    row["messages"] = bound.count({v.lease, v.prefix}) != 0;
    row["check"] = v.check;
    row["health"] = v.health;
    row["checks_ok"] = v.checks_ok;
    row["checks_failed"] = v.checks_failed;
    row["lease"] = drop_ins_.count(v.lease) != 0 ? "drop-in" : v.connected ? "held" : "broken";
    row["client"] = known == streams_.end() ? "" : known->second.client;
    row["pid"] = known == streams_.end() ? 0 : known->second.peer.pid;
    row["valid_until"] = v.valid_until;
    row["in_state_ms"] = std::chrono::duration_cast<milliseconds>(v.in_state).count();
    rows.push_back(std::move(row));
  }
  return rows;
}

node::Json Registrar::counters() const {
  node::Json out;
  out["leases_open"] = announcements_.lease_count();
  out["streams_open"] = server_.stream_count();
  out["spa_questions"] = asked_;
  out["spa_unanswered"] = unanswered_;
  out["announcements_granted"] = granted_;
  out["announcements_refused"] = refused_;
  out["announcements_invalid"] = invalid_;
  return out;
}

}  // namespace dmsc::sgd
