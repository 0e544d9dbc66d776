// Probes and traces: asking, answering, and each link's own data-path check.
#include <algorithm>
#include <utility>

#include "dmsc/dataplane/worker_impl.hpp"
#include "dmsc/runtime/clock.hpp"

namespace dmsc::dataplane {

using wire::HeaderTlv;
using wire::PacketKind;
using wire::ServicePacket;

namespace {

std::uint64_t clock_ns() {
  return static_cast<std::uint64_t>(runtime::now().time_since_epoch().count());
}

ProbeStamps stamps_of(const ServicePacket& packet) {
  auto tlv = packet.tlv(HeaderTlv::timestamps);
  return tlv ? decode_probe_stamps(*tlv).value_or(ProbeStamps{}) : ProbeStamps{};
}

// Round trip without the responder's own time; zero for stamps that make no sense.
Duration round_trip(const ProbeStamps& stamps, std::uint64_t now_ns) {
  auto whole = static_cast<std::int64_t>(now_ns - stamps.t1);
  auto inside = static_cast<std::int64_t>(stamps.t3 - stamps.t2);
  if (stamps.t1 == 0 || whole < 0 || inside < 0 || inside > whole) return {};
  return Duration(whole - inside);
}

// The record holds the way there, up to and including the responder, then the way back.
void split_record(const std::vector<NodeId>& record, ProbeResult& result) {
  auto turn = std::find(record.begin(), record.end(), result.responder);
  if (turn == record.end()) {
    result.path = record;
    return;
  }
  result.path.assign(record.begin(), turn + 1);
  result.return_path.assign(turn, record.end());
  if (result.return_path.size() > 1 && result.return_path[1] == result.responder) {
    result.return_path.erase(result.return_path.begin());
  }
}

}  // namespace

std::uint64_t WorkerImpl::new_flow() {
  for (;;) {
    std::uint64_t flow = random();
    if (flow != 0 && worker_of_flow(flow, shared_.workers) == index_) return flow;
  }
}

wire::ServicePacketSpec WorkerImpl::probe_packet(const ProbeSpec& spec, std::uint32_t exchange) {
  wire::ServicePacketSpec packet;
  packet.kind = spec.trace ? PacketKind::trace : PacketKind::probe;
  packet.flags = spec.record_slots > 0 ? wire::kFlagTrace : 0;
  packet.hop_limit = spec.hop_limit;
  packet.traffic_class = spec.traffic_class;
  packet.label = spec.label;
  packet.exchange = exchange;
  packet.flow = spec.flow != 0 ? spec.flow : new_flow();
  packet.egress = spec.egress;
  packet.ingress = shared_.self;
  packet.destination = spec.destination;
  packet.instance = spec.instance;
  packet.record_slots = spec.record_slots;
  return packet;
}

void WorkerImpl::probe(const ProbeSpec& spec, Duration timeout,
                       std::function<void(const ProbeResult&)> done) {
  std::uint32_t exchange = 0;
  do {
    exchange = static_cast<std::uint32_t>(random()) | kProbeExchangeBit;
  } while (open_probes_.count(exchange) != 0);
  std::uint64_t sent_ns = clock_ns();
  Bytes stamps = encode(ProbeStamps{sent_ns, 0, 0});
  wire::ServicePacketSpec packet = probe_packet(spec, exchange);
  packet.timestamps = stamps;
  auto built = wire::build_service_packet(packet, Bytes(spec.padding));
  if (!built) {
    ProbeResult result;
    result.outcome = ProbeResult::Outcome::refused;
    result.detail = built.error().message;
    return done(result);
  }
  TimerId timer = after(timeout, [this, exchange] { finish_probe(exchange, ProbeResult{}); });
  open_probes_[exchange] = OpenProbe{packet.flow, sent_ns, timer, std::move(done)};
  forwarding::Verdict verdict = originate(*built);
  if (verdict.action == forwarding::Action::drop) {
    ProbeResult result;
    result.outcome = ProbeResult::Outcome::refused;
    result.responder = shared_.self;
    if (auto code = forwarding::error_for(verdict.reason)) result.error = *code;
    result.detail = forwarding::to_string(verdict.reason);
    finish_probe(exchange, result);
  }
}

void WorkerImpl::finish_probe(std::uint32_t exchange, const ProbeResult& result) {
  auto it = open_probes_.find(exchange);
  if (it == open_probes_.end()) return;
  OpenProbe open = std::move(it->second);
  open_probes_.erase(it);
  cancel(open.timer);
  open.done(result);
}

void WorkerImpl::answer_probe(const ServicePacket& packet) {
  std::uint64_t received = clock_ns();
  std::optional<ProbeHealth> health;
  if (sink_ != nullptr && !packet.destination().empty()) {
    health = sink_->probe_health(packet);
  } else if (packet.destination().empty()) {
    health = ProbeHealth{};  // the node itself
  }
  if (!health) {
    return drop(packet, forwarding::DropReason::no_instance, "no such instance at this node");
  }
  wire::ServicePacketSpec spec = wire::reply_spec(packet, packet.kind());
  spec.ingress = shared_.self;
  Bytes stamps = encode(ProbeStamps{stamps_of(packet).t1, received, clock_ns()});
  spec.timestamps = stamps;
  auto reply = wire::build_service_packet(spec,
                                          encode_probe_answer(*health, packet.payload().size()));
  if (!reply) return counters_.drop(forwarding::DropReason::malformed);
  counters_.probes_answered.add();
  counters_.ended.add();
  originate(*reply);
}

bool WorkerImpl::take_reply(const ServicePacket& packet) {
  auto it = open_probes_.find(packet.exchange());
  if (it == open_probes_.end() || it->second.flow != packet.flow()) return false;
  ProbeResult result;
  result.responder = packet.ingress();
  if (packet.kind() == PacketKind::error) {
    result.outcome = ProbeResult::Outcome::error;
    result.round_trip = Duration(static_cast<std::int64_t>(clock_ns() - it->second.sent_ns));
    auto tlv = packet.tlv(HeaderTlv::error);
    ByteReader in(tlv.value_or(ByteView{}));
    result.error = static_cast<wire::ErrorCode>(in.u16());
    result.detail = as_text(in.rest());
  } else {
    auto answer = decode_probe_answer(packet.payload());
    if (!answer) return true;  // from somebody who does not speak this version: as if lost
    result.outcome = ProbeResult::Outcome::answered;
    result.health = *answer;
    result.round_trip = round_trip(stamps_of(packet), clock_ns());
  }
  split_record(packet.recorded_hops(), result);
  finish_probe(packet.exchange(), result);
  return true;
}

void WorkerImpl::link_probe_round() {
  after(kLinkProbeInterval, [this] { link_probe_round(); });
  if (table_ == nullptr) return;
  for (const auto& entry : table_->by_link) {
    if (entry != nullptr) send_link_probe(*entry);
  }
}

void WorkerImpl::send_link_probe(const LinkEntry& entry) {
  PathProbe& path = entry.state->path;
  if (path.restart.exchange(false)) {
    path.open_exchange = 0;
    path.lost_in_row = 0;
    path.usable = true;
  }
  // An overloaded link loses probes with the rest, and must not go out of use for that: its end that hears
  // anything says nothing against it. Of a link that is dead one way the other end hears nothing.
  std::uint64_t heard = 0;
  for (const WorkerLink& w : entry.state->per_worker) heard += w.counters.packets_in.get();
  if (std::exchange(path.heard, heard) != heard) path.lost_in_row = 0;
  else if (path.open_exchange != 0 && ++path.lost_in_row >= kLinkProbesLost) path.usable = false;
  path.open_exchange = path.next_exchange++ | kProbeExchangeBit;
  path.sent_at_ns = clock_ns();
  Bytes stamps = encode(ProbeStamps{path.sent_at_ns, 0, 0});
  wire::ServicePacketSpec spec;
  spec.kind = PacketKind::probe;
  spec.protocol = kLinkProbeProtocol;
  spec.hop_limit = 1;
  spec.exchange = path.open_exchange;
  spec.flow = new_flow();
  spec.egress = entry.node;
  spec.ingress = shared_.self;
  spec.timestamps = stamps;
  auto built = wire::build_service_packet(spec, Bytes(kProbeAnswerBytes));
  if (!built) return;
  auto packet = ServicePacket::parse(*built);
  if (!packet) return;
  path.sent.add();
  counters_.originated.add();
  auto reason = transmit(*packet, entry, true);
  if (reason != forwarding::DropReason::none) counters_.drop(reason);
}

void WorkerImpl::receive_link_probe(ServicePacket& packet, const LinkEntry& entry) {
  if ((packet.flags() & wire::kFlagReply) != 0) {
    counters_.ended.add();
    PathProbe& path = entry.state->path;
    if (index_ != 0 || packet.exchange() != path.open_exchange) return;
    path.open_exchange = 0;
    path.lost_in_row = 0;
    path.usable = true;
    path.answered.add();
    Duration sample = round_trip(stamps_of(packet), clock_ns());
    std::int64_t old = path.round_trip_ns.load(std::memory_order_relaxed);
    // RFC 6298's smoothing.
    path.round_trip_ns = old == 0 ? sample.count() : old + (sample.count() - old) / 8;
    return;
  }
  if (packet.egress() != shared_.self) return counters_.drop(forwarding::DropReason::malformed);
  std::uint64_t received = clock_ns();
  wire::ServicePacketSpec spec = wire::reply_spec(packet, PacketKind::probe);
  spec.protocol = kLinkProbeProtocol;
  spec.hop_limit = 1;
  Bytes stamps = encode(ProbeStamps{stamps_of(packet).t1, received, clock_ns()});
  spec.timestamps = stamps;
  auto built = wire::build_service_packet(spec, encode_probe_answer({}, packet.payload().size()));
  if (!built) return counters_.drop(forwarding::DropReason::malformed);
  auto reply = ServicePacket::parse(*built);
  if (!reply) return counters_.drop(forwarding::DropReason::malformed);
  counters_.probes_answered.add();
  counters_.ended.add();
  counters_.originated.add();
  auto reason = transmit(*reply, entry, true);
  if (reason != forwarding::DropReason::none) counters_.drop(reason);
}

}  // namespace dmsc::dataplane
