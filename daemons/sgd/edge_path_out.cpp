// Client side: a program of ours calls a name through its virtual address.
#include <algorithm>

#include "sgd/edge_path.hpp"

namespace dmsc::sgd {
namespace {

constexpr Duration kCheckInterval = milliseconds(200);

wire::PayloadProtocol payload(L4 protocol) {
  return protocol == L4::tcp ? wire::PayloadProtocol::tcp : wire::PayloadProtocol::udp;
}

// Largest L4 segment a datagram of `mtu` bytes carries behind the flow's header.
std::size_t room(const OutFlow& flow) {
  return flow.mtu > flow.header.size() ? flow.mtu - flow.header.size() : 0;
}

bool unreachable(const forwarding::Verdict& verdict) {
  using forwarding::DropReason;
  return verdict.action == forwarding::Action::drop &&
         (verdict.reason == DropReason::no_route || verdict.reason == DropReason::no_instance ||
          verdict.reason == DropReason::egress_unreachable ||
          verdict.reason == DropReason::link_down);
}

}  // namespace

void EdgePath::call(std::uint32_t index, const Ip4Packet& packet) {
  auto segment = parse_segment(packet.protocol, packet.l4);
  if (!segment) {
    bool known = packet.protocol == kProtoTcp || packet.protocol == kProtoUdp;
    count(known ? Count::bad_segment : Count::protocol_refused);
    if (!known) answer_icmp(index, packet, icmp::kUnreachable, icmp::kProtocol);
    return;
  }
  FlowKey key{index, segment->protocol, packet.source, packet.destination, segment->source_port,
              segment->destination_port};
  auto it = out_.find(key);
  bool opening = (segment->tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  if (it != out_.end() && opening && it->second->closing()) {
    erase_out(it);  // a new connection on the ports of an old one is balanced anew
    it = out_.end();
  }
  bool again = opening && it != out_.end() && !it->second->established;
  OutFlow* flow = it != out_.end() ? it->second.get() : open_out(key, packet);
  if (flow == nullptr) return;
  if (flow->seeking) return seek(*flow, packet);
  if (!check(*flow)) return give_up(*flow, packet);
  if (again) pin_elsewhere(*flow);  // a SYN that got no answer: perhaps another instance gives one
  if (packet.l4.size() > room(*flow)) {
    count(Count::too_big);
    answer_icmp(index, packet, icmp::kUnreachable, icmp::kFragmentationNeeded,
                static_cast<std::uint16_t>(room(*flow) + kIpHeaderBytes));
    // The program may not have heard (an IPv6 one never of less than 1280): what it sent goes on in pieces.
    if (segment->protocol != L4::tcp || segment->header_bytes >= room(*flow)) return;
    const std::size_t most = room(*flow) - segment->header_bytes;
    if (flow->limit != nullptr) return cut_limited(*flow, packet, *segment, most);
    call_train(index, packet, *segment, most);
    return;
  }
  bool repeated = false;
  if (segment->protocol == L4::tcp) {
    flow->note_flags(segment->tcp_flags, true);
    std::size_t length = packet.l4.size() - segment->header_bytes;
    if ((segment->tcp_flags & (kTcpSyn | kTcpFin)) != 0) ++length;
    repeated = note_sequence(*flow, *segment, length);
    flow->acknowledged = segment->acknowledgement;
    flow->window = segment->window;
    clamp_mss(packet.l4, mss_for(room(*flow)));
  }
  readdress_checksum(packet.protocol, packet.l4, packet.source, packet.destination, {}, {});
  if (flow->limit != nullptr && !within_limit(*flow, packet)) return;
  if (repeated && flow->limit == nullptr) copies_.keep(io_.now(), flow->id, {}, packet.tos, packet.l4);
  auto verdict = send(*flow, packet.l4, packet.tos);
  if (unreachable(verdict) && !flow->established && pin_elsewhere(*flow)) {
    verdict = send(*flow, packet.l4, packet.tos);
  }
  sent(*flow, verdict);
}

OutFlow* EdgePath::open_out(const FlowKey& key, const Ip4Packet& packet) {
  const std::string* text = names_.find(key.destination);
  auto name = text ? Name::parse(*text) : Result<Name>(Error{});
  PathPort& p = ports_[key.port];
  auto refuse = [&](Count why, std::uint8_t code) -> OutFlow* {
    count(why);
    answer_icmp(key.port, packet, icmp::kUnreachable, code);
    return nullptr;
  };
  if (!name) return refuse(Count::no_address, icmp::kHost);
  if (!io_.allowed(p.source.text(), io_.self(), *name)) {
    return refuse(Count::not_allowed, icmp::kAdminProhibited);
  }
  if (out_.size() >= config_.max_flows || p.flows >= std::max<std::size_t>(1024, config_.max_flows / 4)) {
    return refuse(Count::flow_limit, icmp::kHost);
  }
  auto flow = std::make_unique<OutFlow>();
  flow->key = key;
  flow->destination = *name;
  flow->last = io_.now();
  flow->limit = limit_for(*name);
  // The id follows from the tuple: after a restart the flow is told apart, and pinned, as before.
  auto bytes = key.bytes();
  for (std::uint8_t attempt = 0; attempt < 255; ++attempt) {
    Bytes input(bytes.begin(), bytes.end());
    input.push_back(attempt);
    flow->id = crypto::siphash24(config_.key, input);
    if (io_.flow_is_ours(flow->id) && out_by_id_.count(flow->id) == 0) break;
  }
  const bool midway = packet.protocol == kProtoTcp && (packet.l4[13] & kTcpSyn) == 0;
  if (!pin(*flow)) {
    count(Count::no_instance);
    if (midway && just_started(kSettling)) return nullptr;  // the routes are not there yet; TCP repeats
    if (midway) {
      answer_rst(key.port, packet);  // of a connection whose service is gone
    } else {
      answer_icmp(key.port, packet, icmp::kUnreachable, icmp::kHost);
    }
    return nullptr;
  }
  flow->seeking = midway;
  names_.touch(key.destination, io_.now());
  ++p.flows;
  OutFlow* raw = flow.get();
  out_by_id_[flow->id] = raw;
  out_.emplace(key, std::move(flow));
  return raw;
}

bool EdgePath::pin(OutFlow& flow) {
  auto chosen = io_.choose(flow.destination, flow.id);
  if (chosen) take(flow, *chosen);
  return chosen.has_value();
}

void EdgePath::take(OutFlow& flow, const InstancePin& chosen) {
  flow.pin = chosen;
  flow.checked = io_.now();
  flow.mtu = carries(flow, flow.pin.egress);
  flow.label = io_.label(flow.destination, flow.pin, flow.id);
  build_header(flow);
}

// A flow that was never answered may go to another instance; true if there is one. Draws as other flows
// would, until one comes out that is not the one it has.
bool EdgePath::pin_elsewhere(OutFlow& flow) {
  constexpr std::uint64_t kDraws = 16, kOdd = 0x9e3779b97f4a7c15;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    auto chosen = io_.choose(flow.destination, flow.id + draw * kOdd);
    if (!chosen) return false;
    if (chosen->egress == flow.pin.egress && chosen->instance == flow.pin.instance) continue;
    take(flow, *chosen);
    count(Count::repinned);
    return true;
  }
  return false;
}

void EdgePath::build_header(OutFlow& flow) {
  const PathPort& p = ports_[flow.key.port];
  wire::ServicePacketSpec spec;
  spec.kind = wire::PacketKind::packet;
  spec.protocol = payload(flow.key.protocol);
  spec.label = flow.label;
  spec.flow = flow.id;
  spec.egress = flow.pin.egress;
  spec.ingress = io_.self();
  spec.destination = flow.destination.text();
  spec.source = p.source.text();
  spec.instance = flow.pin.instance;
  spec.source_instance = p.source_instance;
  spec.ports = std::pair{flow.key.source_port, flow.key.destination_port};
  auto header = wire::build_service_packet(spec, {});
  flow.header = header ? std::move(*header) : Bytes{};  // two names always fit
  flow.header.shrink_to_fit();  // there are very many flows
}

// The pinned instance is announced, and its gateway not out of reach for so long that no restart of it and
// no repair of the network explains it.
bool EdgePath::lives(OutFlow& flow) {
  constexpr Duration kAway = seconds(10);
  const bool announced = io_.alive(flow.destination, flow.pin);
  if (!announced && !just_started(kSettling)) return false;
  if (announced && io_.reachable(flow.pin.egress)) {
    flow.away_since = {};
    return true;
  }
  if (flow.away_since == Time{}) flow.away_since = io_.now();
  return io_.now() < flow.away_since + kAway;
}

// Keeps the pin while its instance lives (DESIGN section 6); false if none is left.
bool EdgePath::check(OutFlow& flow) {
  Time now = io_.now();
  if (now - flow.checked < kCheckInterval) return true;
  flow.checked = now;
  if (!lives(flow)) {
    if (flow.connected()) return false;  // what the other end knew of it is gone with the instance
    if (!pin(flow)) return false;
    count(Count::repinned);
    return true;
  }
  PathLabel label = io_.label(flow.destination, flow.pin, flow.id);
  flow.mtu = carries(flow, flow.pin.egress);
  if (label != flow.label) {
    flow.label = label;
    build_header(flow);
  }
  return true;
}

// The name has no instance any more: the program is told at once.
void EdgePath::give_up(OutFlow& flow, const Ip4Packet& packet) {
  count(Count::no_instance);
  flow.checked = Time{};  // look again with the next packet
  if (flow.connected()) {
    flow.reset = true;
    return answer_rst(flow.key.port, packet);
  }
  answer_icmp(flow.key.port, packet, icmp::kUnreachable, icmp::kHost);
}

// `packet`'s IP header is gone by now: the service header stands in its place.
void EdgePath::sent(OutFlow& flow, const forwarding::Verdict& verdict) {
  if (verdict.action != forwarding::Action::drop) return;
  using forwarding::DropReason;
  switch (verdict.reason) {
    case DropReason::too_big:
      take_hint(flow, flow.pin.egress, nullptr);
      flow.mtu = carries(flow, flow.pin.egress);
      return too_big(flow, flow.pin.egress);
    default:
      // An established flow waits for the network to heal; TCP retransmits.
      if (!unreachable(verdict) || flow.established) return;
      flow.checked = Time{};
      return tell_program(flow, icmp::kHost);
  }
}

void EdgePath::reply_from_network(wire::ServicePacket& packet) {
  auto it = out_by_id_.find(packet.flow());
  OutFlow* known = it != out_by_id_.end() ? it->second : adopt(packet);
  if (known == nullptr) return count(Count::unknown_flow);
  OutFlow& flow = *known;
  const bool pinned =
      packet.ingress() == flow.pin.egress && packet.source_instance() == flow.pin.instance;
  if (flow.seeking ? !found(flow, packet) : !pinned) return count(Count::wrong_peer);
  auto l4 = packet.payload();
  std::uint8_t protocol = static_cast<std::uint8_t>(packet.payload_protocol());
  auto segment = parse_segment(protocol, l4);
  if (!segment || segment->protocol != flow.key.protocol ||
      segment->source_port != flow.key.destination_port ||
      segment->destination_port != flow.key.source_port) {
    return count(Count::bad_segment);
  }
  if (!port(flow.key.port)) return count(Count::port_down);
  ++flow.packets_in;
  flow.last = io_.now();
  flow.established = true;
  if (segment->protocol == L4::tcp) {
    flow.note_flags(segment->tcp_flags, false);
    clamp_mss(l4, mss_for(room(flow)));
  }
  readdress_checksum(protocol, l4, {}, {}, flow.key.destination, flow.key.source);
  std::uint8_t tos = packet.traffic_class();
  bool marked = (packet.flags() & wire::kFlagCongestion) != 0 && (tos & 3) != 0;
  write_ip(flow.key.port, flow.key.destination, flow.key.source,
           static_cast<std::uint8_t>(marked ? tos | 3 : tos), protocol, l4);
}

void EdgePath::reset_program(OutFlow& flow) {
  PathPort* p = port(flow.key.port);
  if (p == nullptr || !icmp_allowed(*p)) return;
  ByteWriter w;
  w.u16(flow.key.destination_port).u16(flow.key.source_port);
  w.u32(flow.acknowledged).u32(flow.next_sequence);
  w.u8(5 << 4).u8(kTcpRst | kTcpAck).u16(0).u16(0).u16(0);
  Bytes rst = w.take();
  fill_segment_checksum(kProtoTcp, rst, flow.key.destination, flow.key.source);
  flow.reset = true;
  count(Count::rst_sent);
  write_ip(flow.key.port, flow.key.destination, flow.key.source, 0, kProtoTcp, rst);
}

// What the pinned egress itself says is final.
void EdgePath::refused_by_egress(OutFlow& flow, wire::ErrorCode code) {
  bool tcp = flow.key.protocol == L4::tcp;
  if (code == wire::ErrorCode::not_allowed) {
    return tell_program(flow, icmp::kAdminProhibited);
  }
  if (code == wire::ErrorCode::pod_refused) {
    return tcp ? reset_program(flow) : tell_program(flow, icmp::kPort);
  }
  // no_instance: the instance left and the news is on its way; another may serve a flow without
  // state there.
  if (!flow.established && pin_elsewhere(flow)) return;
  tcp && flow.established ? reset_program(flow) : tell_program(flow, icmp::kHost);
}

// Errors of routers on the way are hints: they never end an established flow.
void EdgePath::hint(OutFlow& flow, wire::ErrorCode code, const wire::ServicePacket& error) {
  if (code == wire::ErrorCode::too_big) {
    if (!take_hint(flow, flow.pin.egress, &error)) return count(Count::hint_ignored);
    flow.mtu = carries(flow, flow.pin.egress);
    count(Count::too_big);
    return too_big(flow, flow.pin.egress);
  }
  bool no_way = code == wire::ErrorCode::no_route || code == wire::ErrorCode::no_instance ||
                code == wire::ErrorCode::egress_unreachable;
  if (!no_way || flow.established) return count(Count::hint_ignored);
  if (!pin_elsewhere(flow)) tell_program(flow, icmp::kHost);
}

bool EdgePath::error_from_network(const wire::ServicePacket& packet) {
  auto it = out_by_id_.find(packet.flow());
  if (it == out_by_id_.end() && packet.flow() == kNoFlow) {
    flows_wanted(packet.ingress());
    return true;
  }
  if (it == out_by_id_.end()) return error_about_answer(packet);
  count(Count::error_in);
  OutFlow& flow = *it->second;
  if (flow.seeking) return true;  // one of those asked does not know it
  auto tlv = packet.tlv(wire::HeaderTlv::error);
  ByteReader in(tlv.value_or(ByteView{}));
  auto code = static_cast<wire::ErrorCode>(in.u16());
  if (!in.ok()) return true;
  using wire::ErrorCode;
  bool final = packet.ingress() == flow.pin.egress &&
               (code == ErrorCode::no_instance || code == ErrorCode::not_allowed ||
                code == ErrorCode::pod_refused);
  final ? refused_by_egress(flow, code) : hint(flow, code, packet);
  return true;
}

// Connections whose instance has left the domain: their programs are told now, not when they next speak.
void EdgePath::sweep() {
  constexpr std::size_t kAtOnce = 4096;  // buckets; some milliseconds
  std::size_t buckets = out_.bucket_count();
  for (std::size_t i = 0; i < kAtOnce && sweep_left_ > 0; ++i, --sweep_left_) {
    if (++sweep_cursor_ >= buckets) sweep_cursor_ = 0;
    for (auto it = out_.begin(sweep_cursor_); it != out_.end(sweep_cursor_); ++it) {
      OutFlow& flow = *it->second;
      if (!flow.connected() || flow.closing() || lives(flow)) continue;
      count(Count::no_instance);
      reset_program(flow);
    }
  }
}

void EdgePath::instances_changed() { sweep_left_ = out_.bucket_count(); }

void EdgePath::erase_out(OutTable::iterator it) {
  PathPort& p = ports_[it->first.port];
  if (p.flows > 0) --p.flows;
  out_by_id_.erase(it->second->id);
  out_.erase(it);
}

}  // namespace dmsc::sgd
