#include <boost/asio/post.hpp>

#include "dmsc/node/node_impl.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"
#include "dmsc/runtime/priority.hpp"

namespace dmsc::node {
namespace {

namespace log = runtime::log;

// Time for the others to route around us before the adjacencies go (DESIGN section 5, "Drain"). It may be
// soft only: until the good-bye, who has no other way still has this one.
constexpr Duration kDrainWait = milliseconds(600);
// A router that is not synchronised by then calls the SPAs all the same: link keys may have changed.
constexpr Duration kCallSpas = seconds(3);
// Time for the good-bye and for packets in flight.
constexpr Duration kFarewell = milliseconds(50);

linkstate::EngineConfig engine_config(const NodeSettings& settings, const NodeIdentity& identity,
                                      SessionId session, std::uint64_t stored_epoch,
                                      const crypto::KeyChain& keys, RecordFile* record) {
  linkstate::EngineConfig config{.signer = crypto::SigningKey(identity.key_seed)};
  config.self = identity.id;
  config.name = identity.name;
  config.role = identity.role;
  config.no_transit = settings.no_transit;
  config.domain = identity.domain_id;
  config.session = session;
  config.stored_epoch = stored_epoch;
  config.clock_seconds = runtime::wall_seconds();
  config.random_seed = runtime::random_u64();
  config.certificate = identity.certificate;
  config.keys = keys;
  config.discovers = !settings.finders.empty();
  config.record_to = record;
  return config;
}

Status check_settings(const NodeSettings& settings) {
  for (std::size_t i = 0; i < settings.links.size(); ++i) {
    const LinkSettings& link = settings.links[i];
    auto local = SocketAddress::parse(link.local, link.local_port);
    if (!local) return with_context("link " + link.name + ": local", local.error());
    if (link.remote.empty()) return make_error(Errc::invalid, "link ", link.name, ": no remote");
    for (std::size_t k = 0; k < i; ++k) {
      if (settings.links[k].name == link.name) {
        return make_error(Errc::exists, "link ", link.name, ": the name is used twice");
      }
    }
  }
  for (const FinderSettings& finder : settings.finders) {
    if (finder.local.empty()) continue;
    auto local = SocketAddress::parse(finder.local, finder.local_port);
    if (!local) return with_context("discovery " + finder.name + ": local", local.error());
  }
  return Ok{};
}

// Does the identity say what the certificate says?
Status check_identity(const NodeIdentity& identity, const trust::TrustStore& trust) {
  auto certificate = trust::parse_certificate(identity.certificate);
  if (!certificate) return with_context("own certificate", certificate.error());
  if (!trust::issued_by(*certificate, trust.root())) {
    return make_error(Errc::unauthenticated, "own certificate is not signed by the domain's root");
  }
  if (certificate->node != identity.id || certificate->name != identity.name) {
    return make_error(Errc::invalid, "own certificate names ", trust::spiffe_uri(*certificate),
                      ", not node ", identity.name, " with id ", std::to_string(identity.id.value));
  }
  if (certificate->key != crypto::SigningKey(identity.key_seed).public_key()) {
    return make_error(Errc::invalid, "own key does not belong to own certificate");
  }
  if (identity.link_keys.empty()) {
    return make_error(Errc::invalid, "identity has no link key: authentication is always on");
  }
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<Node>> Node::create(boost::asio::io_context& io, NodeSettings settings,
                                           NodeIdentity identity, SpaChannelFactory spa_channels) {
  auto trust = trust::TrustStore::create(identity.domain_id, identity.root);
  if (!trust) return trust.error();
  auto good = check_identity(identity, *trust);
  if (!good) return good.error();
  good = check_settings(settings);
  if (!good) return good.error();
  auto store = NodeStore::open(settings.state_dir, identity.domain_id);
  if (!store) return store.error();
  std::unique_ptr<RecordFile> record;
  if (!settings.record.file.empty()) {
    auto opened = RecordFile::open(settings.record.file, settings.record.limit);
    if (!opened) return opened.error();
    record = std::move(opened).value();
  }
  dataplane::DataPlaneConfig data;
  data.self = identity.id;
  data.domain = identity.domain_id;
  data.session = SessionId{runtime::random_u64()};
  data.workers = settings.workers;
  data.offloads = settings.offloads;
  data.busy_poll = settings.busy_poll;
  data.fib_key = runtime::random_array<16>();
  data.random_seed = runtime::random_u64();
  auto plane = dataplane::DataPlane::create(data);
  if (!plane) return plane.error();
  return std::unique_ptr<Node>(std::make_unique<NodeImpl>(
      io, std::move(settings), std::move(identity), std::move(*trust), std::move(*store),
      std::move(*plane), data.session, std::move(record), std::move(spa_channels)));
}

NodeImpl::NodeImpl(boost::asio::io_context& io, NodeSettings settings, NodeIdentity identity,
                   trust::TrustStore trust, NodeStore store,
                   std::unique_ptr<dataplane::DataPlane> plane, SessionId session,
                   std::unique_ptr<RecordFile> record, SpaChannelFactory channels)
    : io_(io),
      settings_(std::move(settings)),
      identity_(std::move(identity)),
      trust_(std::move(trust)),
      verifier_(io, trust_, verifier_threads(std::thread::hardware_concurrency()),
                [this](const std::vector<Verifier::Answer>& answers) {
                  judged(answers);
                  pump();
                }),
      store_(std::move(store)),
      plane_(std::move(plane)),
      record_(std::move(record)),
      engine_(engine_config(settings_, identity_, session, store_.epoch(),
                            store_.link_keys().value_or(identity_.link_keys), record_.get()),
              runtime::now()),
      routes_(identity_.id, trust_, plane_->fib(),
              {[this](const Name& prefix) { route_changed(prefix); },
               [this] {
                 if (synchronised_) spf_after_sync_ = true;
                 changed("paths");
                 changed("routes");
                 tell_paths();
               },
               [this](const wire::LsaKey& key) { return engine_.find(key); },
               [this](NodeId origin, std::size_t count) {
                 engine_.too_many_prefixes(now(), origin, count);
               },
               [this](const routing::PathMtuTablePtr& table) {
                 for (auto& [id, listener] : path_mtu_listeners_) listener(table);
                 changed("paths");
               }}),
      control_(io, {[this](LinkId link, ByteView datagram, Duration waited) {
                      engine_.receive(now(), link, datagram, waited);
                    },
                    [this] { pump(); },
                    [this](LinkId link, int) {
                      engine_.interface_state(now(), link, false);
                      boost::asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_)] {
                        if (!alive.expired()) pump();
                      });
                    },
                    [this](LinkId link) { hint(link); }}),
      data_errors_(io, [this](const SocketAddress& whom) { data_unreachable(whom); }),
      watcher_(io, [this](const std::string& name,
                          const InterfaceState& state) { interface_changed(name, state); }),
      keys_(store_.link_keys().value_or(identity_.link_keys)),
      session_(session),
      timer_(io),
      second_timer_(io),
      stop_timer_(io),
      drain_timer_(io) {
  if (channels) {
    spa_ = std::make_unique<SpaAgent>(
        io, std::move(channels),
        SpaAgent::Hooks{[this](const TrustNews& n) { news(n); },
                        [this](const std::string& spa, bool up, const std::string& why) {
                          if (up) log::info("spa-connected", {{"spa", spa}});
                          else log::warning("spa-lost", {{"spa", spa}, {"reason", why}});
                          changed("trust");
                        }});
  }
  routes_.set_stopwatch([] { return runtime::now(); });
  register_topics();
}

NodeImpl::~NodeImpl() {
  if (spa_) spa_->stop();
  plane_->stop();
}

Time NodeImpl::now() const { return runtime::now(); }

Status NodeImpl::start() {
  started_ = now();
  runtime::prefer_this_thread();  // the workers, started below, inherit it
  runtime::prefer_this_session();
  auto watching = watcher_.start();
  if (!watching) return watching;
  plane_->set_keys(keys_);
  load_trust();
  restore_drains();
  for (const LinkSettings& link : settings_.links) {
    auto added = add_link(link);
    if (!added) return added;
  }
  start_finders(settings_.finders);
  plane_->start();
  started_once_ = true;
  // Routes first: a router knows all it needs to form adjacencies, and many of them may start at once.
  if (identity_.role == wire::NodeRole::router && !links_.empty()) {
    call_spas_at_ = started_ + kCallSpas;
  } else if (spa_) {
    spa_->set_targets(settings_.spas);
  }
  every_second();
  pump();
  return Ok{};
}

void NodeImpl::when_ready(std::function<void()> ready) {
  when_ready_.push_back(std::move(ready));
  boost::asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) check_ready();
  });
}

std::string NodeImpl::waiting_for() const {
  if (ready_) return "";
  if (!started_once_) return "start";
  if (!synchronised_) return "synchronisation with a neighbour";
  if (!spf_after_sync_) return "the first shortest-path run";
  return "";
}

void NodeImpl::check_ready() {
  if (!ready_) {
    if (!waiting_for().empty() && now() < started_ + settings_.ready_after) return;
    ready_ = true;
    log::info("node-ready", {{"after_ms", (now() - started_) / milliseconds(1)}, {"synchronised", synchronised_}});
    changed("status");
  }
  auto callbacks = std::exchange(when_ready_, {});
  for (auto& callback : callbacks) callback();
}

Status NodeImpl::reload(NodeSettings next) {
  auto good = check_settings(next);
  if (!good) return good;
  if (next.workers != settings_.workers) {
    return make_error(Errc::unsupported, "dataplane.workers cannot change without a restart");
  }
  if (!(next.record == settings_.record)) {
    // A record begins with the process: what happened before could not be replayed.
    if (!next.record.file.empty()) {
      return make_error(Errc::unsupported, "record: begins only with a restart; it may be removed any time");
    }
    if (record_) {
      engine_.mark_record(now());
      record_->stop();
    }
  }
  std::map<std::string, LinkSettings> wanted;
  for (const LinkSettings& link : next.links) wanted[link.name] = link;
  for (auto it = links_.begin(); it != links_.end();) {
    LinkRecord& link = it->second;
    if (!link.finder.empty()) {
      ++it;
      continue;
    }
    auto same = wanted.find(link.settings.name);
    bool keep = same != wanted.end() && link.settings.local == same->second.local &&
                link.settings.local_port == same->second.local_port &&
                link.settings.interface == same->second.interface &&
                link.settings.peer == same->second.peer &&
                link.settings.remote == same->second.remote &&
                link.settings.remote_port == same->second.remote_port &&
                link.settings.mtu == same->second.mtu;
    if (!keep) {
      log::info("link-removed", {{"link", link.settings.name}});
      close_link(link);
      it = links_.erase(it);
      continue;
    }
    if (!(link.settings == same->second)) {
      link.settings = same->second;
      engine_.change_link(now(), engine_link(link));
      log::info("link-changed", {{"link", link.settings.name}});
    }
    wanted.erase(same);
    ++it;
  }
  pump();  // the neighbours of removed links hear it before new ones are opened
  plane_->set_offloads(next.offloads);
  plane_->set_busy_poll(next.busy_poll);
  settings_ = std::move(next);
  Status result = Ok{};
  for (const LinkSettings& link : settings_.links) {
    if (wanted.count(link.name) == 0) continue;
    auto added = add_link(link);
    if (!added) result = added;  // the others are still tried
  }
  start_finders(settings_.finders);
  call_spas_at_.reset();
  if (spa_) spa_->set_targets(settings_.spas);
  pump();
  changed("neighbors");
  return result;
}

void NodeImpl::renew(NodeIdentity identity, SpaChannelFactory spa_channels) {
  auto good = check_identity(identity, trust_);
  if (!good || identity.key_seed != identity_.key_seed) {
    log::error("renewal-refused", {{"reason", good ? "another key" : good.error().message}});
    return;
  }
  identity_.certificate = identity.certificate;
  engine_.set_certificate(now(), identity.certificate);
  if (spa_ && spa_channels) spa_->set_channels(std::move(spa_channels));
  pump();
}

void NodeImpl::stop(bool drain_first, std::function<void()> done) {
  if (stopping_) return;
  stopping_ = true;
  bool adjacent = false;
  for (const auto& [id, link] : links_) adjacent = adjacent || link.adjacent;
  Duration wait{};
  if (drain_first && adjacent) {
    engine_.set_drain(now(), std::max(linkstate::DrainLevel::soft, wanted_drain(LinkId{0})));
    pump();
    wait = kDrainWait;
  }
  stop_timer_.expires_after(wait);
  stop_timer_.async_wait([this, done](const boost::system::error_code& error) {
    if (error) return;
    engine_.shutdown(now());
    pump();
    stop_timer_.expires_after(kFarewell);
    stop_timer_.async_wait([this, done](const boost::system::error_code& again) {
      if (!again) finish_stop(done);
    });
  });
}

void NodeImpl::finish_stop(std::function<void()> done) {
  engine_.mark_record(now());
  if (record_) record_->flush();
  stopped_ = true;
  timer_.cancel();
  second_timer_.cancel();
  drain_timer_.cancel();
  if (spa_) spa_->stop();
  finders_.clear();
  watcher_.stop();
  plane_->stop();
  for (auto& [id, link] : links_) control_.close(id);
  log::info("node-stopped");
  done();
}

}  // namespace dmsc::node
