#include "sgd/gateway.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <future>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::sgd {

namespace asio = boost::asio;
namespace log = runtime::log;

namespace {

// Time for the domain to hear that our instances take no new flows, and for what runs to end.
constexpr Duration kDrainWait = milliseconds(800);

// Every pod costs descriptors; the soft limit is there for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 1 << 19);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// What a pod's announcement means to the edge.
Result<Endpoint> edge_endpoint(const LocalInstance& instance) {
  auto where = parse_server(instance.service.endpoint);
  if (!where) return where.error();
  Endpoint out;
  out.address = where->v4;
  out.address6 = where->v6;
  out.port = where->port;
  for (const PortMapping& map : instance.service.ports) {
    out.ports.push_back({map.service, map.endpoint, map.protocol == "udp" ? L4::udp : L4::tcp});
  }
  if (instance.identity.rfind("pod:", 0) == 0) out.pod = instance.identity.substr(4);
  out.names.push_back(instance.service.prefix);
  if (!instance.pool.empty()) out.names.push_back(instance.pool);
  out.covering = instance.service.covering;
  return out;
}

}  // namespace

Gateway::Gateway(runtime::Daemon& daemon, Config config, std::unique_ptr<node::Router> router)
    : daemon_(daemon),
      config_(std::move(config)),
      router_(std::move(router)),
      node_(router_->node()),
      seal_(GatewaySeal::make(node_, config_.router.dataplane)),
      workers_(seal_ ? seal_->workers() : node_.workers()),
      home_(*workers_.front()),
      identities_(config_.namespaces()),
      hub_(std::make_unique<MessageHub>(home_, identities_,
                                        static_cast<std::uint32_t>(runtime::random_u64()),
                                        datagram_limit(seal_ != nullptr))),
      uses_timer_(daemon.io()),
      stop_timer_(daemon.io()) {}

Gateway::~Gateway() {
  *alive_ = false;
  if (registrar_) registrar_->stop();
  if (data_paths_open_) stop_data_paths();
  node_.data_plane().stop();  // from here on no worker runs: what they use may go
}

Result<std::unique_ptr<runtime::Service<Config>>> Gateway::start(runtime::Daemon& daemon,
                                                                 Config config) {
  raise_descriptor_limit();
  auto router = node::Router::open(daemon, config.router, "sg", "sgd");
  if (!router) return router.error();
  std::unique_ptr<Gateway> gateway(new Gateway(daemon, std::move(config), std::move(*router)));
  if (auto opened = gateway->open(); !opened) return opened.error();
  return std::unique_ptr<runtime::Service<Config>>(std::move(gateway));
}

dmsc::Status Gateway::open() {
  const runtime::NodeSection& where = config_.router.node;
  if (auto made = runtime::make_directory(where.run_dir, 0755); !made) return made;
  auto ids = InstanceIds::open(where.state_dir, static_cast<std::uint16_t>(runtime::random_u64()));
  if (!ids) return ids.error();
  make_edge();
  prober_ = std::make_shared<node::InstanceProber>(node_, config_.probe_interval);
  registrar_ = std::make_unique<Registrar>(node_, config_, identities_, std::move(*ids),
                                           [this](GatewayViewPtr view) { view_changed(view); });
  register_topics();
  if (auto started = router_->start(prober_); !started) return started;
  extend_counters();
  extend_seal_counters(node_, seal_.get(), alive_);
  data_paths_open_ = true;
  if (seal_) {
    if (auto sealing = seal_->start(); !sealing) return sealing;
  }
  attach_sinks();
  if (auto opened = open_message_socket(); !opened) return opened;
  if (auto started = edge_->start(); !started) return with_context("edge", started.error());
  follow_routes();
  prober_->start();
  count_uses();
  if (auto listening = registrar_->start(where.run_dir + "/pod.sock"); !listening) return listening;
  if (node_.draining()) registrar_->set_draining(true, "drained before the restart");
  return Ok{};
}

void Gateway::make_edge() {
  EdgeHooks hooks;
  // An unmodified program in a pod without a grant is not let onto the network (R16). Others' pods
  // are their own gateway's to judge; the host's programs are let in by host_mode.
  const bool gate = config_.require_grant && !config_.edge.host_enabled;
  hooks.allowed = [this, gate](std::string_view source, NodeId ingress, const Name&) {
    return !gate || ingress != home_.self() || !source.empty();
  };
  hooks.label = [this](const Name& destination, const InstancePin&, std::uint64_t) {
    hub_->note_use(destination.text(), 0);  // asked for every flow that is alive
    return PathLabel{};
  };
  const std::size_t seal = seal_ ? forwarding::kSealOverhead : 0;
  hooks.path_mtu = [mtus = path_mtus_, seal](NodeId egress) { return (*mtus)->to(egress) - seal; };
  edge_ = std::make_unique<Edge>(config_.edge, home_, std::move(hooks));
  hub_->set_limiter([this](Bytes& datagram) { return edge_->limit_message(datagram); });
}

void Gateway::attach_sinks() {
  for (dataplane::Worker* worker : workers_) {
    sinks_.push_back(std::make_unique<GatewaySink>(*worker, home_, *hub_, *edge_));
    worker->post([worker, sink = sinks_.back().get()] { worker->set_sink(sink); });
  }
}

dmsc::Status Gateway::open_message_socket() {
  auto fd = listen_unix(config_.router.node.run_dir + "/message.sock", SOCK_SEQPACKET, 0666);
  if (!fd) return fd.error();
  home_.post([this, fd = *fd] { hub_->start(fd); });
  return Ok{};
}

// ---- what the domain serves, for DNS ------------------------------------------------------------

void Gateway::follow_routes() {
  node_.on_path_mtus([this, alive = alive_](const routing::PathMtuTablePtr& table) {
    if (*alive) home_.post([mtus = path_mtus_, table] { *mtus = table; });
  });
  node_.rib().for_each_prefix([this](std::string_view prefix, bool covering) {
    if (auto name = Name::parse(prefix)) edge_->set_prefix(*name, covering);
  });
  node_.on_adjacency([this, alive = alive_](const node::AdjacencyEvent&) {
    if (*alive) edge_->routes_changed();
  });
  node_.subscribe_lsdb([this, alive = alive_](const node::LsdbEvent& event) {
    if (*alive && event.lsa != nullptr && event.lsa->key.type == wire::LsaType::node) edge_->routes_changed();
  });
  node_.on_route([this, alive = alive_](const Name& prefix) {
    if (*alive) route_changed(prefix);
  });
  follow_ports();
}

void Gateway::follow_ports() {
  node_.subscribe_lsdb([this, alive = alive_](const node::LsdbEvent& event) {
    if (!*alive || event.lsa == nullptr || event.lsa->key.type != wire::LsaType::prefix) return;
    const bool gone = event.kind == node::LsdbEvent::Kind::removed || event.lsa->purge;
    for (const Name& name :
         gone ? name_ports_.removed(event.lsa->key) : name_ports_.installed(*event.lsa)) {
      ports_changed(name);
    }
  });
}

// Only gateways that may announce the name are believed: those of the RIB.
void Gateway::ports_changed(const Name& name) {
  edge_->set_ports(name, name_ports_.of(name, node_.rib().origins(name)));
}

void Gateway::route_changed(const Name& prefix) {
  const auto route = node_.rib().find(prefix);
  if (route) {
    edge_->set_prefix(prefix, route->covering);
    if (name_ports_.knows(prefix)) ports_changed(prefix);
  } else {
    edge_->remove_prefix(prefix);
  }
}

// ---- what our pods serve --------------------------------------------------------------------------

void Gateway::view_changed(GatewayViewPtr view) {
  home_.post([this, view] { hub_->set_view(view); });
  for (std::size_t i = 0; i < sinks_.size(); ++i) {
    node_.workers()[i]->post([sink = sinks_[i].get(), view] { sink->set_view(view); });
  }
  update_endpoints(*view);
  update_sources(*view);
}

void Gateway::update_endpoints(const GatewayView& view) {
  std::map<InstanceId, AnnouncedService> next;
  for (const LocalInstance& instance : view.instances) {
    if (instance.service.endpoint.empty()) continue;
    next[instance.id] = instance.service;
    auto known = endpoints_.find(instance.id);
    if (known != endpoints_.end() && known->second == instance.service) continue;
    auto endpoint = edge_endpoint(instance);
    dmsc::Status told = endpoint ? edge_->set_endpoint(instance.id, std::move(*endpoint))
                                 : dmsc::Status(endpoint.error());
    if (!told) {
      log::warning("endpoint-unreachable", {{"prefix", instance.service.prefix.text()},
                                            {"endpoint", instance.service.endpoint},
                                            {"reason", told.error()}});
    }
  }
  for (const auto& [id, service] : endpoints_) {
    if (next.count(id) == 0) edge_->remove_endpoint(id);
  }
  endpoints_ = std::move(next);
}

void Gateway::update_sources(const GatewayView& view) {
  std::map<std::string, std::pair<Name, InstanceId>> next;
  for (const PodNamespace& pod : config_.edge.pods) {
    auto names = view.callers.find("pod:" + pod.name);
    if (names != view.callers.end() && !names->second.empty()) next[pod.name] = names->second.front();
  }
  for (const auto& [pod, source] : next) {
    auto known = sources_.find(pod);
    if (known != sources_.end() && known->second == source) continue;
    edge_->set_source(pod, source.first, source.second);
  }
  for (const auto& [pod, source] : sources_) {
    if (next.count(pod) == 0) edge_->set_source(pod, Name(), InstanceId{});
  }
  sources_ = std::move(next);
}

// Names our programs call are measured (draft 4.2-5).
void Gateway::count_uses() {
  uses_timer_.expires_after(seconds(1));
  uses_timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (error || !*alive) return;
    home_.post([this, alive, &io = node_.io()] {
      asio::post(io, [this, alive, uses = hub_->take_uses()] {
        if (!*alive) return;
        for (const auto& [prefix, use] : uses) prober_->used(prefix, use.calls, use.bytes);
      });
    });
    count_uses();
  });
}

// ---- life -----------------------------------------------------------------------------------------

Result<std::string> Gateway::reload(Config config) {
  const auto names = [](const EdgeConfig& c) {
    std::vector<std::string> out;
    for (const PodNamespace& pod : c.pods) out.push_back(pod.name + pod.netns);
    return out;
  };
  const auto& now = config_.router.dataplane;
  const auto& then = config.router.dataplane;
  if (now.security != then.security || now.unsealed != then.unsealed) {
    return make_error(Errc::unsupported,
                      "dataplane.security and dataplane.unsealed change only by a restart");
  }
  if (names(config.edge) != names(config_.edge) || config.edge.zone != config_.edge.zone ||
      config.edge.host_enabled != config_.edge.host_enabled) {
    return make_error(Errc::unsupported,
                      "pods.namespaces, host_mode and names.zone change only by a restart");
  }
  auto drop_ins = registrar_->reload(config);
  if (!drop_ins) return with_context("services_dir", drop_ins.error());
  auto taken = router_->reload(config.router);
  if (!taken) {
    (void)registrar_->reload(config_);
    return taken;
  }
  identities_.set_namespaces(config.namespaces());
  prober_->set_interval(config.probe_interval);
  if (config.edge.limits != config_.edge.limits) edge_->set_limits(config.edge.limits);
  if (config.edge.offloads != config_.edge.offloads) edge_->set_offloads(config.edge.offloads);
  config_ = std::move(config);
  return taken;
}

// A gateway is no transit: what it serves is what has to move.
void Gateway::drain(const runtime::DrainOrder& order, runtime::AdminHandlers::Done done) {
  if (!order.link.empty()) return router_->drain(order, std::move(done));
  registrar_->set_draining(true, order.reason);
  router_->drain(order, [done = std::move(done)](Result<std::string> drained) {
    if (!drained) return done(drained.error());
    done(std::string("drained: its instances take new flows only if no other is left; until undrain"));
  });
}

void Gateway::undrain(const std::string& link, runtime::AdminHandlers::Done done) {
  if (link.empty()) registrar_->set_draining(false, "");
  router_->undrain(link, std::move(done));
}

// With the worker still running: the edge and the hub let go of their descriptors.
void Gateway::stop_data_paths() {
  data_paths_open_ = false;
  prober_->stop();
  edge_->stop();
  auto stopped = std::make_shared<std::promise<void>>();
  auto future = stopped->get_future();
  home_.post([this, stopped] {
    hub_->stop();
    stopped->set_value();
  });
  if (!quiet_) {
    for (dataplane::Worker* worker : workers_) {
      worker->post([worker] { worker->set_sink(nullptr); });
    }
  }
  if (seal_) seal_->stop();
  future.wait_for(std::chrono::seconds(1));
}

void Gateway::stop(runtime::StopReason reason, std::function<void()> done) {
  const bool drains = reason == runtime::StopReason::drain;
  if (drains) registrar_->set_draining(true, "the gateway stops");
  quiet_ = !drains;
  if (quiet_) {
    for (const auto& sink : sinks_) sink->set_quiet();
  }
  stop_timer_.expires_after(drains ? kDrainWait : Duration(0));
  stop_timer_.async_wait([this, done = std::move(done)](const boost::system::error_code&) {
    uses_timer_.cancel();
    registrar_->stop();
    stop_data_paths();
    // We are no transit: the instances' drain above was what others had to hear.
    router_->stop(runtime::StopReason::restart, done);
  });
}

}  // namespace dmsc::sgd
