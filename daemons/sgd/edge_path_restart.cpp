// Flows over a restart of a gateway (docs/protocol.md, U19). What the process before handed over is
// taken; after a crash the flows are found again from what both sides still have:
//
//   ingress lost them   a segment in mid-stream goes to every instance; the one that knows it answers
//                       an answer of an unknown flow proves its tuple: the flow id is a keyed hash of it
//   egress lost them    a packet that says "established" opens its flow again
//                       an answer of an unknown flow makes the egress ask its ingress, which sends the
//                       last acknowledgement of each connection once more
#include <algorithm>
#include <charconv>

#include "sgd/edge_path.hpp"

namespace dmsc::sgd {

bool EdgePath::just_started(Duration at_most) const {
  return config_.restarted != Time{} && io_.now() < config_.restarted + at_most;
}

// ---- the ingress ----------------------------------------------------------------------------------

// Each costs up to 16 packets. Long after a start only connections that were silent all the while are left to
// find, and TCP repeats; whoever makes such segments up gets no more of them.
bool EdgePath::may_seek() {
  constexpr unsigned kPerSecond = 100;
  if (just_started(kForgetful)) return true;
  if (io_.now() >= seek_second_ + seconds(1)) {
    seek_second_ = io_.now();
    seeks_ = 0;
  }
  return seeks_++ < kPerSecond;
}

// To every instance that serves the name, 16 at most; a gateway that does not know the flow drops it.
void EdgePath::seek(OutFlow& flow, const Ip4Packet& packet) {
  constexpr std::uint64_t kDraws = 64, kOdd = 0x9e3779b97f4a7c15;
  constexpr std::size_t kMost = 16;
  constexpr Duration kPatience = seconds(10);
  auto tcp = parse_segment(packet.protocol, packet.l4);
  const bool wants_answer = tcp && (packet.l4.size() > tcp->header_bytes || (tcp->tcp_flags & kTcpFin) != 0);
  if (wants_answer && flow.away_since == Time{}) flow.away_since = io_.now();
  if (wants_answer && io_.now() >= flow.away_since + kPatience) {
    flow.reset = true;
    count(Count::no_instance);
    return answer_rst(flow.key.port, packet);
  }
  if (!may_seek()) return count(Count::seek_limited);
  Bytes segment(packet.l4.begin(), packet.l4.end());
  readdress_checksum(packet.protocol, segment, packet.source, packet.destination, {}, {});
  std::vector<InstancePin> asked;
  for (std::uint64_t draw = 0; draw < kDraws && asked.size() < kMost; ++draw) {
    auto chosen = io_.choose(flow.destination, flow.id + draw * kOdd);
    if (!chosen) return;
    const bool again = std::any_of(asked.begin(), asked.end(), [&](const InstancePin& pin) {
      return pin.egress == chosen->egress && pin.instance == chosen->instance;
    });
    if (again) continue;
    asked.push_back(*chosen);
    take(flow, *chosen);
    Bytes buffer(kHeadroom);
    buffer.insert(buffer.end(), segment.begin(), segment.end());
    count(Count::sought);
    send(flow, std::span(buffer).subspan(kHeadroom), packet.tos);
  }
}

// The first answer of an instance that serves the name tells where the connection lives; a RST is what a
// server says whose it is not.
bool EdgePath::found(OutFlow& flow, const wire::ServicePacket& packet) {
  const InstancePin from{packet.ingress(), packet.source_instance()};
  auto segment = parse_segment(static_cast<std::uint8_t>(packet.payload_protocol()), packet.payload());
  if (!segment || (segment->tcp_flags & kTcpRst) != 0 || !io_.alive(flow.destination, from)) return false;
  flow.seeking = false;
  flow.away_since = {};
  take(flow, from);
  count(Count::found);
  return true;
}

// An answer of a flow that we do not know. If it is of one of our pods the flow id says so: only we can
// make it from the pod's tuple.
OutFlow* EdgePath::adopt(const wire::ServicePacket& packet) {
  auto name = just_started(kForgetful) ? Name::parse(packet.source()) : Result<Name>(Error{});
  auto service = name ? names_.address_of(name->text()) : std::nullopt;
  if (!service || out_.size() >= config_.max_flows) return nullptr;
  for (std::uint32_t i = kFirstPodPort; i < ports_.size(); ++i) {
    if (!ports_[i].open || ports_[i].source.text() != packet.destination()) continue;
    if (OutFlow* flow = adopt_at(i, *service, *name, packet)) return flow;
  }
  return nullptr;
}

OutFlow* EdgePath::adopt_at(std::uint32_t index, Ipv4 service, const Name& name,
                            const wire::ServicePacket& packet) {
  auto segment = parse_segment(static_cast<std::uint8_t>(packet.payload_protocol()), packet.payload());
  const InstancePin pin{packet.ingress(), packet.source_instance()};
  if (!segment || (segment->tcp_flags & (kTcpSyn | kTcpFin | kTcpRst)) != 0) return nullptr;
  const FlowKey key{index, segment->protocol, ports_[index].address, service,
                    segment->destination_port, segment->source_port};
  auto bytes = key.bytes();
  Bytes input(bytes.begin(), bytes.end());
  input.push_back(0);
  if (crypto::siphash24(config_.key, input) != packet.flow() || out_.count(key) != 0) return nullptr;
  if (!io_.alive(name, pin)) return nullptr;
  auto flow = std::make_unique<OutFlow>();
  flow->key = key;
  flow->id = packet.flow();
  flow->destination = name;
  flow->limit = limit_for(name);
  flow->last = io_.now();
  flow->established = true;
  OutFlow* raw = flow.get();
  take(*raw, pin);
  count(Count::adopted);
  ++ports_[index].flows;
  out_by_id_[raw->id] = raw;
  out_.emplace(key, std::move(flow));
  return raw;
}

// An egress has forgotten its flows: it learns them from what is sent on them.
void EdgePath::flows_wanted(NodeId egress) {
  constexpr std::size_t kMost = 1024;  // gateways
  Time now = io_.now();
  auto it = nudged_.find(egress);
  if (it == nudged_.end() && nudged_.size() >= kMost) return;
  if (it != nudged_.end() && now < it->second + seconds(1)) return;
  nudged_[egress] = now;
  nudge_left_ = out_.bucket_count();
  nudge_some();
}

void EdgePath::nudge_some() {
  constexpr std::size_t kAtOnce = 4096;  // buckets; some milliseconds
  constexpr Duration kLasts = seconds(30);
  std::size_t buckets = out_.bucket_count();
  for (std::size_t i = 0; i < kAtOnce && nudge_left_ > 0; ++i, --nudge_left_) {
    if (++nudge_cursor_ >= buckets) nudge_cursor_ = 0;
    for (auto it = out_.begin(nudge_cursor_); it != out_.end(nudge_cursor_); ++it) {
      OutFlow& flow = *it->second;
      if (!flow.connected() || flow.closing() || flow.seeking) continue;
      auto wanted = nudged_.find(flow.pin.egress);
      if (wanted != nudged_.end() && io_.now() < wanted->second + kLasts) nudge(flow);
    }
  }
  if (nudge_left_ == 0) {
    std::erase_if(nudged_, [&](const auto& n) { return io_.now() >= n.second + kLasts; });
  }
}

// The program's last acknowledgement once more: to the server's kernel a duplicate like any other.
void EdgePath::nudge(OutFlow& flow) {
  if (flow.window == 0 && flow.next_sequence == 0) return;  // nothing of it was ever seen
  ByteWriter w;
  w.bytes(Bytes(kHeadroom));
  w.u16(flow.key.source_port).u16(flow.key.destination_port);
  w.u32(flow.next_sequence).u32(flow.acknowledged);
  w.u8(5 << 4).u8(kTcpAck).u16(flow.window).u16(0).u16(0);
  Bytes buffer = w.take();
  auto l4 = std::span(buffer).subspan(kHeadroom);
  fill_segment_checksum(kProtoTcp, l4, {}, {});
  count(Count::nudged);
  send(flow, l4, 0);
}

// ---- the egress -----------------------------------------------------------------------------------

void EdgePath::not_here(const wire::ServicePacket& packet) {
  count(Count::unknown_flow);
  io_.send_error(packet, wire::ErrorCode::no_instance, "no such connection here");
}

// Once a second per ingress. The client's address tells which that is.
void EdgePath::ask_for_flows(Ipv4 client) {
  const std::string* text = clients_.find(client);
  if (text == nullptr) return;
  std::uint32_t node = 0;
  std::from_chars(text->data(), text->data() + text->size(), node);
  Time now = io_.now();
  auto [it, fresh] = asked_.emplace(NodeId{node}, now);
  if (!fresh && now < it->second + seconds(1)) return;
  it->second = now;
  wire::ServicePacketSpec spec;
  spec.kind = wire::PacketKind::error;
  spec.flags = wire::kFlagReply;
  spec.flow = kNoFlow;
  spec.egress = NodeId{node};
  spec.ingress = io_.self();
  spec.error = std::pair{wire::ErrorCode::no_instance, std::string_view("restarted")};
  auto error = wire::build_service_packet(spec, {});
  if (!error || node == 0) return;
  count(Count::flows_asked);
  io_.originate(*error);
}

// ---- handing over ---------------------------------------------------------------------------------

namespace {

HandedFlow handed(const FlowState& flow, Time now) {
  HandedFlow out;
  out.key = flow.key;
  out.id = flow.id;
  out.header = flow.header;
  out.next_sequence = flow.next_sequence;
  out.window = flow.window;
  out.established = flow.established;
  out.fin_out = flow.fin_out;
  out.fin_in = flow.fin_in;
  out.reset = flow.reset;
  out.idle = std::max(now - flow.last, Duration::zero());
  return out;
}

void take_state(FlowState& flow, HandedFlow& handed, Time now) {
  flow.key = handed.key;
  flow.id = handed.id;
  flow.header = std::move(handed.header);
  flow.next_sequence = handed.next_sequence;
  flow.window = handed.window;
  flow.established = handed.established;
  flow.fin_out = handed.fin_out;
  flow.fin_in = handed.fin_in;
  flow.reset = handed.reset;
  flow.last = now - handed.idle;
}

}  // namespace

std::vector<HandedFlow> EdgePath::hand_over() const {
  std::vector<HandedFlow> out;
  out.reserve(out_.size() + in_.size());
  for (const auto& [key, flow] : out_) {
    if (flow->seeking) continue;
    HandedFlow& one = out.emplace_back(handed(*flow, io_.now()));
    one.destination = flow->destination.text();
    one.peer = flow->pin.egress;
    one.instance = flow->pin.instance;
    one.acknowledged = flow->acknowledged;
  }
  for (const auto& [key, flow] : in_) {
    HandedFlow& one = out.emplace_back(handed(*flow, io_.now()));
    one.inbound = true;
    one.peer = flow->peer;
    one.instance = flow->instance;
    one.service_port = flow->service_port;
  }
  return out;
}

std::size_t EdgePath::take_over(std::vector<HandedFlow> flows) {
  std::size_t taken = 0;
  for (HandedFlow& one : flows) {
    if (!wire::ServicePacket::parse(one.header)) continue;
    if (one.key.port >= ports_.size()) ports_.resize(one.key.port + 1);
    if (one.inbound ? take_over_in(one) : take_over_out(one)) ++taken;
  }
  counters_[static_cast<std::size_t>(Count::taken_over)] += taken;
  return taken;
}

bool EdgePath::take_over_out(HandedFlow& handed) {
  auto name = Name::parse(handed.destination);
  if (!name || out_.size() >= config_.max_flows || out_.count(handed.key) != 0 ||
      out_by_id_.count(handed.id) != 0) {
    return false;
  }
  auto flow = std::make_unique<OutFlow>();
  take_state(*flow, handed, io_.now());
  flow->destination = std::move(*name);
  flow->pin = {handed.peer, handed.instance};
  flow->acknowledged = handed.acknowledged;
  flow->limit = limit_for(flow->destination);
  ++ports_[flow->key.port].flows;
  out_by_id_[flow->id] = flow.get();
  out_.emplace(handed.key, std::move(flow));
  return true;
}

bool EdgePath::take_over_in(HandedFlow& handed) {
  const InKey id{handed.peer, handed.id};
  if (in_.size() >= config_.max_flows || in_.count(id) != 0 || in_by_tuple_.count(handed.key) != 0) {
    return false;
  }
  auto flow = std::make_unique<InFlow>();
  take_state(*flow, handed, io_.now());
  flow->peer = handed.peer;
  flow->instance = handed.instance;
  flow->service_port = handed.service_port;
  in_by_tuple_[flow->key] = flow.get();
  in_.emplace(id, std::move(flow));
  return true;
}

}  // namespace dmsc::sgd
