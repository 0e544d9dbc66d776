// The life of flows at the edge: pins, failures, expiry; and what is not for a service (R39).
#include "tests/unit/sgd/edge_path_fixture.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::test;

TEST_CASE("edge flow: pinned while its instance lives, pinned anew when it is gone") {
  Pair p;
  p.call(udp(40000, 53, "q"), kProtoUdp);
  p.a.services["B/4"] = {NodeId{4}, InstanceId{10}};
  p.b.path.set_endpoint(InstanceId{10}, 2, p.endpoint);
  p.a.clock += seconds(1);
  p.call(udp(40000, 53, "q"), kProtoUdp);
  CHECK(wire::ServicePacket::parse(p.a.sent.back())->instance() == InstanceId{9});
  p.a.alive_now = false;
  p.a.clock += seconds(1);
  p.call(udp(40000, 53, "q"), kProtoUdp);
  CHECK(wire::ServicePacket::parse(p.a.sent.back())->instance() == InstanceId{10});
  CHECK(p.a.path.counter(Count::repinned) == 1);
}

TEST_CASE("edge flow: an established connection whose service is gone is reset at once") {
  Pair p;
  p.connect();
  p.a.services.clear();
  p.a.alive_now = false;
  p.a.clock += seconds(1);
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 10));
  auto rst = parse_segment(kProtoTcp, p.a.only(2).l4);
  REQUIRE(rst);
  CHECK(rst->tcp_flags == kTcpRst);
  CHECK(rst->sequence == 5001);
}

TEST_CASE("edge flow: no_instance of the pinned egress resets, of a router on the way it is a hint") {
  Pair p;
  p.connect();
  auto error = [&](std::uint32_t reporter, wire::ErrorCode code) {
    auto packet = wire::ServicePacket::parse(p.a.sent.back());
    auto spec = wire::reply_spec(*packet, wire::PacketKind::error);
    spec.ingress = NodeId{reporter};
    spec.protocol = wire::PayloadProtocol::none;
    spec.error = std::pair{code, std::string_view("x")};
    Bytes bytes = *wire::build_service_packet(spec, {});
    auto parsed = wire::ServicePacket::parse(bytes);
    return p.a.path.error_from_network(*parsed);
  };
  CHECK(error(2, wire::ErrorCode::no_instance));
  CHECK(error(2, wire::ErrorCode::egress_unreachable));
  CHECK(p.a.tun.empty());
  CHECK(p.a.path.counter(Count::hint_ignored) == 2);
  CHECK(error(2, wire::ErrorCode::too_big));
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kFragmentationNeeded);
  CHECK(error(4, wire::ErrorCode::no_instance));
  auto rst = parse_segment(kProtoTcp, p.a.only(2).l4);
  REQUIRE(rst);
  CHECK((rst->tcp_flags & kTcpRst) != 0);
  CHECK(rst->source_port == 8080);
}

TEST_CASE("edge flow: a call without instance or route fails at once, not by timeout") {
  Pair p;
  p.a.services.clear();
  p.call(tcp(40000, 8080, kTcpSyn));
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kHost);
  p.a.services["B/4"] = {NodeId{4}, InstanceId{9}};
  p.a.connected = false;
  p.call(tcp(40001, 8080, kTcpSyn));
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kHost);
  p.a.emit(2, make_packet(p.pod, ip("100.96.200.200"), kProtoTcp, tcp(1, 2, kTcpSyn)));
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kHost);
  CHECK(p.a.path.counter(Count::no_address) == 1);
}

TEST_CASE("R36 edge flow: the first packet goes to another instance when the chosen gateway is cut off") {
  Pair p;
  p.a.services["B/4"] = {NodeId{7}, InstanceId{9}};
  p.a.cut_off = {NodeId{7}};
  p.a.detour = {{NodeId{7}, NodeId{4}}};
  p.call(tcp(40000, 8080, kTcpSyn));
  CHECK(p.a.tun.empty());  // the program is told nothing: the call goes on
  Ip4Packet in = p.b.only(2);
  CHECK(segment_checksum_ok(kProtoTcp, in.l4, in.source, in.destination));
  CHECK(p.a.path.counter(Count::repinned) == 1);
}

TEST_CASE("edge flow: the same tuple has the same flow id after a restart") {
  Pair one, two;
  one.call(tcp(40000, 8080, kTcpSyn));
  two.call(tcp(40000, 8080, kTcpSyn));
  CHECK(wire::ServicePacket::parse(one.a.sent[0])->flow() ==
        wire::ServicePacket::parse(two.a.sent[0])->flow());
  // And an egress that was restarted gives the client the same address.
  CHECK(one.b.only(2).source == two.b.only(2).source);
}

TEST_CASE("edge flow: a policy's label is taken into use on running flows") {
  Pair p;
  p.connect();
  p.a.label_now = PathLabel{0x00100007};
  p.a.clock += milliseconds(200);
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 1));
  CHECK(wire::ServicePacket::parse(p.a.sent.back())->label() == PathLabel{0x00100007});
  CHECK((wire::ServicePacket::parse(p.a.sent.back())->flags() & wire::kFlagEstablished) != 0);
}

TEST_CASE("edge flow: idle flows are forgotten by protocol and state") {
  Pair p;
  p.connect();
  p.call(udp(40000, 53, "q"), kProtoUdp);
  auto pass = [&](Duration d) {
    p.a.clock += d;
    for (int i = 0; i < 200; ++i) p.a.path.expire();
    return p.a.path.flows();
  };
  CHECK(pass(seconds(59)) == 2);
  CHECK(pass(seconds(2)) == 1);     // an unanswered datagram
  CHECK(pass(minutes(120)) == 1);
  CHECK(pass(minutes(5)) == 0);
  p.b.tun.clear();
  p.connect();
  p.call(tcp(40000, 8080, kTcpRst, 1001));
  CHECK(pass(seconds(31)) == 0);
}

TEST_CASE("edge flow: a reused tuple after the end is a new flow, balanced anew") {
  Pair p;
  Ipv4 client = p.connect();
  p.call(tcp(40000, 8080, kTcpFin | kTcpAck, 1001, 5001));
  p.b.tun.clear();
  p.b.emit(2, make_packet(p.loopback, client, kProtoTcp, tcp(80, 40000, kTcpFin | kTcpAck, 5001, 1002)));
  p.a.tun.clear();
  p.a.services["B/4"] = {NodeId{4}, InstanceId{10}};
  p.b.path.set_endpoint(InstanceId{10}, 2, p.endpoint);
  p.call(tcp(40000, 8080, kTcpSyn, 9000));
  CHECK(wire::ServicePacket::parse(p.a.sent.back())->instance() == InstanceId{10});
  CHECK(p.b.tun.size() == 1);
}

TEST_CASE("edge flow: a withdrawn endpoint ends its flows, a closed pod device too") {
  Pair p;
  p.connect();
  p.b.path.remove_endpoint(InstanceId{9});
  CHECK(p.b.path.flows() == 0);
  PathPort closed;
  p.a.path.set_port(2, closed);
  CHECK(p.a.path.flows() == 0);
  p.call(tcp(40000, 8080, kTcpSyn));
  CHECK(p.a.path.counter(Count::port_down) == 1);
}

TEST_CASE("edge flow: the number of flows of one pod is bounded") {
  Pair p;
  for (std::uint16_t i = 0; i < 1100; ++i) {
    p.call(tcp(static_cast<std::uint16_t>(1000 + i), 8080, kTcpSyn));
  }
  CHECK(p.a.path.flows() == 1024);
  CHECK(p.a.path.counter(Count::flow_limit) == 76);
}

TEST_CASE("edge flow: to a service of the same gateway") {
  Pair p;
  p.a.services["A/9"] = {NodeId{1}, InstanceId{5}};
  p.a.path.set_endpoint(InstanceId{5}, 2, Endpoint{p.loopback, {}, 8080, {}, "", {}, false});
  Ipv4 own = *p.a.names.allocate("A/9", {});
  p.a.emit(2, make_packet(p.pod, own, kProtoTcp, tcp(40000, 8080, kTcpSyn)));
  Ip4Packet in = p.a.only(2);
  CHECK(in.destination == p.loopback);
  p.a.emit(2, make_packet(p.loopback, in.source, kProtoTcp, tcp(8080, 40000, kTcpSyn | kTcpAck, 1, 1001)));
  CHECK(p.a.only(2).source == own);
}

TEST_CASE("R39 edge: what is not for a service is refused, or handed to the host unchanged but for TTL") {
  Pair p;
  Ipv4 outside = ip("192.0.2.9");
  Bytes syn = make_packet(p.pod, outside, kProtoTcp, tcp(40000, 80, kTcpSyn));
  Bytes ping = make_packet(p.pod, outside, kProtoIcmp, from_hex("0800f7ff00000000"));
  p.a.emit(2, syn);
  Ip4Packet rst = p.a.only(2);
  CHECK(rst.source == outside);
  CHECK(parse_segment(kProtoTcp, rst.l4)->tcp_flags == (kTcpRst | kTcpAck));
  p.a.emit(2, ping);
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kAdminProhibited);
  CHECK(p.a.path.counter(Count::icmp_sent) == 1);

  PathPort external;
  external.open = true;
  p.a.path.set_port(kExternalPort, external);
  for (External mode : {External::masquerade, External::pass}) {
    PathPort pod;
    pod.address = p.pod;
    pod.external = mode;
    pod.open = true;
    p.a.path.set_port(2, pod);
    p.a.emit(2, syn);
    Ip4Packet out = p.a.only(kExternalPort);
    CHECK(out.source == p.pod);
    CHECK(out.destination == outside);
    CHECK(out.ttl == 63);
    p.a.emit(kExternalPort, make_packet(outside, p.pod, kProtoTcp, tcp(80, 40000, kTcpSyn | kTcpAck)));
    CHECK(p.a.only(2).source == outside);
  }
  CHECK(p.a.sent.empty());
}

TEST_CASE("R39 edge: from outside only a pod that may speak outside is reached") {
  Pair p;
  PathPort external;
  external.open = true;
  p.a.path.set_port(kExternalPort, external);
  p.a.emit(kExternalPort, make_packet(ip("192.0.2.9"), p.pod, kProtoTcp, tcp(80, 40000, kTcpSyn)));
  CHECK(p.a.only(kExternalPort).protocol == kProtoIcmp);
  CHECK(p.a.path.counter(Count::external_refused) == 1);
}

TEST_CASE("edge: a pod speaks only as itself, loopback only to clients") {
  Pair p;
  p.a.emit(2, make_packet(ip("100.64.1.3"), p.service, kProtoTcp, tcp(1, 8080, kTcpSyn)));
  p.a.emit(2, make_packet(p.loopback, p.service, kProtoTcp, tcp(1, 8080, kTcpSyn)));
  CHECK(p.a.path.counter(Count::spoofed_source) == 2);
  CHECK(p.a.tun.empty());
  CHECK(p.a.sent.empty());
}

TEST_CASE("edge: hop limit, multicast, other protocols, broken packets") {
  Pair p;
  p.call(tcp(40000, 8080, kTcpSyn), kProtoTcp, 1);
  auto expired = p.a.only(2);
  CHECK(expired.l4[0] == icmp::kTimeExceeded);
  p.a.emit(2, make_packet(p.pod, ip("224.0.0.251"), kProtoUdp, udp(5353, 5353, "x")));
  p.a.emit(2, make_packet(p.pod, p.service, kProtoIcmp, from_hex("0800f7ff00000000")));
  CHECK(p.a.only(2).l4[1] == icmp::kProtocol);
  Bytes cut = make_packet(p.pod, p.service, kProtoTcp, tcp(40000, 8080, kTcpSyn));
  for (std::size_t n = 0; n < cut.size(); ++n) p.a.emit(2, ByteView(cut).first(n));
  p.a.emit(2, from_hex("6000000000000000"));
  CHECK(p.a.tun.empty());
  CHECK(p.a.sent.empty());
  CHECK(p.a.path.counter(Count::multicast) == 1);
}

TEST_CASE("edge: ICMP answers are limited per pod") {
  Pair p;
  p.a.services.clear();
  for (int i = 0; i < 150; ++i) p.call(tcp(static_cast<std::uint16_t>(i + 1), 8080, kTcpSyn));
  CHECK(p.a.tun.size() == 100);
  CHECK(p.a.path.counter(Count::icmp_limited) == 50);
  p.a.clock += seconds(1);
  p.call(tcp(40000, 8080, kTcpSyn));
  CHECK(p.a.tun.size() == 101);
}
