// Server side: a program of ours is called by name.
#include <algorithm>

#include "sgd/edge_path.hpp"

namespace dmsc::sgd {
namespace {

constexpr unsigned kAddressesPerClient = 16;

// The ingress does not know where this connection lives and asks all who could have it (U19).
bool sought(const wire::ServicePacket& packet, const Segment& segment) {
  return segment.protocol == L4::tcp && (segment.tcp_flags & kTcpSyn) == 0 &&
         (packet.flags() & wire::kFlagEstablished) == 0;
}

}  // namespace

std::uint16_t map_port(const Endpoint& endpoint, L4 protocol, std::uint16_t service_port) {
  if (endpoint.ports.empty()) return service_port == endpoint.port ? service_port : 0;
  for (const Endpoint::PortMap& m : endpoint.ports) {
    if (m.service == service_port && m.protocol == protocol) return m.endpoint;
  }
  return 0;
}

bool serves(const Endpoint& endpoint, std::string_view destination) {
  if (endpoint.names.empty()) return true;
  for (const Name& name : endpoint.names) {
    const std::string& text = name.text();
    if (destination == text) return true;
    if (endpoint.covering && destination.size() > text.size() &&
        destination.substr(0, text.size()) == text && destination[text.size()] == '/') {
      return true;
    }
  }
  return false;
}

void EdgePath::set_endpoint(InstanceId instance, std::uint32_t index, Endpoint endpoint) {
  remove_endpoint(instance);
  endpoints_[instance] = Target{index, std::move(endpoint)};
}

void EdgePath::remove_endpoint(InstanceId instance) {
  if (endpoints_.erase(instance) == 0) return;
  for (auto it = in_.begin(); it != in_.end();) {
    auto here = it++;
    if (here->second->instance == instance) erase_in(here);
  }
}

const EdgePath::Target* EdgePath::target_for(wire::ServicePacket& packet) {
  auto it = endpoints_.find(packet.instance());
  if (it == endpoints_.end() || !serves(it->second.endpoint, packet.destination())) {
    count(Count::no_endpoint);
    io_.send_error(packet, wire::ErrorCode::no_instance, "no such instance here");
    return nullptr;
  }
  if (!port(it->second.port)) {
    count(Count::port_down);
    io_.send_error(packet, wire::ErrorCode::no_instance, "the pod's device is down");
    return nullptr;
  }
  auto destination = Name::parse(packet.destination());
  if (!destination || !io_.allowed(packet.source(), packet.ingress(), *destination)) {
    count(Count::not_allowed);
    io_.send_error(packet, wire::ErrorCode::not_allowed, "caller is not allowed");
    return nullptr;
  }
  return &it->second;
}

void EdgePath::build_header(InFlow& flow, const wire::ServicePacket& packet) {
  wire::ServicePacketSpec spec = wire::reply_spec(packet, wire::PacketKind::packet);
  spec.flags = wire::kFlagReply;
  spec.protocol = packet.payload_protocol();
  spec.label = PathLabel{};
  spec.record_slots = 0;
  spec.ports = std::pair{flow.service_port, flow.key.destination_port};
  auto header = wire::build_service_packet(spec, {});
  flow.header = header ? std::move(*header) : Bytes{};
  flow.header.shrink_to_fit();  // there are very many flows
}

// A port the announcement does not map: what the endpoint's kernel would say of a closed one.
void EdgePath::refuse_port(wire::ServicePacket& packet, const Segment& segment) {
  count(Count::port_refused);
  if (segment.protocol == L4::udp) {
    return io_.send_error(packet, wire::ErrorCode::pod_refused, "port is not served");
  }
  auto rst = make_rst(packet.payload(), {}, {});
  if (!rst) return;
  InFlow flow;
  flow.service_port = segment.destination_port;
  flow.key.destination_port = segment.source_port;
  build_header(flow, packet);
  Bytes buffer(kHeadroom);
  buffer.insert(buffer.end(), rst->begin(), rst->end());
  send(flow, std::span(buffer).subspan(kHeadroom), 0);
}

// The client's local address: the same for all its flows, unless two of them would be one tuple.
bool EdgePath::bind_client(InFlow& flow, const wire::ServicePacket& packet,
                           std::uint16_t client_port) {
  std::string client = std::to_string(packet.ingress().value) + " " +
                       std::to_string(packet.source_instance().value) + " " +
                       std::string(packet.source());
  for (unsigned i = 0; i < kAddressesPerClient; ++i) {
    auto address = clients_.allocate(i == 0 ? client : client + " " + std::to_string(i), io_.now());
    if (!address) break;
    flow.key.destination = *address;
    flow.key.destination_port = client_port;
    auto taken = in_by_tuple_.find(flow.key);
    if (taken == in_by_tuple_.end()) return true;
    if (taken->second->closing()) {
      erase_in(in_.find({taken->second->peer, taken->second->id}));
      return true;
    }
  }
  count(Count::client_addresses_full);
  return false;
}

InFlow* EdgePath::open_in(wire::ServicePacket& packet, const Segment& segment) {
  if (sought(packet, segment) && !just_started(kForgetful)) {
    not_here(packet);  // and we have forgotten none
    return nullptr;
  }
  if (!packet.source().empty() && !io_.granted(packet.source(), packet.ingress())) {
    count(Count::source_not_granted);
    packet.forget_source();
  }
  const Target* target = target_for(packet);
  if (target == nullptr) return nullptr;
  std::uint16_t endpoint_port =
      map_port(target->endpoint, segment.protocol, segment.destination_port);
  if (endpoint_port == 0) {
    refuse_port(packet, segment);
    return nullptr;
  }
  if (in_.size() >= config_.max_flows) {
    count(Count::flow_limit);
    io_.send_error(packet, wire::ErrorCode::congestion, "flow table is full");
    return nullptr;
  }
  auto flow = std::make_unique<InFlow>();
  flow->id = packet.flow();
  flow->peer = packet.ingress();
  flow->instance = packet.instance();
  flow->service_port = segment.destination_port;
  flow->key.port = target->port;
  flow->key.protocol = segment.protocol;
  flow->key.source = target->endpoint.address;
  flow->key.source_port = endpoint_port;
  if (!bind_client(*flow, packet, segment.source_port)) {
    io_.send_error(packet, wire::ErrorCode::congestion, "no address left for the client");
    return nullptr;
  }
  build_header(*flow, packet);
  InFlow* raw = flow.get();
  in_by_tuple_[flow->key] = raw;
  in_[{flow->peer, flow->id}] = std::move(flow);
  return raw;
}

void EdgePath::request_from_network(wire::ServicePacket& packet) {
  auto l4 = packet.payload();
  std::uint8_t protocol = static_cast<std::uint8_t>(packet.payload_protocol());
  auto segment = parse_segment(protocol, l4);
  if (!segment || !packet.ingress()) return count(Count::bad_segment);
  auto it = in_.find({packet.ingress(), packet.flow()});
  InFlow* flow = it == in_.end() ? nullptr : it->second.get();
  if (flow != nullptr && (flow->service_port != segment->destination_port ||
                          flow->key.destination_port != segment->source_port ||
                          flow->key.protocol != segment->protocol ||
                          flow->instance != packet.instance())) {
    if (sought(packet, *segment)) return not_here(packet);
    erase_in(it);  // the id now stands for another flow of that ingress
    flow = nullptr;
  }
  if (flow == nullptr) flow = open_in(packet, *segment);
  if (flow == nullptr) return;
  if (!port(flow->key.port)) return count(Count::port_down);
  ++flow->packets_in;
  flow->last = io_.now();
  if (segment->protocol == L4::tcp) {
    if ((segment->tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn && flow->closing()) flow->reopen();
    flow->note_flags(segment->tcp_flags, false);
    std::size_t mtu = carries(*flow, flow->peer), header = flow->header.size();
    clamp_mss(l4, mss_for(mtu > header ? mtu - header : 0));
  }
  sgd::set_port(protocol, l4, PortField::destination, flow->key.source_port);
  readdress_checksum(protocol, l4, {}, {}, flow->key.destination, flow->key.source);
  std::uint8_t tos = packet.traffic_class();
  bool marked = (packet.flags() & wire::kFlagCongestion) != 0 && (tos & 3) != 0;
  write_ip(flow->key.port, flow->key.destination, flow->key.source,
           static_cast<std::uint8_t>(marked ? tos | 3 : tos), protocol, l4);
}

// From the TUN, to a client's address: the answer of one of our servers.
void EdgePath::answer(std::uint32_t index, const Ip4Packet& packet) {
  if (packet.protocol == kProtoIcmp) return answer_is_icmp(index, packet);
  auto segment = parse_segment(packet.protocol, packet.l4);
  if (!segment) return count(Count::bad_segment);
  auto it = in_by_tuple_.find({index, segment->protocol, packet.source, packet.destination,
                               segment->source_port, segment->destination_port});
  if (it == in_by_tuple_.end()) {
    count(Count::unknown_flow);
    if (just_started(kForgetful)) return ask_for_flows(packet.destination);
    if (segment->protocol == L4::tcp) return answer_rst(index, packet);
    return answer_icmp(index, packet, icmp::kUnreachable, icmp::kPort);
  }
  InFlow& flow = *it->second;
  std::size_t mtu = carries(flow, flow.peer);
  std::size_t most = mtu > flow.header.size() ? mtu - flow.header.size() : 0;
  if (packet.l4.size() > most) {
    count(Count::too_big);
    answer_icmp(index, packet, icmp::kUnreachable, icmp::kFragmentationNeeded,
                static_cast<std::uint16_t>(most + kIpHeaderBytes));
    if (segment->protocol == L4::tcp && segment->header_bytes < most) {
      answer_train(index, packet, *segment, most - segment->header_bytes);
    }
    return;
  }
  bool repeated = false;
  if (segment->protocol == L4::tcp) {
    if ((segment->tcp_flags & kTcpSyn) != 0) flow.next_sequence = 0;
    flow.note_flags(segment->tcp_flags, true);
    repeated = note_sequence(flow, *segment, packet.l4.size() - segment->header_bytes);
    clamp_mss(packet.l4, mss_for(most));
  }
  flow.established = true;
  sgd::set_port(packet.protocol, packet.l4, PortField::source, flow.service_port);
  readdress_checksum(packet.protocol, packet.l4, packet.source, packet.destination, {}, {});
  if (repeated) copies_.keep(io_.now(), flow.id, flow.peer, packet.tos, packet.l4);
  answered(flow, send(flow, packet.l4, packet.tos));
}

void EdgePath::answered(InFlow& flow, const forwarding::Verdict& verdict) {
  if (verdict.action != forwarding::Action::drop ||
      verdict.reason != forwarding::DropReason::too_big) {
    return;
  }
  take_hint(flow, flow.peer, nullptr);
  too_big(flow, flow.peer);
}

// The endpoint's kernel refused a datagram: the caller hears it as an error packet.
void EdgePath::answer_is_icmp(std::uint32_t index, const Ip4Packet& packet) {
  auto quoted = parse_icmp_error(packet.l4);
  if (!quoted || (quoted->protocol != kProtoTcp && quoted->protocol != kProtoUdp)) {
    return count(Count::protocol_refused);
  }
  auto it = in_by_tuple_.find({index, static_cast<L4>(quoted->protocol), quoted->destination,
                               quoted->source, quoted->destination_port, quoted->source_port});
  if (it == in_by_tuple_.end()) return count(Count::unknown_flow);
  InFlow& flow = *it->second;
  wire::ServicePacketSpec spec;
  spec.kind = wire::PacketKind::error;
  spec.flags = wire::kFlagReply;
  spec.flow = flow.id;
  spec.egress = flow.peer;
  spec.ingress = io_.self();
  const FlowNames names = names_of(flow);
  spec.destination = names.destination;
  spec.source = names.source;
  spec.error = std::pair{wire::ErrorCode::pod_refused, std::string_view("endpoint unreachable")};
  PathPort* p = port(index);
  auto error = wire::build_service_packet(spec, {});
  if (error && p != nullptr && icmp_allowed(*p)) io_.originate(*error);
}

void EdgePath::erase_in(InTable::iterator it) {
  auto tuple = in_by_tuple_.find(it->second->key);
  if (tuple != in_by_tuple_.end() && tuple->second == it->second.get()) in_by_tuple_.erase(tuple);
  in_.erase(it);
}

}  // namespace dmsc::sgd
