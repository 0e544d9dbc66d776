// Two gateways' message engines on a lossy network under virtual time: what the tests of the message
// rules run in.
#pragma once
#include <map>
#include <set>

#include "sgd/egress_calls.hpp"
#include "sgd/ingress_calls.hpp"

namespace dmsc::sgd::test {

struct Lcg {
  std::uint64_t state;
  std::uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  double unit() { return double(next() >> 11) / double(1ULL << 53); }
};

struct FakeRoutes : CallRoutes {
  std::vector<Pin> pins;            // what serves every name, in order of preference
  std::set<NodeId> unreachable;
  bool known = true;
  int open_flows = 0;
  Choice choose(std::string_view, std::uint64_t, const std::vector<Pin>& avoid) override {
    if (!known) return {false, {}, wire::ErrorCode::no_route};
    for (const Pin& pin : pins) {
      bool tried = std::find(avoid.begin(), avoid.end(), pin) != avoid.end();
      if (!tried && reachable(pin.egress)) return {true, pin, {}};
    }
    return {false, {}, wire::ErrorCode::no_instance};
  }
  bool matches(std::string_view) override { return known; }
  bool reachable(NodeId node) override { return unreachable.count(node) == 0; }
  void flow_opened(const Pin&) override { ++open_flows; }
  void flow_closed(const Pin&) override { --open_flows; }
};

struct FakeServices : LocalServices {
  std::set<InstanceId> instances{InstanceId{1}};
  Answer resolve(std::string_view, InstanceId wanted) override {
    if (wanted.value == 0 && !instances.empty()) return {true, *instances.begin(), {}, {}};
    if (instances.count(wanted) != 0) return {true, wanted, {}, {}};
    return {false, {}, wire::ErrorCode::no_instance, "no such instance"};
  }
};

// Ingress gateway 1; egress gateways by id. Payloads are "executed" when delivered: each is counted.
struct Net {
  struct Egress {
    std::unique_ptr<FakeServices> services;
    std::unique_ptr<EgressCalls> calls;
    bool alive = true;
  };
  Time now{};
  Lcg rng{42};
  double loss = 0, duplicate = 0;
  Duration delay_min = milliseconds(2), delay_spread{};  // spread > 0 reorders
  Duration handler_time{};
  bool transit_error = false;       // a dead egress is answered by node 99 instead of silence
  FakeRoutes routes;
  std::unique_ptr<IngressCalls> ingress;
  std::map<NodeId, Egress> egresses;
  std::map<Bytes, int> executed;
  std::vector<CallOutcome> outcomes;
  std::size_t packets = 0;
  std::function<Bytes(const IncomingRequest&)> handler = [](const IncomingRequest& r) {
    return r.payload;
  };
  std::function<bool(const wire::ServicePacket&)> drop_if;

  Net() {
    IngressConfig config;
    config.self = NodeId{1};
    config.first_exchange = 1000;
    config.new_flow = [this] { return rng.next(); };
    ingress = std::make_unique<IngressCalls>(config, routes);
  }
  // `started`: what came before that moment it has forgotten.
  Egress& add_egress(std::uint32_t id, std::uint16_t instance = 1, Time started = {}) {
    Egress& e = egresses[NodeId{id}];
    e.services = std::make_unique<FakeServices>();
    e.services->instances = {InstanceId{instance}};
    EgressConfig config;
    config.self = NodeId{id};
    config.started = started;
    e.calls = std::make_unique<EgressCalls>(config, *e.services);
    routes.pins.push_back({NodeId{id}, InstanceId{instance}});
    return e;
  }
  void call(std::uint64_t id, Bytes payload, Duration deadline, bool idempotent = false) {
    CallRequest r;
    r.owner = 1;
    r.id = id;
    r.destination = "B/4";
    r.payload = std::move(payload);
    r.deadline = deadline;
    r.idempotent = idempotent;
    ingress->start(now, std::move(r));
    drain();
  }
  void run_until(Time end) {
    while (true) {
      drain();
      Time next = end;
      if (!flight_.empty()) next = std::min(next, flight_.begin()->first);
      if (!answers_.empty()) next = std::min(next, answers_.begin()->first);
      if (auto at = ingress->deadline()) next = std::min(next, *at);
      for (auto& [id, e] : egresses) {
        if (auto at = e.calls->deadline(); e.alive && at) next = std::min(next, *at);
      }
      if (next >= end) break;
      now = std::max(now, next);
      step();
    }
    now = end;
  }

 private:
  void step() {
    while (!flight_.empty() && flight_.begin()->first <= now) {
      Bytes datagram = std::move(flight_.begin()->second);
      flight_.erase(flight_.begin());
      arrive(datagram);
    }
    while (!answers_.empty() && answers_.begin()->first <= now) {
      auto [egress, handle, payload] = std::move(answers_.begin()->second);
      answers_.erase(answers_.begin());
      if (egresses[egress].alive) egresses[egress].calls->respond(now, handle, payload);
    }
    ingress->tick(now);
    for (auto& [id, e] : egresses) {
      if (e.alive) e.calls->tick(now);
    }
  }
  void arrive(Bytes& datagram) {
    auto packet = wire::ServicePacket::parse(datagram);
    if (!packet) throw std::runtime_error(packet.error().message);
    if (packet->egress() == NodeId{1}) return ingress->receive(now, *packet);
    auto it = packet->egress() ? egresses.find(packet->egress()) : egresses.begin();
    if (it != egresses.end() && it->second.alive) return it->second.calls->receive(now, *packet);
    if (!transit_error || packet->kind() == wire::PacketKind::error) return;
    auto spec = wire::reply_spec(*packet, wire::PacketKind::error);
    spec.ingress = NodeId{99};
    spec.error.emplace(wire::ErrorCode::egress_unreachable, "no way");
    send(*wire::build_service_packet(spec, {}));
  }
  void send(Bytes datagram) {
    ++packets;
    auto packet = wire::ServicePacket::parse(datagram);
    if (drop_if && drop_if(*packet)) return;
    int copies = rng.unit() < duplicate ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (rng.unit() < loss) continue;
      auto extra = Duration(std::int64_t(rng.unit() * double(delay_spread.count())));
      flight_.emplace(now + delay_min + extra, datagram);
    }
  }
  void drain() {
    for (Bytes& p : ingress->take_packets()) send(std::move(p));
    for (CallOutcome& o : ingress->take_outcomes()) outcomes.push_back(std::move(o));
    for (auto& [id, e] : egresses) {
      for (Bytes& p : e.calls->take_packets()) send(std::move(p));
      for (IncomingRequest& r : e.calls->take_requests()) {
        ++executed[r.payload];
        answers_.emplace(now + handler_time, Answer{id, r.handle, handler(r)});
      }
    }
  }
  struct Answer {
    NodeId egress;
    RequestHandle handle;
    Bytes payload;
  };
  std::multimap<Time, Bytes> flight_;
  std::multimap<Time, Answer> answers_;
};

}  // namespace dmsc::sgd::test
