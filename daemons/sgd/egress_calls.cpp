#include "sgd/egress_call.hpp"

#include <algorithm>

namespace dmsc::sgd {

using wire::ErrorCode;
using wire::HeaderTlv;
using wire::PacketKind;
using wire::PayloadProtocol;

EgressCalls::EgressCalls(EgressConfig config, LocalServices& services)
    : config_(config), services_(services) {}
EgressCalls::~EgressCalls() = default;

void EgressCalls::charge(Entry& entry, std::size_t bytes) {
  Peer& peer = peers_[entry.key.ingress];
  peer.bytes += bytes - entry.charged;
  total_bytes_ += bytes - entry.charged;
  entry.charged = bytes;
}

EgressCalls::Entry* EgressCalls::by_handle(RequestHandle handle) {
  auto it = handles_.find(handle);
  return it == handles_.end() ? nullptr : it->second;
}

// ---- receiving ------------------------------------------------------------------------------

void EgressCalls::receive(Time now, wire::ServicePacket& packet) {
  if (packet.payload_protocol() == PayloadProtocol::control) return on_acks(now, packet);
  const Key key{packet.ingress(), packet.exchange(), packet.flow()};
  auto it = entries_.find(key);
  if (it == entries_.end() && settled_.contains(key)) {
    ++counters_.duplicates;  // the ingress has said that it holds the reply: this is a late copy
    return;
  }
  auto segment = wire::segment_of(packet);
  if (!segment) {
    ++counters_.malformed;
    reject(packet, ErrorCode::malformed, segment.error().message);
    return;
  }
  Entry* entry = it == entries_.end() ? open(now, key, packet, *segment) : it->second.get();
  if (entry != nullptr) on_segment(now, *entry, packet, *segment);
}

bool EgressCalls::has_room(const Peer& peer, std::size_t bytes) const {
  return peer.entries < config_.peer_entries && peer.settled < config_.peer_settled &&
         settled_.size() < kMostSettled && peer.bytes + bytes <= config_.peer_bytes &&
         total_bytes_ + bytes <= config_.total_bytes;
}

// Its exchange began before we did; the slack is for what a packet waits on its way.
bool EgressCalls::may_have_run(Time now, const wire::ServicePacket& packet) const {
  constexpr Duration kSlack = milliseconds(250);
  auto tlv = packet.tlv(HeaderTlv::timestamps);
  if (!tlv || config_.started == Time{}) return false;
  const auto age = ByteReader(*tlv).u64();
  const auto up = static_cast<std::uint64_t>(Duration(now - config_.started - kSlack).count());
  return now - config_.started <= kSlack || age >= up;
}

EgressCalls::Entry* EgressCalls::open(Time now, const Key& key, const wire::ServicePacket& packet,
                                      const wire::Segment& segment) {
  ++counters_.requests;
  if (may_have_run(now, packet)) {
    ++counters_.refused;
    reject(packet, ErrorCode::no_instance, "the gateway was restarted after the call was first sent");
    return nullptr;
  }
  LocalServices::Answer answer = services_.resolve(packet.destination(), packet.instance());
  if (!answer.found) {
    ++counters_.refused;
    reject(packet, answer.code, answer.text);
    return nullptr;
  }
  Peer& peer = peers_[key.ingress];
  if (!has_room(peer, segment.total)) {
    ++counters_.over_bounds;
    reject(packet, ErrorCode::congestion, "the gateway holds too many messages of this ingress");
    return nullptr;
  }
  auto owned = std::make_unique<Entry>();
  Entry& entry = *owned;
  entry.key = key;
  entry.opened = now;
  entry.instance = answer.instance;
  Duration life = kDefaultLife;
  if (auto tlv = packet.tlv(HeaderTlv::deadline); tlv && tlv->size() == 4) {
    life = std::min<Duration>(milliseconds(ByteReader(*tlv).u32()), kMaxLife);
  }
  entry.answer_until = now + life;
  entry.forget_at = entry.answer_until + kMemorySlack;
  auto header = packet.datagram().first(packet.header_size());
  entry.request_header.assign(header.begin(), header.end());
  entry.request_header[6] = entry.request_header[7] = 0;  // payload length: the header alone is kept
  entry.request = std::make_unique<Assembler>(segment.total);
  ++peer.entries;
  charge(entry, segment.total);
  timers_.emplace(entry.wake = entry.answer_until, &entry);
  entries_.emplace(key, std::move(owned));
  return &entry;
}

void EgressCalls::on_segment(Time now, Entry& entry, const wire::ServicePacket& packet,
                             const wire::Segment& segment) {
  if (entry.state != State::receiving) {
    ++counters_.duplicates;
    return repeat(now, entry);
  }
  if (entry.request->total() != segment.total) {
    ++counters_.malformed;
    return;
  }
  const bool fresh = entry.request->add(segment, packet.payload()) || segment.total == 0;
  ++entry.unacked_segments;
  if (entry.request->complete()) {
    if (segment.total > packet.payload().size()) send_ack(entry);
    return deliver(now, entry);
  }
  if (!fresh || entry.request->has_gap() || entry.unacked_segments >= kAckEvery) {
    send_ack(entry);
  } else if (!entry.ack_at) {
    entry.ack_at = now + kAckDelay;
  }
  reschedule(now, entry);
}

// A copy of a request that is complete here: say again what there is to say.
void EgressCalls::repeat(Time now, Entry& entry) {
  switch (entry.state) {
    case State::receiving: break;
    case State::running: return send_ack(entry);
    case State::answered: return service(now, entry);  // its own timer retransmits the reply
    case State::refused: return send_refusal(entry);
  }
}

void EgressCalls::deliver(Time now, Entry& entry) {
  auto header = wire::ServicePacket::parse(entry.request_header);
  ++counters_.delivered;
  entry.state = State::running;
  entry.handle = next_handle_++;
  entry.ack_at = now + kAckDelay;
  handles_[entry.handle] = &entry;
  IncomingRequest request;
  request.handle = entry.handle;
  request.instance = entry.instance;
  request.ingress = entry.key.ingress;
  request.destination = header->destination();
  request.source = header->source();
  request.idempotent = (header->flags() & wire::kFlagIdempotent) != 0;
  request.traced = (header->flags() & wire::kFlagTrace) != 0;
  request.left = entry.answer_until - now;
  request.payload = entry.request->take();
  charge(entry, 0);
  requests_.push_back(std::move(request));
  reschedule(now, entry);
}

void EgressCalls::erase(Entry& entry) {
  charge(entry, 0);
  --peers_[entry.key.ingress].entries;
  timers_.erase({entry.wake, &entry});
  handles_.erase(entry.handle);
  const Key key = entry.key;
  entries_.erase(key);
}

// ---- answers --------------------------------------------------------------------------------

bool EgressCalls::respond(Time now, RequestHandle handle, Bytes payload) {
  if (payload.size() > wire::kMaxMessageBytes) {
    return refuse(now, handle, ErrorCode::too_big, "the reply is over 1 MiB");
  }
  Entry* entry = by_handle(handle);
  if (entry == nullptr) {
    ++counters_.late_answers;
    return false;
  }
  Peer& peer = peers_[entry->key.ingress];
  if (peer.bytes + payload.size() > config_.peer_bytes ||
      total_bytes_ + payload.size() > config_.total_bytes) {
    ++counters_.over_bounds;
    return refuse(now, handle, ErrorCode::congestion, "no room for the reply at the gateway");
  }
  ++counters_.answered;
  handles_.erase(handle);
  entry->state = State::answered;
  entry->reply = std::move(payload);
  entry->ack_at.reset();
  charge(*entry, entry->reply.size());
  // Offset TLV and record are the only parts of the header that the request's does not have too.
  std::size_t header = entry->request_header.size() + 10 + 4 * kRecordSlots;
  entry->sender = std::make_unique<SegmentSender>(
      entry->reply.size(), wire::segment_bytes(header, config_.datagram_limit));
  service(now, *entry);
  return true;
}

bool EgressCalls::refuse(Time now, RequestHandle handle, ErrorCode code, std::string_view text) {
  Entry* entry = by_handle(handle);
  if (entry == nullptr) {
    ++counters_.late_answers;
    return false;
  }
  ++counters_.refused;
  handles_.erase(handle);
  entry->state = State::refused;
  entry->refusal = code;
  entry->refusal_text = std::string(text.substr(0, 200));
  entry->ack_at.reset();
  send_refusal(*entry);
  reschedule(now, *entry);
  return true;
}

void EgressCalls::send_refusal(Entry& entry) {
  if (auto header = wire::ServicePacket::parse(entry.request_header)) {
    reject(*header, entry.refusal, entry.refusal_text);
  }
}

void EgressCalls::reject(const wire::ServicePacket& packet, ErrorCode code,
                         std::string_view text) {
  wire::ServicePacketSpec spec = wire::reply_spec(packet, PacketKind::error);
  spec.ingress = config_.self;
  spec.error.emplace(code, text.substr(0, 200));
  push(spec, {});
}

void EgressCalls::send_ack(Entry& entry) {
  entry.ack_at.reset();
  entry.unacked_segments = 0;
  auto header = wire::ServicePacket::parse(entry.request_header);
  if (!header) return;
  wire::ServicePacketSpec spec = wire::reply_spec(*header, PacketKind::response);
  spec.ingress = config_.self;
  spec.source_instance = entry.instance;
  spec.protocol = PayloadProtocol::control;
  spec.flags = wire::kFlagReply;
  spec.recorded = {};
  spec.record_slots = 0;
  Bytes ack = wire::encode_ack(entry.state == State::receiving
                                   ? entry.request->held()
                                   : whole_message(entry.request->held().cumulative()));
  spec.ack = ack;
  ++counters_.acks_out;
  push(spec, {});
}

void EgressCalls::send_response(Time now, Entry& entry) {
  auto header = wire::ServicePacket::parse(entry.request_header);
  if (!header) return;
  const std::uint64_t before = entry.sender->retransmissions();
  auto emit = [&](std::uint32_t offset, std::uint32_t size) {
    wire::ServicePacketSpec spec = wire::reply_spec(*header, PacketKind::response);
    spec.ingress = config_.self;
    spec.source_instance = entry.instance;
    spec.protocol = PayloadProtocol::message;
    auto total = static_cast<std::uint32_t>(entry.reply.size());
    if (size < total) spec.offset_total.emplace(offset, total);
    push(spec, ByteView(entry.reply).subspan(offset, size));
  };
  entry.sender->poll(now, peers_[entry.key.ingress].rtt, emit);
  counters_.retransmissions += entry.sender->retransmissions() - before;
}

void EgressCalls::push(const wire::ServicePacketSpec& spec, ByteView payload) {
  auto packet = wire::build_service_packet(spec, payload);
  if (!packet) {
    ++counters_.malformed;  // only with a header full of long names and TLVs
    return;
  }
  ++counters_.packets;
  packets_.push_back(std::move(*packet));
}

// ---- time -----------------------------------------------------------------------------------

void EgressCalls::service(Time now, Entry& entry) {
  if (now >= entry.forget_at || (now >= entry.answer_until && entry.state == State::receiving)) {
    if (entry.state == State::receiving) ++counters_.expired;
    return erase(entry);
  }
  if (now >= entry.answer_until && entry.state == State::running) {
    ++counters_.expired;
    cancelled_.push_back(entry.handle);
    handles_.erase(entry.handle);
    entry.state = State::refused;
    entry.refusal = ErrorCode::deadline;
    entry.refusal_text = "the deadline passed at the egress";
    entry.ack_at.reset();
  }
  if (entry.ack_at && now >= *entry.ack_at) send_ack(entry);
  if (entry.state == State::answered && now < entry.answer_until) send_response(now, entry);
  reschedule(now, entry);
}

void EgressCalls::reschedule(Time now, Entry& entry) {
  Time wake = now < entry.answer_until ? entry.answer_until : entry.forget_at;
  if (entry.ack_at) wake = std::min(wake, *entry.ack_at);
  if (entry.state == State::answered && now < entry.answer_until) {
    if (auto at = entry.sender->deadline()) wake = std::min(wake, *at);
  }
  wake = std::max(wake, now + microseconds(1));
  timers_.erase({entry.wake, &entry});
  timers_.emplace(entry.wake = wake, &entry);
}

void EgressCalls::tick(Time now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    service(now, *timers_.begin()->second);
  }
  forget_settled(now, 1024);
}

std::optional<Time> EgressCalls::deadline() const {
  std::optional<Time> next = settled_.deadline();
  if (timers_.empty()) return next;
  return next ? std::min(*next, timers_.begin()->first) : timers_.begin()->first;
}

std::vector<Bytes> EgressCalls::take_packets() { return std::exchange(packets_, {}); }
std::vector<IncomingRequest> EgressCalls::take_requests() { return std::exchange(requests_, {}); }
std::vector<RequestHandle> EgressCalls::take_cancelled() { return std::exchange(cancelled_, {}); }

std::vector<EgressCalls::View> EgressCalls::views(Time now, std::size_t limit) const {
  static constexpr const char* kStates[] = {"receiving", "running", "answered", "refused"};
  std::vector<View> out;
  for (const auto& [key, entry] : entries_) {
    if (out.size() >= limit) break;
    out.push_back({key.ingress, key.exchange, entry->instance,
                   kStates[static_cast<std::size_t>(entry->state)], now - entry->opened,
                   entry->answer_until - now, entry->charged});
  }
  return out;
}

}  // namespace dmsc::sgd
