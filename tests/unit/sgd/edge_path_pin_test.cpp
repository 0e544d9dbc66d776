// A flow never moves between instances while its instance lives, and ends with it (DESIGN section 6).
#include "tests/unit/sgd/edge_path_fixture.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::test;

namespace {

constexpr InstancePin kFirst{NodeId{4}, InstanceId{9}}, kSecond{NodeId{4}, InstanceId{10}};

// Both instances at gateway 4; flows are drawn from both.
struct TwoInstances : Pair {
  TwoInstances() {
    b.path.set_endpoint(InstanceId{10}, 2, endpoint);
    a.pool = {kFirst};
  }
  InstanceId last() { return wire::ServicePacket::parse(a.sent.back())->instance(); }
  void tick(int times) {
    for (int i = 0; i < times; ++i) a.path.expire();
  }
};

bool is_reset(Gateway& g) {
  auto segment = parse_segment(kProtoTcp, g.only(2).l4);
  return segment && (segment->tcp_flags & kTcpRst) != 0;
}

}  // namespace

TEST_CASE("U8 a flow stays where it is when the pool grows, weights move and routes change") {
  TwoInstances t;
  t.connect();
  t.call(udp(40001, 53, "x"), kProtoUdp);
  t.a.pool = {kSecond, kSecond, kSecond};
  for (int i = 1; i <= 50; ++i) {
    t.a.clock += milliseconds(250);
    t.a.path.instances_changed();
    t.tick(1);
    t.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 0));
    CHECK(t.last() == InstanceId{9});
    t.call(udp(40001, 53, "x"), kProtoUdp);
    CHECK(t.last() == InstanceId{9});
    t.call(tcp(static_cast<std::uint16_t>(41000 + i), 8080, kTcpSyn));
    CHECK(t.last() == InstanceId{10});
  }
  CHECK(t.a.path.counter(Count::repinned) == 0);
}

TEST_CASE("U16 a SYN that got no answer goes to another instance when it is repeated") {
  TwoInstances t;
  t.call(tcp(40000, 8080, kTcpSyn));
  REQUIRE(t.last() == InstanceId{9});
  t.a.pool = {kFirst, kSecond};
  t.a.clock += seconds(1);
  Ipv4 client = t.b.only(2).source;
  t.call(tcp(40000, 8080, kTcpSyn));
  CHECK(t.last() == InstanceId{10});
  CHECK(t.a.path.counter(Count::repinned) == 1);
  // What answers now is the second one; the first one's gateway has forgotten the flow.
  t.b.tun.clear();
  t.b.emit(2, make_packet(t.loopback, client, kProtoTcp, tcp(80, 40000, kTcpSyn | kTcpAck, 5000, 1001)));
  t.a.tun.clear();
  t.a.clock += seconds(1);
  t.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 5));
  CHECK(t.last() == InstanceId{10});
}

TEST_CASE("U16 the answer of an instance that the flow has left is not taken") {
  TwoInstances t;
  t.call(tcp(40000, 8080, kTcpSyn));
  auto first = wire::ServicePacket::parse(t.a.sent.back());
  auto spec = wire::reply_spec(*first, wire::PacketKind::packet);
  spec.protocol = wire::PayloadProtocol::tcp;
  spec.ingress = NodeId{4};
  Bytes late = *wire::build_service_packet(spec, tcp(8080, 40000, kTcpSyn | kTcpAck, 5000, 1001));
  t.a.pool = {kFirst, kSecond};
  t.call(tcp(40000, 8080, kTcpSyn));
  REQUIRE(t.last() == InstanceId{10});
  t.a.tun.clear();
  auto packet = wire::ServicePacket::parse(late);
  t.a.path.from_network(*packet);
  CHECK(t.a.tun.empty());
  CHECK(t.a.path.counter(Count::wrong_peer) == 1);
}

TEST_CASE("U16 a connection ends with its instance, also where another would take it and nobody speaks") {
  TwoInstances t;
  t.connect();
  t.a.pool = {kSecond};
  t.a.alive_now = false;
  t.a.path.instances_changed();
  t.tick(1);
  CHECK(is_reset(t.a));
  t.tick(5);
  CHECK(t.a.tun.empty());  // once
  t.a.alive_now = true;
  t.call(tcp(40000, 8080, kTcpSyn, 9000));  // the program tries again: a new flow
  CHECK(t.last() == InstanceId{10});
}

TEST_CASE("U16 packets of a connection whose instance is gone are answered with RST, not sent elsewhere") {
  TwoInstances t;
  t.connect();
  t.a.pool = {kSecond};
  t.a.alive_now = false;
  t.a.clock += seconds(1);
  std::size_t sent = t.a.sent.size();
  t.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 10));
  CHECK(t.a.sent.size() == sent);
  CHECK(is_reset(t.a));
}

TEST_CASE("U16 datagrams go to another instance when theirs is gone") {
  TwoInstances t;
  t.call(udp(40001, 53, "x"), kProtoUdp);
  t.a.pool = {kSecond};
  t.a.alive_now = false;
  t.a.clock += seconds(1);
  t.call(udp(40001, 53, "x"), kProtoUdp);
  CHECK(t.last() == InstanceId{10});
}

TEST_CASE("U16 a connection waits ten seconds for its gateway to come back, and then ends") {
  TwoInstances t;
  t.connect();
  t.a.away = {NodeId{4}};
  for (int i = 0; i < 45; ++i) {
    t.a.clock += milliseconds(200);
    t.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 0));
    CHECK(t.last() == InstanceId{9});
  }
  CHECK(t.a.tun.empty());
  t.a.away.clear();
  t.a.clock += milliseconds(200);
  t.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 0));
  t.a.away = {NodeId{4}};
  t.a.clock += seconds(9);
  t.tick(200);
  t.a.clock += seconds(9);
  t.tick(200);
  CHECK(t.a.tun.empty());  // the ten seconds begin when it was first found away
  t.a.clock += seconds(2);
  t.tick(200);
  CHECK(is_reset(t.a));
}
