// What runs on the home worker: TUN devices, and the path's view of the gateway.
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "dmsc/runtime/log.hpp"
#include "sgd/edge_impl.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::size_t kMaxPacket = 65535, kDefaultDatagram = 1400;
constexpr int kBatch = 64;  // packets per wake-up of one TUN
constexpr Duration kTick = milliseconds(100);

}  // namespace

PathPort Edge::Impl::port_settings(std::uint32_t index, bool open) const {
  PathPort p;
  p.open = open;
  p.sender = index;
  p.gateway = config.dns;
  if (index < kFirstPodPort) return p;
  const PodNamespace& pod = config.pods[index - kFirstPodPort];
  p.address = pod.address.address;
  p.external = pod.external;
  // The other end of the pod's /30 is ours; a pod with a /32 hears us as the resolver.
  Ipv4 first{pod.address.network().value + 1};
  if (pod.address.length <= 30) {
    p.gateway = first == p.address ? Ipv4{first.value + 1} : first;
  }
  return p;
}

void Edge::Impl::install(std::uint32_t index, std::shared_ptr<OpenedPort> opened) {
  if (!running) return;
  Port& port = ports[index];
  port.tun = std::move(opened->tun);
  port.state = "up";
  port.reason.clear();
  port.ipv6 = opened->ipv6;
  switch_offloads(index);
  path.set_port(index, port_settings(index, true));
  path.set_port(twin(index), twin_settings(index, port.ipv6));
  if (opened->dns_udp) {
    port.responder =
        std::make_unique<Responder>(std::move(opened->dns_udp), std::move(opened->dns_tcp),
                                    port.ipv6, zone, *forwarder, home, dns_counters);
  }
  if (opened->dns6_udp) {
    port.responder6 =
        std::make_unique<Responder>(std::move(opened->dns6_udp), std::move(opened->dns6_tcp),
                                    port.ipv6, zone, *forwarder, home, dns_counters);
  }
  std::weak_ptr<Impl> weak = shared_from_this();
  home.watch_fd(port.tun.get(), EPOLLIN, [weak, index](std::uint32_t events) {
    if (auto impl = weak.lock()) impl->tun_ready(index, events);
  });
}

void Edge::Impl::uninstall(std::uint32_t index, const std::string& state,
                           const std::string& reason) {
  Port& port = ports[index];
  port.state = state;
  port.reason = reason;
  if (!port.tun) return;
  port.joiner.clear();
  port.joiner6.clear();
  home.unwatch_fd(port.tun.get());
  port.tun.reset();
  port.responder.reset();
  port.responder6.reset();
  path.set_port(index, port_settings(index, false));
  path.set_port(twin(index), twin_settings(index, false));
}

void Edge::Impl::tun_ready(std::uint32_t index, std::uint32_t events) {
  Port& port = ports[index];
  constexpr std::size_t kAt = kHeadroom - kVnetBytes;  // so that the packet starts behind kHeadroom
  for (int i = 0; i < kBatch && port.tun; ++i) {
    ssize_t n = ::read(port.tun.get(), buffer.data() + kAt, kVnetBytes + kMaxPacket);
    if (n < 0 && (errno == EAGAIN || errno == EINTR) && (events & EPOLLERR) == 0) return;
    if (n <= static_cast<ssize_t>(kVnetBytes)) return tun_gone(index);
    VnetHeader header =
        decode_vnet(std::span<const std::uint8_t, kVnetBytes>(buffer.data() + kAt, kVnetBytes));
    auto frame = std::span(buffer).first(kAt + static_cast<std::size_t>(n));
    std::size_t at = kHeadroom;
    std::uint32_t lane = index;
    if (port.ipv6 && frame[kHeadroom] >> 4 == 6) {
      auto taken = take6(frame, header);
      if (!taken) continue;
      at = *taken;
      lane = twin(index);
    }
    const bool large = header.kind() == VnetHeader::kGsoTcp4 || header.kind() == VnetHeader::kGsoUdp;
    if (large) ++(header.kind() == VnetHeader::kGsoUdp ? tun_uso_in : tun_tso_in);
    if (large && path.train_from_tun(lane, frame.subspan(at), header.gso_size)) continue;
    segmenter.split(header, frame, at, [this, lane](std::span<std::uint8_t> b, std::size_t from) {
      path.from_tun(lane, b, from);
      if (path.limited()) release_limited();
    });
  }
}

// What the kernel has handed out before comes as it was.
void Edge::Impl::set_offloads(TunOffloads wanted) {
  offloads = wanted;
  flush_all_joined();
  for (std::uint32_t i = 0; i < ports.size(); ++i) switch_offloads(i);
}

void Edge::Impl::switch_offloads(std::uint32_t index) {
  Port& port = ports[index];
  if (!port.tun) return;
  port.offloads = set_tun_offloads(port.tun.get(), offloads);
  if (port.offloads == offloads) return;
  runtime::log::info("tun-offload-missing", {{"port", index}, {"tcp", port.offloads.tcp}, {"udp", port.offloads.udp}});
}

bool Edge::Impl::joinable(const Port& port, ByteView ip_header) {
  return ip_header[9] == kProtoUdp ? port.offloads.udp : port.offloads.tcp;
}

// The namespace went away and took the device along; the keeper sees to it.
void Edge::Impl::tun_gone(std::uint32_t index) {
  home.unwatch_fd(ports[index].tun.get());
  path.set_port(index, port_settings(index, false));
  path.set_port(twin(index), twin_settings(index, false));
  ports[index].state = "failed";
  ports[index].reason = "device is gone";
  std::lock_guard lock(mutex);
  broken.insert(index);
  wake.notify_all();
}

// Once while anything waits for its limit.
void Edge::Impl::release_limited() {
  if (!running || limit_timer != 0) return;
  auto next = path.release_limited();
  if (!next) return;
  std::weak_ptr<Impl> weak = shared_from_this();
  limit_timer = home.after(std::max<Duration>(*next - home.now(), Duration::zero()), [weak] {
    auto impl = weak.lock();
    if (!impl) return;
    impl->limit_timer = 0;
    impl->release_limited();
  });
}

// A little later: when the routes that follow from the news are there.
void Edge::Impl::routes_changed() {
  constexpr Duration kRouted = milliseconds(10);
  if (!running || copies_timer != 0) return;
  std::weak_ptr<Impl> weak = shared_from_this();
  copies_timer = home.after(kRouted, [weak] {
    auto impl = weak.lock();
    if (!impl) return;
    impl->copies_timer = 0;
    impl->path.send_copies();
  });
}

void Edge::Impl::tick() {
  if (!running) return;
  path.expire();
  if (++ticks % 10 == 0) {
    for (Ipv4 address : kept) names.touch(address, home.now());
  }
  std::weak_ptr<Impl> weak = shared_from_this();
  tick_timer = home.after(kTick, [weak] {
    if (auto impl = weak.lock()) impl->tick();
  });
}

void Edge::Impl::close_all() {
  running = false;
  home.cancel(tick_timer);
  home.cancel(limit_timer);
  home.cancel(copies_timer);
  for (std::uint32_t i = 0; i < ports.size(); ++i) uninstall(i, "stopped", "");
  forwarder.reset();
}

forwarding::Verdict Edge::Impl::originate(std::span<std::uint8_t> datagram) {
  return home.originate(datagram);
}

void Edge::Impl::send_error(const wire::ServicePacket& packet, wire::ErrorCode code,
                            std::string_view text) {
  home.send_error(packet, code, text);
}

void Edge::Impl::write_frame(std::uint32_t index, ByteView vnet, ByteView head, ByteView body) {
  iovec parts[3];
  int count = 0;
  for (ByteView part : {vnet, head, body}) {
    if (!part.empty()) parts[count++] = {const_cast<std::uint8_t*>(part.data()), part.size()};
  }
  if (::writev(ports[index].tun.get(), parts, count) < 0) ++tun_write_failed;
}

void Edge::Impl::flush_joined(std::uint32_t index) {
  Port& port = ports[index];
  if (port.joiner.empty()) return;
  count_joined(port.joiner);
  auto parts = port.joiner.frame();
  if (port.tun && ::writev(port.tun.get(), parts.data(), static_cast<int>(parts.size())) < 0) {
    ++tun_write_failed;
  }
  port.joiner.clear();
}

void Edge::Impl::count_joined(const Joiner& joiner) {
  if (joiner.kind() == VnetHeader::kGsoTcp4) ++tun_tso_out;
  if (joiner.kind() == VnetHeader::kGsoUdp) ++tun_uso_out;
}

void Edge::Impl::flush_all_joined() {
  const auto count = static_cast<std::uint32_t>(ports.size());
  for (std::uint32_t index : unflushed) {
    index < count ? flush_joined(index) : flush6(index - count);
    (index < count ? ports[index].flush_due : ports[index - count].flush6_due) = false;
  }
  unflushed.clear();
}

// For what a batch's end does not flush: it did not come from the network.
void Edge::Impl::flush_at_end_of_round() {
  if (flush_posted) return;
  flush_posted = true;
  std::weak_ptr<Impl> weak = shared_from_this();
  home.post([weak] {
    auto impl = weak.lock();
    if (!impl) return;
    impl->flush_posted = false;
    impl->flush_all_joined();
  });
}

// Segments of one burst are joined and written when the burst is over, or when something else
// comes.
void Edge::Impl::write_tun(std::uint32_t index, ByteView head, ByteView body) {
  static constexpr std::array<std::uint8_t, kVnetBytes> kPlain{};
  if (index >= ports.size())
    return write_tun6(index - static_cast<std::uint32_t>(ports.size()), head, body);
  if (!ports[index].tun) return;
  Port& port = ports[index];
  const bool joins = joinable(port, head);
  bool taken = joins && port.joiner.add(head, body, packet_stays);
  if (!taken && !port.joiner.empty()) {
    flush_joined(index);
    taken = joins && port.joiner.add(head, body, packet_stays);
  }
  if (!taken) return write_frame(index, kPlain, head, body);
  if (port.joiner.complete()) return flush_joined(index);
  if (!port.flush_due) unflushed.push_back(index);
  port.flush_due = true;
  if (!packet_stays) flush_at_end_of_round();
}

bool Edge::Impl::flow_is_ours(std::uint64_t flow) {
  return dataplane::worker_of_flow(flow, home.count()) == home.index();
}

std::optional<InstancePin> Edge::Impl::choose(const Name& destination, std::uint64_t flow) {
  if (hooks.choose) return hooks.choose(destination, flow);
  const forwarding::Match match = home.fib().match(destination.text());
  if (!match) return std::nullopt;
  const forwarding::InstanceEntry* entry = forwarding::choose_instance(
      home.fib(), match->instances(), flow, forwarding::is_below(match, destination.text()));
  if (entry == nullptr) return std::nullopt;
  return InstancePin{entry->egress, entry->id};
}

bool Edge::Impl::alive(const Name& destination, const InstancePin& pin) {
  if (hooks.alive) return hooks.alive(destination, pin);
  const forwarding::Match match = home.fib().match(destination.text());
  if (!match) return false;
  for (const forwarding::InstanceEntry& entry : match->instances()) {
    if (entry.egress == pin.egress && entry.id == pin.instance) return true;
  }
  return false;
}

bool Edge::Impl::reachable(NodeId node) { return static_cast<bool>(home.fib().node(node)); }

PathLabel Edge::Impl::label(const Name& destination, const InstancePin& pin, std::uint64_t flow) {
  if (hooks.label) return hooks.label(destination, pin, flow);
  return home.fib().path_label(pin.egress, destination.text());
}

bool Edge::Impl::allowed(std::string_view source, NodeId ingress, const Name& destination) {
  return !hooks.allowed || hooks.allowed(source, ingress, destination);
}

// The FIB holds what the RIB holds: names whose grants were checked. Names below a covering prefix
// are granted with it.
bool Edge::Impl::granted(std::string_view source, NodeId ingress) {
  if (hooks.granted) return hooks.granted(source, ingress);
  const forwarding::Match match = home.fib().match(source);
  if (!match) return false;
  for (const forwarding::InstanceEntry& entry : match->instances()) {
    if (entry.egress == ingress) return true;
  }
  return false;
}

std::size_t Edge::Impl::path_mtu(NodeId egress) {
  return hooks.path_mtu ? hooks.path_mtu(egress) : kDefaultDatagram;
}

EdgeSnapshot Edge::Impl::rows(const FlowsWanted& flows) const {
  EdgeSnapshot out;
  path.snapshot(out, flows);
  auto row = [&](std::uint32_t index, const std::string& name) {
    const Port& port = ports[index];
    EdgeSnapshot::Pod pod;
    pod.name = name;
    pod.state = port.state;
    pod.reason = port.reason;
    return pod;
  };
  if (config.host_enabled) {
    auto host_row = row(kHostPort, "host");
    host_row.tun = config.host_tun;
    host_row.address = to_string(config.dns);
    out.pods.push_back(std::move(host_row));
  }
  for (std::size_t i = 0; i < config.pods.size(); ++i) {
    const PodNamespace& pod = config.pods[i];
    auto pod_row = row(kFirstPodPort + static_cast<std::uint32_t>(i), pod.name);
    pod_row.netns = pod.netns;
    pod_row.tun = pod.tun;
    pod_row.address = to_string(pod.address);
    pod_row.external = to_string(pod.external);
    out.pods.push_back(std::move(pod_row));
  }
  for (const auto& [address, name] : names.all())
    out.addresses.push_back({to_string(address), name});
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& l = config.listeners[i];
    const ListenerStatus& s = *listener_status[i];
    auto index = port_of(l.pod);
    out.listeners.push_back({to_string(l.where),
                             l.name.text() + ":" + std::to_string(l.port), to_string(l.protocol),
                             index ? ports[*index].state : "failed", s.accepted, s.active});
  }
  out.counters["tun_write_failed"] = tun_write_failed;
  out.counters["tun_tso_in"] = tun_tso_in;
  out.counters["tun_tso_out"] = tun_tso_out;
  out.counters["tun_uso_in"] = tun_uso_in;
  out.counters["tun_uso_out"] = tun_uso_out;
  out.counters["ipv6_ignored"] = ipv6_ignored;
  out.counters["ipv6_malformed"] = ipv6_malformed;
  out.counters["dns_queries"] = dns_counters.queries;
  out.counters["dns_answered"] = dns_counters.answered;
  out.counters["dns_errors"] = dns_counters.errors;
  out.counters["dns_refused"] = dns_counters.refused;
  out.counters["dns_forwarded"] = dns_counters.forwarded;
  out.counters["dns_upstream_failed"] = dns_counters.upstream_failed;
  out.counters["dns_dropped"] = dns_counters.dropped;
  return out;
}

}  // namespace dmsc::sgd
