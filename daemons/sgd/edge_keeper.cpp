// The keeper: everything of the edge that may block. It opens namespaces, watches them come and go,
// starts listeners and saves virtual addresses.
#include <future>

#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"
#include "sgd/edge_impl.hpp"

namespace dmsc::sgd {
namespace {

namespace log = runtime::log;
constexpr Duration kPeriod = seconds(1), kPatience = seconds(5);
constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint32_t kTunMtu = 1500;

// IPv6 is no condition for a device: a kernel or a namespace may do without.
bool give_ipv6(Device& device, const EdgeConfig& config, Ipv4 address, const std::string& where) {
  if (!config.virtual_prefix6) return false;
  Status status = device.add_ipv6(config.virtual_prefix6->of(address), *config.virtual_prefix6);
  if (status && address != config.dns) status = device.add_address(config.virtual_prefix6->of(config.dns));
  if (!status) {
    log::info("ipv6-off", {{"device", where}, {"reason", status.error()}});
    return false;
  }
  if (Status loopback = device.allow_loopback6(); !loopback) {
    log::warning("ipv6-loopback-off", {{"device", where}, {"reason", loopback.error()},
                                       {"effect", "servers at [::1] are not reached"}});
  }
  return true;
}

// The resolver's sockets, in the calling thread's namespace.
Status bind_dns(const EdgeConfig& config, OpenedPort& out) {
  for (L4 protocol : {L4::udp, L4::tcp}) {
    auto four = bind_socket(protocol, {config.dns, std::nullopt, kDnsPort});
    if (!four) return four.error();
    (protocol == L4::udp ? out.dns_udp : out.dns_tcp) = std::move(*four);
    if (!out.ipv6) continue;
    auto six = bind_socket(protocol, {{}, config.virtual_prefix6->of(config.dns), kDnsPort});
    if (!six) return six.error();
    (protocol == L4::udp ? out.dns6_udp : out.dns6_tcp) = std::move(*six);
  }
  return Ok{};
}

PathConfig path_config(const EdgeConfig& config, const SavedAddresses& saved) {
  PathConfig out;
  out.name_range = lower_half(config.virtual_range);
  out.client_range = upper_half(config.virtual_range);
  out.max_flows = config.max_flows;
  out.key = saved.key;
  if (saved.found) out.restarted = runtime::now();
  return out;
}

}  // namespace

Ipv4Net lower_half(const Ipv4Net& range) {
  return {range.network(), static_cast<std::uint8_t>(range.length + 1)};
}
Ipv4Net upper_half(const Ipv4Net& range) {
  Ipv4Net lower = lower_half(range);
  return {Ipv4{lower.last().value + 1}, lower.length};
}

Edge::Impl::Impl(EdgeConfig c, dataplane::Worker& w, EdgeHooks h)
    : config(std::move(c)),
      home(w),
      hooks(std::move(h)),
      disk(config.state_dir),
      saved(disk.addresses()),
      names(lower_half(config.virtual_range), config.dns, saved.key),
      zone(config.zone, lower_half(config.virtual_range), config.virtual_prefix6,
           static_cast<std::uint32_t>(config.ttl.count()), directory, names),
      path(path_config(config, saved), *this, names),
      ports(kFirstPodPort + config.pods.size()),
      buffer(kHeadroom + 65535),
      pods(config.pods.size()) {
  for (const auto& [address, name] : saved.names) names.restore(name, address, home.now());
  if (saved.found) saved_version = names.version();
  for (const auto& [address, client] : disk.clients()) path.restore_client(client, address);
  saved_clients = path.clients_version();
  if (config.virtual_prefix6) addresses6.emplace(*config.virtual_prefix6);
  path.set_limits(config.limits);
  offloads = config.offloads;
  if (std::size_t taken = path.take_over(disk.flows(port_names())); taken != 0) {
    log::info("flows-taken-over", {{"flows", taken}});
  }
  for (std::size_t i = 0; i < pods.size(); ++i) {
    pods[i].index = kFirstPodPort + static_cast<std::uint32_t>(i);
    any_external = any_external || config.pods[i].external != External::refuse;
  }
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    listener_status.push_back(std::make_shared<ListenerStatus>());
  }
}

std::optional<std::uint32_t> Edge::Impl::port_of(const std::string& pod) const {
  if (pod.empty()) return config.host_enabled ? std::optional(kHostPort) : std::nullopt;
  for (std::size_t i = 0; i < config.pods.size(); ++i) {
    if (config.pods[i].name == pod) return kFirstPodPort + static_cast<std::uint32_t>(i);
  }
  return std::nullopt;
}

Status Edge::Impl::check_config() const {
  auto wrong = [](auto&&... part) { return make_error(Errc::invalid, part...); };
  const Ipv4Net& range = config.virtual_range;
  if (range.length < 4 || range.length > 28) {
    return wrong("names.virtual_range ", to_string(range), " is not between /4 and /28");
  }
  Ipv4Net lower = lower_half(range);
  if (!lower.contains(config.dns) || config.dns == lower.network() || config.dns == lower.last()) {
    return wrong("names.dns ", to_string(config.dns), " is no host in the lower half of ",
                 to_string(range));
  }
  for (Ipv4 resolver : config.upstream) {
    if (range.contains(resolver)) return wrong("names.upstream ", to_string(resolver), " is ours");
  }
  std::set<std::string> seen;
  std::set<Ipv4> addresses;
  for (const PodNamespace& pod : config.pods) {
    if (!seen.insert(pod.name).second) return wrong("pod '", pod.name, "' is there twice");
    if (!addresses.insert(pod.address.address).second) {
      return wrong("pod '", pod.name, "': address ", to_string(pod.address), " is taken");
    }
    if (range.contains(pod.address.address)) {
      return wrong("pod '", pod.name, "': address lies in names.virtual_range");
    }
  }
  for (const ListenerConfig& l : config.listeners) {
    if (port_of(l.pod)) continue;
    std::string where = to_string(l.where);
    if (l.pod.empty()) return wrong("listener ", where, " needs host_mode.enabled");
    return wrong("listener ", where, ": no pod '", l.pod, "'");
  }
  return Ok{};
}

bool Edge::Impl::on_worker(std::function<void()> task) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  home.post([task = std::move(task), done] {
    task();
    done->set_value();
  });
  return future.wait_for(kPatience) == std::future_status::ready;
}

Status Edge::Impl::start() {
  if (Status ok = check_config(); !ok) return ok;
  auto self = shared_from_this();
  started = true;
  home.post([self] {
    self->running = true;
    self->forwarder =
        std::make_unique<Forwarder>(self->config.upstream, self->home, self->dns_counters);
    self->tick();
  });
  if (config.host_enabled) {
    if (Status ok = open_host(); !ok) return ok;
  }
  if (any_external) {
    if (Status ok = open_external(); !ok) return ok;
  }
  for (std::size_t i = 0; i < pods.size(); ++i) keep_pod(i);
  keeper = std::thread([self] { self->keep(); });
  return Ok{};
}

void Edge::Impl::stop() {
  {
    std::lock_guard lock(mutex);
    if (stopping) return;
    stopping = true;
    wake.notify_all();
  }
  if (!started) return;
  if (keeper.joinable()) keeper.join();
  for (Kept& pod : pods) pod.listeners.reset();
  host.listeners.reset();
  auto self = shared_from_this();
  auto flows = std::make_shared<std::vector<HandedFlow>>();
  if (on_worker([self, flows] {
        *flows = self->path.hand_over();
        // A server's IPv6 address stands under another one in the next process: its flows are found again.
        std::erase_if(*flows, [&](const HandedFlow& flow) {
          return flow.inbound && flow.key.port >= self->ports.size();
        });
        self->close_all();
      })) {
    save();
    disk.hand_over(port_names(), std::move(*flows));
  }
  masquerade.reset();
}

void Edge::Impl::keep() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    lock.unlock();
    for (std::size_t i = 0; i < pods.size(); ++i) keep_pod(i);
    save();
    lock.lock();
    // Nothing but an operator takes away a device of our own namespace: it is said, and stays down.
    for (std::uint32_t index : {kHostPort, kExternalPort}) {
      if (broken.erase(index) != 0) {
        log::error("edge-device-lost",
                   {{"tun", index == kHostPort ? config.host_tun : config.external_tun},
                    {"effect", "restart the gateway to make it anew"}});
      }
    }
    wake.wait_for(lock, kPeriod, [this] { return stopping || !broken.empty(); });
  }
}

void Edge::Impl::keep_pod(std::size_t number) {
  const PodNamespace& pod = config.pods[number];
  Kept& kept_pod = pods[number];
  auto self = shared_from_this();
  bool dead = false;
  {
    std::lock_guard lock(mutex);
    dead = broken.erase(kept_pod.index) != 0;
  }
  auto identity = namespace_identity(pod.netns);
  bool open = kept_pod.identity != std::pair<std::uint64_t, std::uint64_t>{0, 0};
  if (open && (dead || identity != kept_pod.identity)) {
    kept_pod.listeners.reset();
    on_worker([self, index = kept_pod.index] {
      self->uninstall(index, "waiting", "namespace went away");
    });
    kept_pod.identity = {0, 0};
    open = false;
    log::info("pod-device-down", {{"pod", pod.name}, {"netns", pod.netns}});
  }
  if (open) return;
  auto opened = open_pod(pod);
  Status status = opened ? Status(Ok{}) : Status(opened.error());
  if (status) {
    on_worker([self, index = kept_pod.index, port = *opened] { self->install(index, port); });
    kept_pod.identity = identity;
    kept_pod.problem.clear();
    log::info("pod-device-up", {{"pod", pod.name}, {"netns", pod.netns}, {"tun", pod.tun}});
    status = start_listeners(pod.name, pod.netns, kept_pod);
  }
  if (status || status.error().message == kept_pod.problem) return;
  kept_pod.problem = status.error().message;
  bool waiting = identity.first == 0 && identity.second == 0;
  on_worker([self, index = kept_pod.index, waiting, why = kept_pod.problem] {
    if (!self->ports[index].tun) self->ports[index].state = waiting ? "waiting" : "failed";
    self->ports[index].reason = why;
  });
  log::warning("pod-device-failed", {{"pod", pod.name}, {"error", status.error()}});
}

Result<std::shared_ptr<OpenedPort>> Edge::Impl::open_pod(const PodNamespace& pod) const {
  auto out = std::make_shared<OpenedPort>();
  Status status = in_namespace(pod.netns, [&]() -> Status {
    auto tun = open_tun(pod.tun);
    if (!tun) return tun.error();
    out->tun = std::move(*tun);
    auto loopback = Device::find("lo");
    if (!loopback) return loopback.error();
    if (Status s = loopback->up(0); !s) return s;
    auto device = Device::find(pod.tun);
    if (!device) return device.error();
    if (Status s = device->allow_loopback(); !s) return s;
    if (Status s = device->up(kTunMtu); !s) return s;
    if (Status s = device->add_address(pod.address); !s) return s;
    if (Status s = device->add_address({config.dns, 32}); !s) return s;
    if (Status s = device->add_route({{}, 0}, pod.address.address); !s) return s;
    out->ipv6 = give_ipv6(*device, config, pod.address.address, pod.name);
    return bind_dns(config, *out);
  });
  if (!status) return with_context("pod " + pod.name, status.error());
  return out;
}

Status Edge::Impl::open_host() {
  auto out = std::make_shared<OpenedPort>();
  auto tun = open_tun(config.host_tun);
  if (!tun) return with_context("host_mode", tun.error());
  out->tun = std::move(*tun);
  auto device = Device::find(config.host_tun);
  if (!device) return device.error();
  if (Status s = device->allow_loopback(); !s) return s;
  if (Status s = device->up(kTunMtu); !s) return s;
  if (Status s = device->add_address({config.dns, 32}); !s) return s;
  if (Status s = device->add_route(config.virtual_range, config.dns); !s) return s;
  out->ipv6 = give_ipv6(*device, config, config.dns, "host");
  if (Status s = bind_dns(config, *out); !s) return s;
  auto self = shared_from_this();
  home.post([self, out] { self->install(kHostPort, out); });
  return start_listeners("", "", host);
}

Status Edge::Impl::open_external() {
  auto out = std::make_shared<OpenedPort>();
  auto tun = open_tun(config.external_tun);
  if (!tun) return with_context("external traffic of pods", tun.error());
  out->tun = std::move(*tun);
  auto device = Device::find(config.external_tun);
  if (!device) return device.error();
  if (Status s = device->allow_forwarding(); !s) return s;
  if (Status s = device->up(kTunMtu); !s) return s;
  std::vector<Ipv4> hidden;
  for (const PodNamespace& pod : config.pods) {
    if (pod.external == External::refuse) continue;
    if (Status s = device->add_route({pod.address.address, 32}, {}); !s) return s;
    if (pod.external == External::masquerade) hidden.push_back(pod.address.address);
  }
  if (Status s = enable_forwarding(); !s) {
    log::warning("forwarding-off", {{"error", s.error()}, {"effect", "pods cannot reach outside"}});
  }
  if (!hidden.empty()) {
    auto rules = Masquerade::install("dmsc-" + config.external_tun, config.external_tun, hidden);
    if (!rules) return rules.error();
    masquerade.emplace(std::move(*rules));
  }
  auto self = shared_from_this();
  home.post([self, out] { self->install(kExternalPort, out); });
  return Ok{};
}

Status Edge::Impl::start_listeners(const std::string& pod, const std::string& netns,
                                   Kept& kept_in) {
  std::vector<ListenerThread::Item> items;
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    if (config.listeners[i].pod != pod) continue;
    items.push_back({config.listeners[i], {}, listener_status[i]});
  }
  if (items.empty()) return Ok{};
  auto self = shared_from_this();
  auto targets = std::make_shared<std::vector<Ipv4>>();
  bool done = on_worker([self, targets, items] {
    for (const auto& item : items) {
      auto address = self->names.allocate(item.config.name.text(), self->home.now());
      if (!address) return;
      self->kept.push_back(*address);
      targets->push_back(*address);
    }
  });
  if (!done || targets->size() != items.size()) {
    return make_error(Errc::limit, "no virtual address left for the listeners");
  }
  for (std::size_t i = 0; i < items.size(); ++i) items[i].target = (*targets)[i];
  auto thread = ListenerThread::start(netns, std::move(items));
  if (!thread) return thread.error();
  kept_in.listeners = std::move(*thread);
  return Ok{};
}

void Edge::Impl::save() {
  save_clients();
  auto now_saved = std::make_shared<SavedAddresses>();
  auto version = std::make_shared<std::uint64_t>(saved_version);
  auto self = shared_from_this();
  auto copy = [self, now_saved, version] {
    if (*version == self->names.version()) return;
    *version = self->names.version();
    now_saved->names = self->names.all();
  };
  if (config.state_dir.empty() || !on_worker(copy) || *version == saved_version) return;
  now_saved->key = saved.key;
  if (disk.save(*now_saved)) saved_version = *version;
}

// Those used last, if they are very many: the others mostly come back by their hash.
void Edge::Impl::save_clients() {
  constexpr std::size_t kMost = 65536;
  auto clients = std::make_shared<EdgeState::Clients>();
  auto version = std::make_shared<std::uint64_t>(saved_clients);
  auto self = shared_from_this();
  auto copy = [self, clients, version] {
    if (*version == self->path.clients_version()) return;
    *version = self->path.clients_version();
    *clients = self->path.clients(kMost);
  };
  if (config.state_dir.empty() || !on_worker(copy) || *version == saved_clients) return;
  if (disk.save(*clients)) saved_clients = *version;
}

std::vector<std::string> Edge::Impl::port_names() const {
  std::vector<std::string> out{" host", " outside"};
  for (const PodNamespace& pod : config.pods) out.push_back(pod.name);
  return out;
}

}  // namespace dmsc::sgd
