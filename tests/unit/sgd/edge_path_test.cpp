// docs/protocol.md, "L4 segments": the rules between two gateways.
#include "tests/unit/sgd/edge_path_fixture.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::test;

TEST_CASE("L4 segments: a SYN reaches the endpoint, the answer comes from the virtual address") {
  Pair p;
  p.call(tcp(40000, 8080, kTcpSyn, 1000, 0, 0, 1460), kProtoTcp, 64, 0x48);
  Ip4Packet in = p.b.only(2);
  auto s = parse_segment(kProtoTcp, in.l4);
  CHECK(in.destination == p.loopback);
  CHECK(p.b.path.counter(Count::tun_out) == 1);
  CHECK(parse_ipv4_net("100.104.0.0/13")->contains(in.source));
  CHECK(s->destination_port == 80);
  CHECK(s->source_port == 40000);
  CHECK(in.tos == 0x48);
  CHECK(segment_checksum_ok(kProtoTcp, in.l4, in.source, in.destination));

  p.b.emit(2, make_packet(p.loopback, in.source, kProtoTcp,
                          tcp(80, 40000, kTcpSyn | kTcpAck, 5000, 1001, 0, 1460)));
  Ip4Packet back = p.a.only(2);
  auto r = parse_segment(kProtoTcp, back.l4);
  CHECK(back.source == p.service);
  CHECK(back.destination == p.pod);
  CHECK(r->source_port == 8080);
  CHECK(r->destination_port == 40000);
  CHECK(segment_checksum_ok(kProtoTcp, back.l4, back.source, back.destination));
}

TEST_CASE("L4 segments: the packet names source, destination, instances and ports; no address travels") {
  Pair p;
  p.connect();
  auto out = wire::ServicePacket::parse(p.a.sent[0]);
  REQUIRE(out.ok());
  CHECK(out->kind() == wire::PacketKind::packet);
  CHECK(out->payload_protocol() == wire::PayloadProtocol::tcp);
  CHECK(out->destination() == "B/4");
  CHECK(out->source() == "A/1");
  CHECK(out->instance() == InstanceId{9});
  CHECK(out->source_instance() == InstanceId{3});
  CHECK(out->egress() == NodeId{4});
  CHECK(out->ingress() == NodeId{1});
  CHECK(to_hex(*out->tlv(wire::HeaderTlv::ports)) == "9c401f90");
  CHECK((out->flags() & wire::kFlagReply) == 0);
  CHECK(segment_checksum_ok(kProtoTcp, out->payload(), {}, {}));  // neutral
  auto back = wire::ServicePacket::parse(p.b.sent[0]);
  REQUIRE(back.ok());
  CHECK((back->flags() & wire::kFlagReply) != 0);
  CHECK(back->flow() == out->flow());
  CHECK(back->destination() == "A/1");
  CHECK(back->source() == "B/4");
  CHECK(back->source_instance() == InstanceId{9});
  CHECK(back->egress() == NodeId{1});
  CHECK(to_hex(*back->tlv(wire::HeaderTlv::ports)) == "1f909c40");
}

TEST_CASE("L4 segments: MSS is clamped in both directions to what a service packet carries") {
  Pair p;
  p.a.mtu = 1000;
  p.call(tcp(40000, 8080, kTcpSyn, 1000, 0, 0, 1460));
  Ip4Packet in = p.b.only(2);
  std::size_t mss = static_cast<std::size_t>(in.l4[22] << 8 | in.l4[23]);
  std::size_t header = wire::ServicePacket::parse(p.a.sent[0])->header_size();
  CHECK(mss == 1000 - header - 20);
  p.b.emit(2, make_packet(p.loopback, in.source, kProtoTcp,
                          tcp(80, 40000, kTcpSyn | kTcpAck, 5000, 1001, 0, 1460)));
  Ip4Packet back = p.a.only(2);
  CHECK(static_cast<std::size_t>(back.l4[22] << 8 | back.l4[23]) <= 1000 - header - 20);
  // A full segment of that MSS is exactly the largest service datagram.
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, mss));
  CHECK(p.a.sent.back().size() == 1000);
  CHECK(p.b.only(2).l4.size() == mss + 20);
}

TEST_CASE("L4 segments: too big is answered with the MTU that fits, nothing is fragmented") {
  Pair p;
  p.call(udp(40000, 53, std::string(1400, 'x')), kProtoUdp);
  CHECK(p.a.sent.empty());
  Ip4Packet icmp_packet = p.a.only(2);
  CHECK(icmp_packet.source == ip("100.64.1.1"));
  auto q = parse_icmp_error(icmp_packet.l4);
  REQUIRE(q);
  CHECK(q->code == icmp::kFragmentationNeeded);
  CHECK(q->destination == p.service);
  p.call(udp(40000, 53, std::string(q->mtu - 28U, 'x')), kProtoUdp);
  CHECK(p.a.sent.back().size() == 1400);
  Ip4Packet in = p.b.only(2);
  p.b.emit(2, make_packet(p.loopback, in.source, kProtoUdp, udp(5353, 40000, std::string(1400, 'y'))));
  CHECK(parse_icmp_error(p.b.only(2).l4)->code == icmp::kFragmentationNeeded);
  CHECK(p.a.tun.empty());
}

TEST_CASE("L4 segments: fragments from a pod are reassembled before they travel") {
  Pair p;
  Bytes whole = make_packet(p.pod, p.service, kProtoUdp, udp(40000, 53, std::string(1000, 'z')));
  auto piece = [&](std::size_t from, std::size_t to, bool more) {
    Bytes out(whole.begin(), whole.begin() + 20);
    out.insert(out.end(), whole.begin() + 20 + static_cast<long>(from),
               whole.begin() + 20 + static_cast<long>(to));
    out[2] = static_cast<std::uint8_t>(out.size() >> 8), out[3] = static_cast<std::uint8_t>(out.size());
    out[6] = static_cast<std::uint8_t>((more ? 0x20 : 0) | (from / 8) >> 8);
    out[7] = static_cast<std::uint8_t>(from / 8);
    out[10] = out[11] = 0;
    std::uint16_t sum = checksum_finish(checksum_add(ByteView(out).first(20)));
    out[10] = static_cast<std::uint8_t>(sum >> 8), out[11] = static_cast<std::uint8_t>(sum);
    return out;
  };
  p.a.emit(2, piece(504, 1008, false));
  CHECK(p.a.sent.empty());
  p.a.emit(2, piece(0, 504, true));
  Ip4Packet in = p.b.only(2);
  CHECK(in.l4.size() == 1008);
  CHECK(segment_checksum_ok(kProtoUdp, in.l4, in.source, in.destination));
}

TEST_CASE("L4 segments: a port the announcement does not map is refused like a closed one") {
  Pair p;
  p.call(tcp(40000, 81, kTcpSyn));
  CHECK(p.b.tun.empty());
  Ip4Packet back = p.a.only(2);
  auto r = parse_segment(kProtoTcp, back.l4);
  REQUIRE(r);
  CHECK(r->tcp_flags == (kTcpRst | kTcpAck));
  CHECK(r->acknowledgement == 1001);
  CHECK(r->source_port == 81);
  CHECK(segment_checksum_ok(kProtoTcp, back.l4, p.service, p.pod));
  p.call(udp(40000, 54, "hello"), kProtoUdp);
  auto q = parse_icmp_error(p.a.only(2).l4);
  REQUIRE(q);
  CHECK(q->code == icmp::kPort);
  CHECK(q->source_port == 40000);
  CHECK(q->destination_port == 54);
  CHECK(p.b.path.counter(Count::port_refused) == 2);
  CHECK(p.b.path.flows() == 0);
}

TEST_CASE("L4 segments: without a port map the endpoint's own port is the service port") {
  Endpoint e;
  e.port = 8080;
  CHECK(map_port(e, L4::tcp, 8080) == 8080);
  CHECK(map_port(e, L4::tcp, 80) == 0);
  e.ports = {{80, 8080, L4::tcp}};
  CHECK(map_port(e, L4::tcp, 80) == 8080);
  CHECK(map_port(e, L4::udp, 80) == 0);
  CHECK(map_port(e, L4::tcp, 8080) == 0);
}

TEST_CASE("L4 segments: an endpoint's ICMP refusal reaches the caller's program") {
  Pair p;
  p.call(udp(40000, 53, "q"), kProtoUdp);
  Ip4Packet in = p.b.only(2);
  Bytes refusal = make_icmp_error(in, p.loopback, icmp::kUnreachable, icmp::kPort);
  p.b.emit(2, refusal);
  auto q = parse_icmp_error(p.a.only(2).l4);
  REQUIRE(q);
  CHECK(q->code == icmp::kPort);
  CHECK(q->destination == p.service);
  CHECK(q->destination_port == 53);
}

TEST_CASE("L4 segments: an egress delivers only to the instance and name it announced") {
  Pair p;
  p.a.services["B/4"] = {NodeId{4}, InstanceId{8}};
  p.call(tcp(40000, 8080, kTcpSyn));
  CHECK(p.b.tun.empty());
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kHost);
  p.a.services["C"] = {NodeId{4}, InstanceId{9}};
  p.a.emit(2, make_packet(p.pod, *p.a.names.allocate("C", {}), kProtoTcp, tcp(40001, 8080, kTcpSyn)));
  CHECK(p.b.tun.empty());
  CHECK(p.b.path.counter(Count::no_endpoint) == 2);
  Endpoint e;
  e.names = {*Name::parse("files")};
  CHECK_FALSE(serves(e, "files/x"));
  e.covering = true;
  CHECK(serves(e, "files/x"));
  CHECK_FALSE(serves(e, "filesystem"));
}

TEST_CASE("L4 segments: caller policy is asked at ingress and again at egress") {
  Pair p;
  p.b.allow = false;
  p.call(tcp(40000, 8080, kTcpSyn));
  CHECK(p.b.tun.empty());
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kAdminProhibited);
  p.a.allow = false;
  p.call(tcp(40001, 8080, kTcpSyn));
  CHECK(p.a.sent.size() == 1);
  CHECK(parse_icmp_error(p.a.only(2).l4)->code == icmp::kAdminProhibited);
}

TEST_CASE("SE-25 L4 segments: a source name that no grant binds to the ingress is as good as none") {
  Pair p;
  p.b.ungranted.insert("A/1");
  p.call(tcp(40000, 8080, kTcpSyn));
  const Ip4Packet in = p.b.only(2);
  EdgeSnapshot snapshot;
  p.b.path.snapshot(snapshot, {.at_most = 10, .name = ""});
  REQUIRE(snapshot.flows.size() == 1);
  CHECK(snapshot.flows[0].source.empty());
  CHECK(p.b.path.counter(Count::source_not_granted) == 1);
  // The answer finds its way all the same.
  p.b.emit(2, make_packet(p.loopback, in.source, kProtoTcp, tcp(80, 40000, kTcpSyn | kTcpAck)));
  CHECK(p.a.tun.size() == 1);
}

TEST_CASE("show flows: of very many, as many as wanted, of one name; their number among the counters") {
  Pair p;
  for (std::uint16_t port = 40000; port < 40005; ++port) p.call(tcp(port, 8080, kTcpSyn));
  auto shown = [&](FlowsWanted wanted) {
    EdgeSnapshot snapshot;
    p.a.path.snapshot(snapshot, wanted);
    CHECK(snapshot.counters["flows_out"] == 5);
    CHECK(snapshot.counters["flows_in"] == 0);
    return snapshot.flows.size();
  };
  CHECK(shown({}) == 0);
  CHECK(shown({.at_most = 3, .name = ""}) == 3);
  CHECK(shown({.at_most = 10, .name = "B/4"}) == 5);
  CHECK(shown({.at_most = 10, .name = "B"}) == 5);
  CHECK(shown({.at_most = 10, .name = "B/44"}) == 0);
  CHECK(shown({.at_most = 10, .name = "A"}) == 0);
}

TEST_CASE("L4 segments: replies count only from the pinned egress and on the flow's ports") {
  Pair p;
  p.connect();
  Bytes good = p.b.sent.back();
  auto replay = [&](auto change) {
    Bytes bytes = good;
    change(bytes);
    auto packet = wire::ServicePacket::parse(bytes);
    REQUIRE(packet.ok());
    p.a.path.from_network(*packet);
  };
  replay([](Bytes& b) { b[31] = 5; });              // another node
  CHECK(p.a.path.counter(Count::wrong_peer) == 1);
  replay([](Bytes& b) { b[16] ^= 1; });             // another flow
  CHECK(p.a.path.counter(Count::unknown_flow) == 1);
  std::size_t header = wire::ServicePacket::parse(good)->header_size();
  replay([&](Bytes& b) { b[header] ^= 1; });        // another source port
  CHECK(p.a.path.counter(Count::bad_segment) == 1);
  CHECK(p.a.tun.empty());
  replay([](Bytes&) {});
  CHECK(p.a.tun.size() == 1);
}

TEST_CASE("L4 segments: a congestion mark becomes ECN for programs that speak it") {
  Pair p;
  p.a.mark = wire::kFlagCongestion;
  p.call(tcp(40000, 8080, kTcpSyn), kProtoTcp, 64, 0x02);
  CHECK(p.b.only(2).tos == 0x03);
  p.call(tcp(40000, 8080, kTcpSyn), kProtoTcp, 64, 0x00);
  CHECK(p.b.only(2).tos == 0x00);
}

TEST_CASE("L4 segments: two clients on one port are two addresses at the server") {
  Pair p;
  PathPort host;
  host.open = true;
  p.a.path.set_port(kHostPort, host);
  p.call(tcp(40000, 8080, kTcpSyn));
  Ipv4 pod_client = p.b.only(2).source;
  for (const char* from : {"10.0.0.1", "10.0.0.2"}) {  // anonymous, the same client to the egress
    p.a.emit(kHostPort, make_packet(ip(from), p.service, kProtoTcp, tcp(40000, 8080, kTcpSyn)));
    CHECK(p.b.only(2).source != pod_client);
  }
  CHECK(p.b.path.flows() == 3);
}
