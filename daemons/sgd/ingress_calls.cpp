#include "sgd/ingress_call.hpp"

#include <algorithm>

namespace dmsc::sgd {

using wire::ErrorCode;
using wire::HeaderTlv;
using wire::PacketKind;
using wire::PayloadProtocol;

namespace {
constexpr double kBudgetPerCall = 0.2, kBudgetMax = 100;
constexpr std::size_t kAgeBytes = 10;  // of the TLV that every copy but the first carries

std::string node_text(NodeId node) { return "node " + std::to_string(node.value); }
std::string millis(Duration d) {
  return std::to_string(std::chrono::duration_cast<milliseconds>(d).count()) + " ms";
}
// Errors after which the request has certainly not been run by the egress that reports them.
bool not_run(ErrorCode code) {
  return code == ErrorCode::no_instance || code == ErrorCode::no_route ||
         code == ErrorCode::draining || code == ErrorCode::congestion;
}
}  // namespace

IngressCalls::IngressCalls(IngressConfig config, CallRoutes& routes)
    : config_(std::move(config)), routes_(routes), next_exchange_(config_.first_exchange) {}
IngressCalls::~IngressCalls() = default;

std::uint32_t IngressCalls::fresh_exchange() {
  do {
    ++next_exchange_;
  } while (next_exchange_ == 0 || open_.count(next_exchange_) != 0);
  return next_exchange_;
}

void IngressCalls::start(Time now, CallRequest request) {
  ++counters_.started;
  cancel(now, request.owner, request.id);  // an id in use again: the older call is forgotten
  retry_budget_ = std::min(retry_budget_ + kBudgetPerCall, kBudgetMax);
  auto owned = std::make_unique<Call>();
  Call& call = *owned;
  call.request = std::move(request);
  call.request.deadline = std::min<Duration>(call.request.deadline, kMaxDeadline);
  call.opened = call.last_heard = now;
  call.deadline = now + call.request.deadline;
  call.exchange = fresh_exchange();
  call.flow = config_.new_flow();
  const std::size_t bytes = call.request.payload.size();
  const bool full = open_.size() >= config_.max_open || open_bytes_ + bytes > config_.max_open_bytes;
  open_bytes_ += bytes;
  by_owner_[{call.request.owner, call.request.id}] = call.exchange;
  open_.emplace(call.exchange, std::move(owned));
  timers_.emplace(call.wake = now, call.exchange);
  if (bytes > wire::kMaxMessageBytes) {
    fail(now, call, ErrorCode::too_big, NodeId{}, "message of " + std::to_string(bytes) +
         " bytes, at most " + std::to_string(wire::kMaxMessageBytes));
  } else if (full) {
    fail(now, call, ErrorCode::congestion, NodeId{}, "the gateway has too many open calls");
  } else {
    service(now, call);
  }
}

void IngressCalls::cancel(Time now, std::uint64_t owner, std::uint64_t id) {
  auto it = by_owner_.find({owner, id});
  if (it == by_owner_.end()) return;
  (void)now;
  ++counters_.cancelled;
  erase(*open_.at(it->second));
}

void IngressCalls::cancel_owner(Time now, std::uint64_t owner) {
  for (;;) {
    auto it = by_owner_.lower_bound({owner, 0});
    if (it == by_owner_.end() || it->first.first != owner) return;
    cancel(now, owner, it->first.second);
  }
}

// ---- routes ---------------------------------------------------------------------------------

bool IngressCalls::pin_call(Time now, Call& call) {
  ErrorCode code = ErrorCode::no_route;
  if (call.request.by_name) {
    call.pinned = routes_.matches(call.request.destination);
    call.pin = Pin{};
  } else {
    CallRoutes::Choice choice = routes_.choose(call.request.destination, call.flow, call.tried);
    call.pinned = choice.found;
    call.pin = choice.pin;
    code = choice.code;
  }
  if (!call.pinned) {
    if (!call.route_lost) call.route_lost = now;
    if (now - *call.route_lost < kRouteGrace) return false;
    fail(now, call, code, NodeId{}, code == ErrorCode::no_instance
         ? "no reachable instance of " + call.request.destination
         : "nobody announces " + call.request.destination);
    return false;
  }
  call.route_lost.reset();
  call.trouble_since.reset();
  call.tried.push_back(call.pin);
  routes_.flow_opened(call.pin);
  // The header's size does not depend on the segment: build one to know how much room is left.
  std::size_t header = wire::kServiceFixedBytes + 2 + call.request.destination.size() +
                       (call.request.source.empty() ? 0 : 2 + call.request.source.size()) + 4 + 4 +
                       10 + 6 + kAgeBytes + (call.request.trace ? 2 + 4 * kRecordSlots : 0) + 3;
  call.sender = std::make_unique<SegmentSender>(
      call.request.payload.size(), wire::segment_bytes(header, config_.datagram_limit));
  return true;
}

bool IngressCalls::route_ok(Time now, Call& call) {
  if (!call.pinned) return pin_call(now, call);
  if (call.pin.egress.value == 0 || routes_.reachable(call.pin.egress)) {
    call.route_lost.reset();
  } else {
    if (!call.route_lost) call.route_lost = now;
    if (now - *call.route_lost >= kRouteGrace) {
      fail_or_repin(now, call, ErrorCode::egress_unreachable, NodeId{},
                    node_text(call.pin.egress) + " is no longer reachable" +
                        (call.accepted ? "; it had accepted the request" : ""));
      return false;
    }
  }
  return true;
}

bool IngressCalls::may_repin(const Call& call) const {
  if (call.tried.size() >= kMaxTries || call.request.by_name) return false;
  if (call.request.idempotent) return retry_budget_ >= 1;
  return !call.accepted && !(call.sender && call.sender->retransmitted());
}

bool IngressCalls::repin(Time now, Call& call) {
  if (!may_repin(call)) return false;
  CallRoutes::Choice choice = routes_.choose(call.request.destination, call.flow, call.tried);
  if (!choice.found) return false;
  if (call.request.idempotent) retry_budget_ -= 1;
  ++counters_.repinned;
  routes_.flow_closed(call.pin);
  // A new exchange and flow: answers to the old one are strays from now on.
  auto node = open_.extract(call.exchange);
  timers_.erase({call.wake, call.exchange});
  call.exchange = fresh_exchange();
  call.flow = config_.new_flow();
  node.key() = call.exchange;
  open_.insert(std::move(node));
  by_owner_[{call.request.owner, call.request.id}] = call.exchange;
  timers_.emplace(call.wake = now, call.exchange);
  call.pinned = call.accepted = false;
  call.first_sent.reset();
  call.sender.reset();
  call.response.reset();
  call.ack_at.reset();
  call.route_lost.reset();
  call.trouble_since.reset();
  return true;
}

void IngressCalls::fail_or_repin(Time now, Call& call, ErrorCode code, NodeId reporter,
                                 std::string text) {
  if (repin(now, call)) {
    service(now, call);
  } else {
    fail(now, call, code, reporter, std::move(text));
  }
}

// ---- sending --------------------------------------------------------------------------------

void IngressCalls::service(Time now, Call& call) {
  if (now >= call.deadline) {
    fail(now, call, ErrorCode::deadline, NodeId{},
         "no answer within " + millis(call.request.deadline) +
             (call.accepted ? "; the request was accepted by " + node_text(call.pin.egress)
              : call.trouble_since ? "; last reported: " + call.trouble : ""));
    return;
  }
  const std::uint32_t exchange = call.exchange;
  if (!route_ok(now, call)) {
    // Ended, sent on elsewhere (then it was serviced there), or waiting for a route.
    auto it = open_.find(exchange);
    if (it != open_.end() && it->second.get() == &call) reschedule(now, call);
    return;
  }
  SegmentSender& sender = *call.sender;
  if (sender.done() && now - call.last_heard >= kNudgeInterval) {
    call.last_heard = now;
    sender.nudge();
  }
  // By name, another copy could reach another gateway: only an idempotent call is sent again.
  const bool once = call.request.by_name && !call.request.idempotent && !call.accepted;
  if (!once || !sender.sent_any()) {
    const std::uint64_t before = sender.retransmissions();
    sender.poll(now, round_trips_[call.pin.egress], [&](std::uint32_t offset, std::uint32_t size) {
      send_segment(now, call, offset, size);
    });
    counters_.retransmissions += sender.retransmissions() - before;
  }
  send_due_ack(now, call);
  reschedule(now, call);
}

void IngressCalls::reschedule(Time now, Call& call) {
  Time wake = std::min(call.deadline, now + kCheckInterval);
  const bool once = call.request.by_name && !call.request.idempotent && !call.accepted;
  if (call.sender && !once) {
    if (auto at = call.sender->deadline()) wake = std::min(wake, *at);
  }
  if (call.ack_at) wake = std::min(wake, *call.ack_at);
  wake = std::max(wake, now + microseconds(1));
  timers_.erase({call.wake, call.exchange});
  timers_.emplace(call.wake = wake, call.exchange);
}

void IngressCalls::send_segment(Time now, Call& call, std::uint32_t offset, std::uint32_t size) {
  const CallRequest& request = call.request;
  wire::ServicePacketSpec spec;
  spec.kind = PacketKind::request;
  spec.protocol = PayloadProtocol::message;
  if (request.idempotent) spec.flags |= wire::kFlagIdempotent;
  if (call.accepted) spec.flags |= wire::kFlagEstablished;
  if (request.trace) {
    spec.flags |= wire::kFlagTrace;
    spec.record_slots = kRecordSlots;
  }
  spec.exchange = call.exchange;
  spec.flow = call.flow;
  spec.egress = call.pin.egress;
  spec.ingress = config_.self;
  spec.destination = request.destination;
  spec.source = request.source;
  spec.instance = call.pin.instance;
  spec.source_instance = request.source_instance;
  auto total = static_cast<std::uint32_t>(request.payload.size());
  if (size < total) spec.offset_total.emplace(offset, total);
  if (!call.first_sent) call.first_sent = now;
  const Bytes age = ByteWriter().u64(static_cast<std::uint64_t>((now - *call.first_sent).count())).take();
  if (now > *call.first_sent) spec.timestamps = age;
  auto left = std::chrono::ceil<milliseconds>(call.deadline - now).count();
  spec.deadline_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(left, 1));
  auto packet = wire::build_service_packet(spec, ByteView(request.payload).subspan(offset, size));
  if (!packet) return;  // names were checked before: only then could a header be too long
  ++counters_.packets;
  packets_.push_back(std::move(*packet));
}

// ---- receiving ------------------------------------------------------------------------------

bool IngressCalls::is_open(const wire::ServicePacket& packet) const {
  auto it = open_.find(packet.exchange());
  return it != open_.end() && it->second->flow == packet.flow();
}

void IngressCalls::receive(Time now, wire::ServicePacket& packet) {
  auto it = open_.find(packet.exchange());
  const bool known = it != open_.end() && it->second->flow == packet.flow();
  const bool is_ack = packet.payload_protocol() == PayloadProtocol::control;
  if (!known) {
    ++counters_.strays;
    if (packet.kind() != PacketKind::response || is_ack) return;
    // Answered before, or given up: say that we hold it, so that the egress forgets it.
    auto segment = wire::segment_of(packet);
    if (segment) send_ack(packet, whole_message(segment->total));
    return;
  }
  Call& call = *it->second;
  if (packet.kind() == PacketKind::error) return on_error(now, call, packet);
  if (packet.kind() != PacketKind::response || !call.pinned) {
    ++counters_.strays;
    return;
  }
  if (call.pin.egress.value == 0) {
    // Sent by name: whoever took it is the egress from now on.
    routes_.flow_closed(call.pin);
    call.pin = {packet.ingress(), packet.source_instance()};
    routes_.flow_opened(call.pin);
  }
  if (packet.ingress() != call.pin.egress) {
    ++counters_.strays;
    return;
  }
  call.accepted = true;
  call.last_heard = now;
  call.trouble_since.reset();
  if (is_ack) return on_ack(now, call, packet);
  on_response(now, call, packet);
}

void IngressCalls::on_response(Time now, Call& call, wire::ServicePacket& packet) {
  auto segment = wire::segment_of(packet);
  if (!segment || (call.response && call.response->total() != segment->total)) {
    ++counters_.malformed;
    return;
  }
  call.sender->acknowledge_all(now, round_trips_[call.pin.egress]);
  if (!call.response) call.response = std::make_unique<Assembler>(segment->total);
  const bool fresh = call.response->add(*segment, packet.payload());
  if (!call.response->complete()) {
    ++call.unacked_segments;
    if (!fresh || call.response->has_gap() || call.unacked_segments >= kAckEvery) {
      send_ack(packet, call.response->held());
      call.unacked_segments = 0;
      call.ack_at.reset();
    } else {
      call.ack_template.assign(packet.datagram().begin(), packet.datagram().end());
      call.ack_at = now + kAckDelay;
    }
    return service(now, call);
  }
  if (segment->total == packet.payload().size()) {
    send_late_ack(now, packet, segment->total);
  } else {
    send_ack(packet, whole_message(segment->total));
  }
  CallOutcome outcome;
  outcome.ok = true;
  outcome.payload = call.response->take();
  outcome.reporter = call.pin.egress;
  // The record starts with the hops of the request, up to and with the egress.
  bool back = false;
  for (NodeId hop : packet.recorded_hops()) {
    (back ? outcome.return_path : outcome.path).push_back(hop);
    back = back || hop == call.pin.egress;
  }
  finish(now, call, std::move(outcome));
}

void IngressCalls::on_error(Time now, Call& call, const wire::ServicePacket& packet) {
  ++counters_.errors_in;
  auto value = packet.tlv(HeaderTlv::error);
  if (!value || value->size() < 2 || !call.pinned) {
    ++counters_.malformed;
    return;
  }
  ByteReader reader(*value);
  auto code = static_cast<ErrorCode>(reader.u16());
  NodeId reporter = packet.ingress();
  std::string text(as_text(reader.rest()));
  if (text.empty()) text = std::string(wire::to_string(code)) + " reported by " + node_text(reporter);
  if (reporter != call.pin.egress) return transit_trouble(now, call, code, reporter, text);
  const bool lost_pod = code == ErrorCode::internal && call.request.idempotent;
  if (not_run(code) || lost_pod) return fail_or_repin(now, call, code, reporter, std::move(text));
  fail(now, call, code, reporter, std::move(text));
}

void IngressCalls::transit_trouble(Time now, Call& call, ErrorCode code, NodeId reporter,
                                   std::string_view text) {
  if (!call.trouble_since) call.trouble_since = now;
  call.trouble = std::string(text);
  const bool last_copy = call.request.by_name && !call.request.idempotent;
  if (last_copy || now - *call.trouble_since >= kTransitGrace) {
    fail_or_repin(now, call, code, reporter, std::string(text));
  } else {
    service(now, call);
  }
}

void IngressCalls::dropped_here(Time now, std::uint32_t exchange, ErrorCode code, std::string_view why) {
  auto it = open_.find(exchange);
  if (it == open_.end() || !it->second->pinned) return;
  transit_trouble(now, *it->second, code, NodeId{},
                  "this gateway cannot forward it: " + std::string(why));
}

// ---- ends -----------------------------------------------------------------------------------

void IngressCalls::fail(Time now, Call& call, ErrorCode code, NodeId reporter, std::string text) {
  CallOutcome outcome;
  outcome.code = code;
  outcome.reporter = reporter;
  outcome.text = std::move(text);
  finish(now, call, std::move(outcome));
}

void IngressCalls::finish(Time now, Call& call, CallOutcome outcome) {
  ++(outcome.ok ? counters_.answered : counters_.failed);
  outcome.owner = call.request.owner;
  outcome.id = call.request.id;
  outcome.pin = call.pin;
  outcome.tries = static_cast<unsigned>(call.tried.size());
  outcome.took = now - call.opened;
  outcomes_.push_back(std::move(outcome));
  erase(call);
}

void IngressCalls::erase(Call& call) {
  if (call.pinned) routes_.flow_closed(call.pin);
  open_bytes_ -= call.request.payload.size();
  by_owner_.erase({call.request.owner, call.request.id});
  timers_.erase({call.wake, call.exchange});
  open_.erase(call.exchange);
}

void IngressCalls::tick(Time now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Call& call = *open_.at(timers_.begin()->second);
    service(now, call);
  }
  if (late_count_ > 0 && now >= late_acks_at_) flush_late_acks();
}

std::optional<Time> IngressCalls::deadline() const {
  std::optional<Time> next;
  if (late_count_ > 0) next = late_acks_at_;
  if (timers_.empty()) return next;
  return next ? std::min(*next, timers_.begin()->first) : timers_.begin()->first;
}

std::vector<Bytes> IngressCalls::take_packets() { return std::exchange(packets_, {}); }
std::vector<CallOutcome> IngressCalls::take_outcomes() { return std::exchange(outcomes_, {}); }

std::vector<IngressCalls::View> IngressCalls::views(Time now, std::size_t limit) const {
  std::vector<View> out;
  for (const auto& [exchange, call] : open_) {
    if (out.size() >= limit) break;
    out.push_back({exchange, call->request.destination, call->request.source, call->pin,
                   static_cast<unsigned>(call->tried.size()), call->accepted, now - call->opened,
                   call->deadline - now, call->request.payload.size()});
  }
  return out;
}

}  // namespace dmsc::sgd
