#include "dmsc/node/router.hpp"

#include "dmsc/node/node_metrics.hpp"
#include "dmsc/node/router_settings.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::node {

namespace log = runtime::log;

namespace {

// Said by gateways, in one line of status; nothing of routers, which cannot tell.
std::string security_text(const std::string& program, const runtime::DataplaneSection& dataplane) {
  if (program != "sgd") return "";
  if (dataplane.security == runtime::PayloadSecurity::none) {
    return "; PAYLOAD IN CLEAR: dataplane.security is none";
  }
  switch (dataplane.unsealed) {
    case runtime::UnsealedPolicy::refuse: return "; payload sealed";
    case runtime::UnsealedPolicy::by_name: return "; payload sealed, taken in clear by name alone";
    case runtime::UnsealedPolicy::accept: return "; payload sealed, BUT TAKEN IN CLEAR";
  }
  return "";
}

}  // namespace

Router::Router(runtime::Daemon& daemon, runtime::RouterConfig config, std::string program)
    : daemon_(daemon),
      config_(std::move(config)),
      program_(std::move(program)),
      status_timer_(daemon.io()) {}

Router::~Router() {
  if (scheduling_) scheduling_->stop();
  if (node_) node_->attach_inspect(nullptr);
}

Result<std::unique_ptr<Router>> Router::open(runtime::Daemon& daemon,
                                             const runtime::RouterConfig& config,
                                             const std::string& role,
                                             const std::string& program) {
  auto made = runtime::make_directory(config.node.state_dir);
  if (!made) return made.error();
  auto waiting = [&](const Error& error) {
    daemon.status("waiting for an SPA: " + error.message);
    log::warning("enrolment-waits", {{"reason", error}});
    return true;
  };
  auto identity = runtime::obtain_identity(config.node.state_dir, config.enrol, config.node.name,
                                           role, waiting);
  if (!identity) return with_context("identity", identity.error());
  std::unique_ptr<Router> router(new Router(daemon, config, program));
  router->identity_ = std::make_shared<runtime::Identity>(std::move(*identity));
  auto node = Node::create(daemon.io(), node_settings(config, *router->identity_, program),
                           node_identity(*router->identity_), spa_channels(router->identity_));
  if (!node) return node.error();
  router->node_ = std::move(*node);
  return router;
}

Status Router::start(std::shared_ptr<InstanceProber> prober) {
  auto started = node_->start();
  if (!started) return started;
  scheduling_ = std::make_shared<SchedulingAgent>(
      *node_, *identity_, targets(config_.scsc, identity_->scscs), std::move(prober));
  scheduling_->start();
  node_->register_topic("policies",
                        [this](const std::vector<std::string>&, TopicReply reply) {
                          reply(Json(scheduling_->policies_json()));
                        });
  node_->attach_inspect(&daemon_.inspect());
  register_metrics(*node_, daemon_.metrics());
  daemon_.status_details([this] {
    Json out = node_->status();
    out["scheduling"] = scheduling_->status_json();
    std::string security = security_text(program_, config_.dataplane);
    if (!security.empty()) out["payload_security"] = security.substr(2);
    return out;
  });
  renewer_ = std::make_unique<runtime::CertificateRenewer>(
      daemon_.io(), config_.node.state_dir, *identity_,
      [this] { return config_.spa.empty() ? identity_->spas : config_.spa; },
      [this](const runtime::Identity& renewed) {
        log::info("certificate-renewed");
        node_->renew(node_identity(renewed), spa_channels(
                         std::make_shared<runtime::Identity>(renewed)));
      });
  watch_workers();
  node_->when_ready([this] {
    show_status();
    daemon_.ready();
  });
  show_status();
  return Ok{};
}

// A worker turns at least every second; one that does not is stuck.
void Router::watch_workers() {
  for (dataplane::Worker* worker : node_->workers()) {
    auto last = std::make_shared<std::pair<std::uint64_t, Time>>(worker->rounds(), node_->now());
    daemon_.watch("worker-" + std::to_string(worker->index()), [this, worker, last] {
      std::uint64_t rounds = worker->rounds();
      Time now = node_->now();
      if (rounds != last->first) *last = {rounds, now};
      return now - last->second < seconds(5);
    });
  }
}

void Router::show_status() {
  std::size_t up = 0, all = 0;
  for (const LinkQuality& q : node_->link_quality()) {
    ++all;
    up += q.usable ? 1 : 0;
  }
  std::string text = std::to_string(up) + " of " + std::to_string(all) + " neighbours up, " +
                     std::to_string(node_->data_plane().fib().prefix_count()) +
                     " prefixes" + security_text(program_, config_.dataplane);
  if (std::string waits = node_->waiting_for(); !waits.empty()) text = "waiting for " + waits + "; " + text;
  if (node_->draining()) text = "drained; " + text;
  daemon_.status(text);
  status_timer_.expires_after(seconds(1));
  status_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) show_status();
  });
}

Result<std::string> Router::reload(const runtime::RouterConfig& config) {
  if (config.node.name != config_.node.name || config.node.state_dir != config_.node.state_dir ||
      config.node.run_dir != config_.node.run_dir) {
    return make_error(Errc::unsupported, "node: name and directories cannot change without a restart");
  }
  std::string links = std::to_string(config.links.size());
  auto taken = node_->reload(node_settings(config, *identity_, program_));
  if (!taken) return taken.error();
  config_ = config;
  scheduling_->set_centers(targets(config.scsc, identity_->scscs));
  log::set_level(config.log.level);
  return "taken over: " + links + " links, log level " + log::to_string(config.log.level);
}

void Router::stop(runtime::StopReason reason, std::function<void()> done) {
  status_timer_.cancel();
  if (scheduling_) scheduling_->stop();
  node_->stop(reason == runtime::StopReason::drain, std::move(done));
}

void Router::drain(const runtime::DrainOrder& order, runtime::AdminHandlers::Done done) {
  auto level = order.hard ? linkstate::DrainLevel::hard : linkstate::DrainLevel::soft;
  std::string text = order.link.empty() ? "drained" : "link " + order.link + " drained";
  if (order.hard) {
    text += order.link.empty() ? ": no transit" : ": out of use";
    text += " once traffic has moved, five seconds from now at most";
  } else {
    text += " softly: used only by what has no other way";
  }
  node_->drain({level, order.link, order.reason, true}, [text, done](Status stored) {
    if (!stored) return done(stored.error());
    done(text + "; until undrain, also over a restart");
  });
}

void Router::undrain(const std::string& link, runtime::AdminHandlers::Done done) {
  bool drained = link.empty() ? node_->draining() : node_->drains().links.count(link) != 0;
  std::string text = !drained ? "was not drained" : link.empty() ? "in service" : "link " + link + " in service";
  node_->drain({linkstate::DrainLevel::none, link, "", true}, [text, done](Status stored) {
    if (!stored) return done(stored.error());
    done(text);
  });
}

}  // namespace dmsc::node
