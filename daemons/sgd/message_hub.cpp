// The hub between the engine and the network; the programs' side is in message_connection.cpp.
#include "sgd/message_hub.hpp"

#include "dmsc/runtime/log.hpp"
#include "sgd/message_connection.hpp"

namespace dmsc::sgd {

using wire::ErrorCode;
using wire::PacketKind;

bool serves(const LocalInstance& instance, std::string_view destination) {
  const std::string& prefix = instance.service.prefix.text();
  if (destination == prefix) return true;
  if (!instance.pool.empty() && destination == instance.pool.text()) return true;
  return instance.service.covering && destination.size() > prefix.size() &&
         destination.compare(0, prefix.size(), prefix) == 0 && destination[prefix.size()] == '/';
}

namespace {

IngressConfig ingress_config(dataplane::Worker& home, std::uint32_t first_exchange,
                             std::size_t datagram_limit) {
  IngressConfig config;
  config.datagram_limit = datagram_limit;
  config.self = home.self();
  config.first_exchange = first_exchange;
  config.new_flow = [&home] { return home.new_flow(); };
  return config;
}

EgressConfig egress_config(dataplane::Worker& home, std::size_t datagram_limit) {
  EgressConfig config;
  config.datagram_limit = datagram_limit;
  config.self = home.self();
  config.started = home.now();
  return config;
}

double ms(Duration d) { return double(std::chrono::duration_cast<microseconds>(d).count()) / 1000; }

}  // namespace

MessageHub::MessageHub(dataplane::Worker& home, const IdentityResolver& identities,
                       std::uint32_t first_exchange, std::size_t datagram_limit)
    : home_(home),
      identities_(identities),
      routes_(home.fib()),
      ingress_(ingress_config(home, first_exchange, datagram_limit), routes_),
      egress_(egress_config(home, datagram_limit), *this),
      view_(std::make_shared<GatewayView>()),
      receiver_(std::make_unique<Receiver>()) {}

void MessageHub::set_view(GatewayViewPtr view) { view_ = std::move(view); }

// ---- the network's side -----------------------------------------------------------------------

// An instance that is routed to already may still be on its way to us among the posted tasks.
bool MessageHub::news_may_wait(const wire::ServicePacket& packet) const {
  return packet.kind() == PacketKind::request && packet.instance() &&
         view_->find(packet.instance()) == nullptr;
}

bool MessageHub::deliver(wire::ServicePacket& packet) {
  if (!news_may_wait(packet)) return take(packet);
  home_.post([this, copy = to_bytes(packet.datagram())]() mutable {
    if (auto again = wire::ServicePacket::parse(copy)) take(*again);
  });
  return true;
}

bool MessageHub::take(wire::ServicePacket& packet) {
  const Time now = home_.now();
  if (packet.kind() == PacketKind::request) {
    egress_.receive(now, packet);
  } else if (packet.kind() == PacketKind::response) {
    ingress_.receive(now, packet);
  } else if (packet.kind() == PacketKind::error && ingress_.is_open(packet)) {
    ingress_.receive(now, packet);
  } else {
    return false;
  }
  pump();
  return true;
}

// Moves what the engines have produced until nothing is left. A packet for this node itself comes
// back into deliver() during originate(): the loop below takes care of what that produces.
void MessageHub::pump() {
  pump_again_ = true;
  if (pumping_) return;
  pumping_ = true;
  while (pump_again_) {
    pump_again_ = false;
    if (send_packets()) pump_again_ = true;
    hand_out_requests();
    hand_out_outcomes();
  }
  flush_all();
  pumping_ = false;
  arm_timer();
}

bool MessageHub::send_packets() {
  bool any = false;
  for (Bytes& datagram : egress_.take_packets()) {
    any = true;
    home_.originate(datagram);  // a drop is made good by retransmission
  }
  for (Bytes& datagram : ingress_.take_packets()) {
    any = true;
    send_call_packet(datagram);
  }
  return any;
}

void MessageHub::send_call_packet(Bytes& datagram) {
  const auto limit = limiter_ ? limiter_(datagram) : FairShaper::Answer::pass;
  if (limit == FairShaper::Answer::wait) return;
  ErrorCode code = ErrorCode::congestion;
  std::string_view why = "its rate limit is exceeded";
  if (limit == FairShaper::Answer::pass) {
    forwarding::Verdict verdict = home_.originate(datagram);
    if (verdict.action != forwarding::Action::drop) return;
    code = forwarding::error_for(verdict.reason).value_or(ErrorCode::egress_unreachable);
    why = to_string(code);
  }
  auto packet = wire::ServicePacket::parse(datagram);
  if (!packet || packet->payload_protocol() != wire::PayloadProtocol::message) return;
  ingress_.dropped_here(home_.now(), packet->exchange(), code, why);
}

void MessageHub::arm_timer() {
  std::optional<Time> next = ingress_.deadline();
  if (auto at = egress_.deadline()) next = next ? std::min(*next, *at) : *at;
  if (!next || (timer_at_ && *timer_at_ <= *next)) return;
  if (timer_ != 0) home_.cancel(timer_);
  timer_at_ = next;
  Duration wait = std::max<Duration>(*next - home_.now(), Duration(0));
  timer_ = home_.after(wait, [this] {
    timer_ = 0;
    timer_at_.reset();
    ingress_.tick(home_.now());
    egress_.tick(home_.now());
    pump();
  });
}

// ---- requests to programs ---------------------------------------------------------------------

LocalServices::Answer MessageHub::resolve(std::string_view destination, InstanceId wanted) {
  if (wanted) {
    const LocalInstance* instance = view_->find(wanted);
    if (instance == nullptr || !serves(*instance, destination)) {
      return {false, {}, ErrorCode::no_instance,
              "instance " + std::to_string(wanted.value) + " is not here"};
    }
    if (server_of(*instance) == nullptr) {
      return {false, {}, ErrorCode::no_instance,
              "no program of " + instance->identity + " serves messages for " +
                  instance->service.prefix.text()};
    }
    return {true, wanted, {}, {}};
  }
  // Forwarded by name: any healthy instance with a program, in turn.
  const std::size_t count = view_->instances.size();
  for (std::size_t i = 0; i < count; ++i) {
    const LocalInstance& instance = view_->instances[(next_any_ + i) % count];
    if (!instance.healthy || !serves(instance, destination) || server_of(instance) == nullptr) {
      continue;
    }
    next_any_ = (next_any_ + i + 1) % count;
    return {true, instance.id, {}, {}};
  }
  return {false, {}, ErrorCode::no_instance, "no program here serves " + std::string(destination)};
}

bool MessageHub::announced_at(std::string_view name, NodeId node) const {
  const forwarding::Match match = home_.fib().find(name);
  if (!match) return false;
  for (const forwarding::InstanceEntry& entry : match->instances()) {
    if (entry.egress == node) return true;
  }
  return false;
}

void MessageHub::hand_out_requests() {
  for (IncomingRequest& request : egress_.take_requests()) {
    const LocalInstance* instance = view_->find(request.instance);
    Connection* server = instance != nullptr ? server_of(*instance) : nullptr;
    if (server == nullptr) {
      egress_.refuse(home_.now(), request.handle, ErrorCode::no_instance, "the program went away");
      pump_again_ = true;
      continue;
    }
    wire::PodRequest out;
    out.id = request.handle;
    out.deadline_ms =
        static_cast<std::uint32_t>(std::chrono::ceil<milliseconds>(request.left).count());
    out.flags = static_cast<std::uint8_t>((request.idempotent ? wire::kCallIdempotent : 0) |
                                          (request.traced ? wire::kCallTrace : 0));
    out.ingress = request.ingress;
    out.prefix = instance->service.prefix.text();
    out.destination = std::move(request.destination);
    // A source name counts only if the RIB, which holds granted names alone, has it at that ingress.
    if (announced_at(request.source, request.ingress)) out.source = std::move(request.source);
    out.payload = std::move(request.payload);
    if (server->backlog.bytes() + out.payload.size() > kMaxBacklogBytes) {
      ++counters_.backlog_refusals;
      egress_.refuse(home_.now(), request.handle, ErrorCode::congestion,
                     "the program does not read its requests");
      pump_again_ = true;
      continue;
    }
    ++counters_.requests_to_pods;
    running_[request.handle] = {server->id};
    send(*server, out);
  }
  for (RequestHandle handle : egress_.take_cancelled()) {
    auto it = running_.find(handle);
    if (it == running_.end()) continue;
    auto connection = connections_.find(it->second.connection);
    if (connection != connections_.end()) send(*connection->second, wire::PodCancel{handle});
    running_.erase(it);
  }
}

// ---- outcomes to callers ----------------------------------------------------------------------

std::vector<wire::PodHop> MessageHub::hops(const std::vector<NodeId>& nodes) const {
  std::vector<wire::PodHop> out;
  for (NodeId node : nodes) out.push_back({node, view_->name_of(node)});
  return out;
}

void MessageHub::hand_out_outcomes() {
  for (CallOutcome& outcome : ingress_.take_outcomes()) {
    auto it = connections_.find(outcome.owner);
    if (it == connections_.end()) continue;
    if (!outcome.ok) {
      send(*it->second, wire::PodFailure{outcome.id, outcome.code, outcome.reporter,
                                         std::move(outcome.text)});
      continue;
    }
    wire::PodReply reply;
    reply.id = outcome.id;
    reply.egress = {outcome.pin.egress, view_->name_of(outcome.pin.egress)};
    reply.instance = outcome.pin.instance;
    reply.path = hops(outcome.path);
    reply.return_path = hops(outcome.return_path);
    reply.payload = std::move(outcome.payload);
    send(*it->second, reply);
  }
}

void MessageHub::note_use(std::string_view destination, std::uint64_t bytes) {
  const forwarding::Match match = home_.fib().match(destination);
  auto prefix = Name::parse(match.prefix);
  if (!match || !prefix) return;
  Use& use = uses_[*prefix];
  ++use.calls;
  use.bytes += bytes;
}

// ---- looking at it ----------------------------------------------------------------------------

nlohmann::json MessageHub::calls(std::size_t limit) const {
  auto rows = nlohmann::json::array();
  auto named = [&](NodeId node) {
    std::string name = view_->name_of(node);
    return name.empty() ? "node " + std::to_string(node.value) : name;
  };
  for (const IngressCalls::View& v : ingress_.views(home_.now(), limit)) {
    rows.push_back({{"direction", "out"}, {"exchange", v.exchange}, {"destination", v.destination},
                    {"source", v.source}, {"peer", v.pin.egress ? named(v.pin.egress) : ""},
                    {"instance", v.pin.instance.value},
                    {"state", v.accepted ? "accepted" : "sent"}, {"tries", v.tries},
                    {"bytes", v.bytes}, {"age_ms", ms(v.age)}, {"left_ms", ms(v.left)}});
  }
  for (const EgressCalls::View& v : egress_.views(home_.now(), limit)) {
    const LocalInstance* instance = view_->find(v.instance);
    rows.push_back({{"direction", "in"}, {"exchange", v.exchange},
                    {"destination", instance ? instance->service.prefix.text() : ""},
                    {"source", ""}, {"peer", named(v.ingress)}, {"instance", v.instance.value},
                    {"state", v.state}, {"tries", 1}, {"bytes", v.bytes}, {"age_ms", ms(v.age)},
                    {"left_ms", ms(v.left)}});
  }
  return rows;
}

nlohmann::json MessageHub::counters() const {
  const IngressCounters& i = ingress_.counters();
  const EgressCounters& e = egress_.counters();
  nlohmann::json out;
  out["connections_open"] = connections_.size();
  out["connections"] = counters_.connections;
  out["connections_rejected"] = counters_.rejected_connections;
  out["pod_protocol_errors"] = counters_.protocol_errors;
  out["calls_open"] = ingress_.open_count();
  out["calls_started"] = i.started;
  out["calls_answered"] = i.answered;
  out["calls_failed"] = i.failed;
  out["calls_cancelled"] = i.cancelled;
  out["calls_not_allowed"] = counters_.not_allowed;
  out["calls_repinned"] = i.repinned;
  out["call_packets_out"] = i.packets;
  out["call_retransmissions"] = i.retransmissions;
  out["call_errors_in"] = i.errors_in;
  out["call_strays"] = i.strays;
  out["call_malformed"] = i.malformed;
  out["requests_remembered"] = egress_.entry_count();
  out["requests_in"] = e.requests;
  out["requests_delivered"] = e.delivered;
  out["requests_answered"] = e.answered;
  out["requests_refused"] = e.refused;
  out["requests_expired"] = e.expired;
  out["request_duplicates"] = e.duplicates;
  out["request_over_bounds"] = e.over_bounds;
  out["request_malformed"] = e.malformed;
  out["response_packets_out"] = e.packets;
  out["response_retransmissions"] = e.retransmissions;
  out["late_answers"] = e.late_answers;
  out["backlog_refusals"] = counters_.backlog_refusals;
  return out;
}

}  // namespace dmsc::sgd
