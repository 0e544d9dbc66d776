#include "sgd/edge.hpp"

#include "sgd/edge_impl.hpp"

namespace dmsc::sgd {

const char* to_string(External external) {
  switch (external) {
    case External::refuse: return "refuse";
    case External::masquerade: return "masquerade";
    case External::pass: return "pass";
  }
  return "?";
}

Result<External> parse_external(std::string_view text) {
  for (External e : {External::refuse, External::masquerade, External::pass}) {
    if (text == to_string(e)) return e;
  }
  return make_error(Errc::invalid, "'", text, "' is none of refuse, masquerade, pass");
}

Edge::Edge(EdgeConfig config, dataplane::Worker& home, EdgeHooks hooks)
    : impl_(std::make_shared<Impl>(std::move(config), home, std::move(hooks))) {}

Edge::~Edge() { impl_->stop(); }

Status Edge::start() { return impl_->start(); }

void Edge::stop() { impl_->stop(); }

Status Edge::set_endpoint(InstanceId instance, Endpoint endpoint) {
  auto port = impl_->port_of(endpoint.pod);
  if (!port && endpoint.pod.empty()) {
    return make_error(Errc::unavailable, "endpoint ",
                      endpoint.address6 ? to_string(*endpoint.address6) : to_string(endpoint.address),
                      " is in the gateway's own namespace, which needs host_mode.enabled");
  }
  if (!port) {
    return make_error(Errc::not_found, "pod '", endpoint.pod, "' is not in pods.namespaces");
  }
  if (endpoint.address6) return impl_->set_endpoint6(instance, *port, std::move(endpoint));
  if (!endpoint.address || endpoint.address.is_multicast_or_broadcast()) {
    return make_error(Errc::invalid, "endpoint ", to_string(endpoint.address), " is no host");
  }
  impl_->home.post([impl = impl_, instance, port = *port, endpoint = std::move(endpoint)]() mutable {
    impl->release_endpoint6(instance);
    impl->path.set_endpoint(instance, port, std::move(endpoint));
  });
  return Ok{};
}

void Edge::remove_endpoint(InstanceId instance) {
  impl_->home.post([impl = impl_, instance] {
    impl->release_endpoint6(instance);
    impl->path.remove_endpoint(instance);
  });
}

void Edge::set_source(const std::string& pod, Name source, InstanceId instance) {
  auto port = impl_->port_of(pod);
  if (!port) return;
  impl_->home.post([impl = impl_, port = *port, source = std::move(source), instance] {
    impl->path.set_source(port, source, instance);
    impl->path.set_source(impl->twin(port), source, instance);
  });
}

void Edge::set_prefix(const Name& prefix, bool covering) {
  impl_->home.post([impl = impl_, prefix, covering] {
    impl->directory.set(prefix, covering);
    impl->path.instances_changed();
  });
}

void Edge::remove_prefix(const Name& prefix) {
  impl_->home.post([impl = impl_, prefix] {
    impl->directory.remove(prefix);
    impl->path.instances_changed();
  });
}

void Edge::set_ports(const Name& prefix, std::vector<wire::ServicePort> ports) {
  impl_->home.post([impl = impl_, prefix, ports = std::move(ports)]() mutable {
    impl->directory.set_ports(prefix, std::move(ports));
  });
}

void Edge::set_limits(std::vector<RateLimit> limits) {
  impl_->home.post([impl = impl_, limits = std::move(limits)] {
    impl->path.set_limits(limits);
    impl->release_limited();
  });
}

FairShaper::Answer Edge::limit_message(Bytes& datagram) {
  if (!impl_->running || !impl_->path.limited()) return FairShaper::Answer::pass;
  auto answer = impl_->path.limit_message(datagram);
  impl_->release_limited();
  return answer;
}

void Edge::set_offloads(TunOffloads offloads) {
  impl_->home.post([impl = impl_, offloads] { impl->set_offloads(offloads); });
}

void Edge::routes_changed() {
  impl_->home.post([impl = impl_] { impl->routes_changed(); });
}

void Edge::snapshot(FlowsWanted flows, std::function<void(EdgeSnapshot)> done) {
  impl_->home.post([impl = impl_, flows = std::move(flows), done = std::move(done)] { done(impl->rows(flows)); });
}

Ipv4 Edge::resolver() const { return impl_->config.dns; }

bool Edge::deliver(wire::ServicePacket& packet, dataplane::Worker& on, bool stays) {
  using wire::PacketKind;
  bool here = &on == &impl_->home;
  if (packet.kind() == PacketKind::error) return here && impl_->path.error_from_network(packet);
  if (packet.kind() != PacketKind::packet) return false;
  if (here) {
    impl_->packet_stays = stays;
    impl_->path.from_network(packet);
    impl_->packet_stays = false;
    return true;
  }
  auto datagram = packet.datagram();
  impl_->home.post([impl = impl_, copy = Bytes(datagram.begin(), datagram.end())]() mutable {
    auto again = wire::ServicePacket::parse(copy);
    if (again) impl->path.from_network(*again);
  });
  return true;
}

void Edge::batch_over(dataplane::Worker& on) {
  if (&on == &impl_->home) impl_->flush_all_joined();
}

}  // namespace dmsc::sgd
