#include "sgd/gateway_sink.hpp"

namespace dmsc::sgd {

using wire::PacketKind;

void GatewaySink::deliver(wire::ServicePacket& packet, LinkId from) {
  if (quiet_) return;
  if (packet.kind() == PacketKind::packet) {
    if (!edge_.deliver(packet, worker_, from.value != 0)) {
      worker_.send_error(packet, wire::ErrorCode::unsupported, "no unmodified programs here");
    }
    return;
  }
  if (&worker_ == &home_) return deliver_at_home(packet);
  Bytes copy(packet.datagram().begin(), packet.datagram().end());
  home_.post([this, copy = std::move(copy)]() mutable {
    if (auto moved = wire::ServicePacket::parse(copy)) deliver_at_home(*moved);
  });
}

void GatewaySink::deliver_at_home(wire::ServicePacket& packet) {
  if (quiet_) return;
  switch (packet.kind()) {
    case PacketKind::request:
    case PacketKind::response: hub_.deliver(packet); return;
    case PacketKind::error:
      if (!hub_.deliver(packet)) edge_.deliver(packet, home_);
      return;
    default:
      home_.send_error(packet, wire::ErrorCode::unsupported,
                       "this gateway takes requests, responses and packets");
  }
}

std::optional<dataplane::ProbeHealth> GatewaySink::probe_health(const wire::ServicePacket& probe) {
  using dataplane::Health;
  auto health_of = [](const LocalInstance& instance) {
    if (instance.service.check.kind == CheckKind::none) return Health::unknown;
    return instance.healthy ? Health::healthy : Health::failing;
  };
  if (probe.instance()) {
    const LocalInstance* instance = view_->find(probe.instance());
    if (instance == nullptr) return std::nullopt;
    return dataplane::ProbeHealth{health_of(*instance), 0};
  }
  if (probe.destination().empty()) return dataplane::ProbeHealth{};  // of this node itself
  for (const LocalInstance& instance : view_->instances) {
    if (instance.healthy && serves(instance, probe.destination())) {
      return dataplane::ProbeHealth{health_of(instance), 0};
    }
  }
  return std::nullopt;
}

}  // namespace dmsc::sgd
