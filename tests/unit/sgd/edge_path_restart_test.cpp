// docs/protocol.md, U19: flows over a restart of either gateway.
#include "tests/unit/sgd/edge_path_fixture.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::test;

namespace {

constexpr InstancePin kFirst{NodeId{4}, InstanceId{9}}, kSecond{NodeId{4}, InstanceId{10}};
constexpr Time kLater{seconds(100)};

// A connection from port 40000 to instance 9, and both gateways' second lives.
struct Restart : Pair {
  Gateway a2{1, kLater}, b2{4, kLater};
  Ipv4 client;

  Restart() {
    b.path.set_endpoint(InstanceId{10}, 2, endpoint);
    b2.path.set_endpoint(InstanceId{10}, 2, endpoint);
    client = connect();
    call(tcp(40000, 8080, kTcpAck, 1001, 5001));
    b.tun.clear();
    a2.other = &b;
    b2.other = &a;
    make_client(a2);
    make_server(b2);
    a2.pool = {kFirst, kSecond};
    for (Gateway* g : {&a, &b}) g->clock = kLater;
  }
  void ingress_restarts() { b.other = &a2; }
  void egress_restarts() {
    a.other = &b2;
    for (const auto& [address, text] : b.path.clients(100)) b2.path.restore_client(text, address);
  }
  void program_sends(Gateway& g, std::size_t data = 3) {
    g.emit(2, make_packet(pod, service, kProtoTcp, tcp(40000, 8080, kTcpAck, 1001, 5001, data)));
  }
  void server_sends(Gateway& g, std::size_t data = 7) {
    g.emit(2, make_packet(loopback, client, kProtoTcp, tcp(80, 40000, kTcpAck, 5001, 1001, data)));
  }
  std::set<std::uint16_t> instances_sent(Gateway& g) {
    std::set<std::uint16_t> out;
    for (const Bytes& datagram : g.sent) {
      Bytes copy = datagram;
      out.insert(wire::ServicePacket::parse(copy)->instance().value);
    }
    return out;
  }
  static bool reset_in(Gateway& g) {
    for (const Written& w : g.tun) {
      Bytes copy = w.bytes;
      auto packet = parse_ip4(copy);
      if (packet && packet->protocol == kProtoTcp && (packet->l4[13] & kTcpRst) != 0) return true;
    }
    return false;
  }
};

}  // namespace

TEST_CASE("U19 an ingress that hands over: its flows keep their instance though the weights have changed") {
  Restart t;
  t.call(udp(40001, 53, "x"), kProtoUdp);
  t.ingress_restarts();
  auto read = decode_handover(encode_handover({"boot", {}, {"host", "out", "pod-1"}, t.a.path.hand_over()}));
  REQUIRE(read);
  CHECK(t.a2.path.take_over(read->flows) == 2);
  t.a2.pool = {kSecond};
  t.program_sends(t.a2);
  t.a2.emit(2, make_packet(t.pod, t.service, kProtoUdp, udp(40001, 53, "y")));
  CHECK(t.instances_sent(t.a2) == std::set<std::uint16_t>{9});
  CHECK(t.b.path.counter(Count::unknown_flow) == 0);
  t.a2.sent.clear();
  t.a2.emit(2, make_packet(t.pod, t.service, kProtoTcp, tcp(40002, 8080, kTcpSyn)));
  CHECK(t.instances_sent(t.a2) == std::set<std::uint16_t>{10});
}

TEST_CASE("U19 after a crash of the ingress a segment goes to all instances, and whose connection it is answers") {
  Restart t;
  t.ingress_restarts();
  t.program_sends(t.a2);
  CHECK(t.instances_sent(t.a2) == std::set<std::uint16_t>{9, 10});
  CHECK(t.b.tun.size() == 1);  // one of the two was delivered
  CHECK(t.b.path.counter(Count::unknown_flow) == 1);
  t.server_sends(t.b);
  CHECK(t.a2.path.counter(Count::found) == 1);
  CHECK(t.a2.tun.size() == 1);
  t.a2.sent.clear();
  for (int i = 0; i < 20; ++i) t.program_sends(t.a2);
  CHECK(t.instances_sent(t.a2) == std::set<std::uint16_t>{9});
  CHECK_FALSE(t.reset_in(t.a2));
}

TEST_CASE("U19 after a crash of the ingress an answer finds its program by the flow id") {
  Restart t;
  t.ingress_restarts();
  t.server_sends(t.b);
  CHECK(t.a2.path.counter(Count::adopted) == 1);
  auto segment = parse_segment(kProtoTcp, t.a2.only(2).l4);
  REQUIRE(segment);
  CHECK(segment->destination_port == 40000);
  t.program_sends(t.a2);
  CHECK(t.instances_sent(t.a2) == std::set<std::uint16_t>{9});
}

TEST_CASE("U19 an answer whose flow id is not that of a pod's tuple is dropped") {
  Restart t;
  auto call = wire::ServicePacket::parse(t.a.sent.back());
  auto spec = wire::reply_spec(*call, wire::PacketKind::packet);
  spec.protocol = wire::PayloadProtocol::tcp;
  spec.ingress = NodeId{4};
  for (std::uint64_t wrong : {std::uint64_t{1}, call->flow() + 1}) {
    spec.flow = wrong;
    Bytes forged = *wire::build_service_packet(spec, tcp(8080, 40000, kTcpAck, 5001, 1001, 5));
    auto packet = wire::ServicePacket::parse(forged);
    t.a2.receive(*packet);
  }
  CHECK(t.a2.path.counter(Count::unknown_flow) == 2);
  CHECK(t.a2.tun.empty());
  CHECK(t.a2.path.flows() == 0);
}

TEST_CASE("U19 long after a start only 100 segments a second go to all instances") {
  Restart t;
  t.ingress_restarts();
  auto sought = [&](int segments) {
    auto before = t.a2.path.counter(Count::sought);
    for (int i = 0; i < segments; ++i) t.program_sends(t.a2, 0);
    return t.a2.path.counter(Count::sought) - before;
  };
  CHECK(sought(150) == 300);  // two instances
  t.a2.clock += minutes(5);
  CHECK(sought(150) == 200);
  CHECK(t.a2.path.counter(Count::seek_limited) == 50);
  t.a2.clock += seconds(1);
  CHECK(sought(10) == 20);
}

TEST_CASE("U19 a connection that no instance knows is reset after ten seconds") {
  Restart t;
  t.ingress_restarts();
  t.b.path.remove_endpoint(InstanceId{9});
  t.b.path.set_endpoint(InstanceId{9}, 2, t.endpoint);
  t.program_sends(t.a2);
  CHECK(t.b.tun.empty());  // no server sees a segment that is not its own
  CHECK_FALSE(t.reset_in(t.a2));
  t.a2.clock += seconds(10);
  t.program_sends(t.a2);
  CHECK(t.reset_in(t.a2));
}

TEST_CASE("U19 the RST of a server that does not know the connection does not end the search") {
  Restart t;
  t.ingress_restarts();
  t.program_sends(t.a2);
  t.b.tun.clear();
  for (const Bytes& datagram : std::vector<Bytes>(t.a2.sent)) {
    Bytes copy = datagram;
    auto spec = wire::reply_spec(*wire::ServicePacket::parse(copy), wire::PacketKind::packet);
    spec.protocol = wire::PayloadProtocol::tcp;
    spec.ingress = NodeId{4};
    Bytes rst = *wire::build_service_packet(spec, tcp(8080, 40000, kTcpRst, 5001));
    auto packet = wire::ServicePacket::parse(rst);
    t.a2.receive(*packet);
  }
  CHECK_FALSE(t.reset_in(t.a2));
  t.server_sends(t.b);
  CHECK(t.a2.path.counter(Count::found) == 1);
  t.a2.sent.clear();
  t.program_sends(t.a2);
  CHECK(t.instances_sent(t.a2) == std::set<std::uint16_t>{9});
}

TEST_CASE("U19 until the routes are back a gateway that started resets nothing") {
  Restart t;
  t.ingress_restarts();
  REQUIRE(t.a2.path.take_over(t.a.path.hand_over()) == 1);
  t.a2.pool.clear();
  t.a2.services.clear();
  t.a2.alive_now = false;
  for (int i = 0; i < 45; ++i) {
    t.a2.clock += milliseconds(200);
    t.a2.path.instances_changed();
    t.a2.path.expire();
    t.program_sends(t.a2);
    t.a2.emit(2, make_packet(t.pod, t.service, kProtoTcp, tcp(40009, 8080, kTcpAck, 1, 1, 1)));
  }
  CHECK(t.a2.tun.empty());
  t.a2.clock += seconds(2);
  t.program_sends(t.a2);
  CHECK(t.reset_in(t.a2));  // U16: the instance has left the domain
}

TEST_CASE("U19 an egress that restarted takes established flows again, for clients of the same address") {
  Restart t;
  t.egress_restarts();
  t.program_sends(t.a);
  CHECK(t.b2.only(2).source == t.client);
  t.server_sends(t.b2);
  CHECK(t.a.path.counter(Count::unknown_flow) == 0);
  CHECK_FALSE(t.reset_in(t.a));
}

TEST_CASE("U19 a server that speaks first after a crash of its gateway: the gateway asks for its flows") {
  Restart t;
  t.egress_restarts();
  t.a.tun.clear();
  t.server_sends(t.b2);
  CHECK_FALSE(t.reset_in(t.b2));
  CHECK(t.b2.path.counter(Count::flows_asked) == 1);
  CHECK(t.a.path.counter(Count::nudged) == 1);
  auto packet = t.b2.only(2);  // the program's last acknowledgement again
  auto segment = parse_segment(kProtoTcp, packet.l4);
  REQUIRE(segment);
  CHECK(packet.source == t.client);
  CHECK(segment->sequence == 1001);
  CHECK(segment->acknowledgement == 5001);
  CHECK(segment->window == 65535);
  CHECK(segment_checksum_ok(kProtoTcp, packet.l4, packet.source, packet.destination));
  t.server_sends(t.b2);  // as its kernel does
  CHECK(t.a.tun.size() == 1);
}

TEST_CASE("U19 flows are asked for once a second, and after five minutes unknown answers are reset as ever") {
  Restart t;
  t.egress_restarts();
  t.a.connected = false;
  for (int i = 0; i < 10; ++i) {
    t.a.sent.clear();
    t.b2.emit(2, make_packet(t.loopback, t.client, kProtoTcp, tcp(80, 41000, kTcpAck, 1, 1, 1)));
    t.b2.clock += milliseconds(250);
  }
  CHECK(t.b2.path.counter(Count::flows_asked) == 3);
  t.b2.clock = kLater + minutes(5);
  t.b2.emit(2, make_packet(t.loopback, t.client, kProtoTcp, tcp(80, 41000, kTcpAck, 1, 1, 1)));
  CHECK(t.reset_in(t.b2));
}

TEST_CASE("U19 an egress takes over its flows with the clients' addresses") {
  Restart t;
  t.egress_restarts();
  CHECK(t.b2.path.take_over(t.b.path.hand_over()) == 1);
  t.a.tun.clear();
  t.server_sends(t.b2);
  CHECK(t.a.tun.size() == 1);
  CHECK(t.b2.path.counter(Count::unknown_flow) == 0);
}
