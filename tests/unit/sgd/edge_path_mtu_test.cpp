// Hints of routers on the way about what a path carries, for both ends of a flow.
#include "dmsc/dataplane/error_packet.hpp"
#include "dmsc/forwarding/seal.hpp"
#include "tests/unit/sgd/edge_path_fixture.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::test;

namespace {

// A router's error about the last packet `from` has sent, back to it.
bool too_big(Gateway& from, const std::string& text, bool sealed = false) {
  auto packet = wire::ServicePacket::parse(from.sent.back());
  REQUIRE(packet);
  auto spec = wire::reply_spec(*packet, wire::PacketKind::error);
  spec.ingress = NodeId{2};
  spec.protocol = wire::PayloadProtocol::none;
  spec.error = std::pair{wire::ErrorCode::too_big, std::string_view(text)};
  Bytes quote = to_bytes(ByteView(from.sent.back()).first(wire::kServiceFixedBytes));
  if (sealed) quote.resize(quote.size() + forwarding::kSealTlvBytes);
  spec.quote = quote;
  Bytes bytes = *wire::build_service_packet(spec, {});
  auto error = wire::ServicePacket::parse(bytes);
  return from.path.error_from_network(*error);
}

std::size_t told_mtu(Gateway& g) {
  auto icmp_error = parse_icmp_error(g.only(2).l4);
  REQUIRE(icmp_error);
  CHECK(icmp_error->code == icmp::kFragmentationNeeded);
  return icmp_error->mtu;
}

}  // namespace

TEST_CASE("U13 a router that drops what is too big says what passes, and the program hears just that") {
  Pair p;
  p.connect();
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 1200));
  p.b.tun.clear();
  std::size_t header = wire::ServicePacket::parse(p.a.sent.back())->header_size();
  CHECK(too_big(p.a, "1300 bytes pass"));
  CHECK(told_mtu(p.a) == 1300 - header + 20);
  p.call(tcp(40000, 8080, kTcpAck, 2201, 5001, 1300 - header - 20));
  CHECK(p.a.sent.back().size() == 1300);
  p.b.tun.clear();
  p.call(tcp(40000, 8080, kTcpAck, 2201, 5001, 1300 - header - 19));
  CHECK(told_mtu(p.a) == 1300 - header + 20);
}

TEST_CASE("U13 the number is of the sealed packet, if it was sealed") {
  Pair p;
  p.connect();
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 1200));
  p.b.tun.clear();
  std::size_t header = wire::ServicePacket::parse(p.a.sent.back())->header_size();
  CHECK(too_big(p.a, "1300 bytes pass", true));
  CHECK(told_mtu(p.a) == 1300 - forwarding::kSealOverhead - header + 20);
}

TEST_CASE("U13 nobody is believed who says that less passes than every link carries") {
  Pair p;
  p.connect();
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 100));
  p.b.tun.clear();
  std::size_t header = wire::ServicePacket::parse(p.a.sent.back())->header_size();
  CHECK(too_big(p.a, "68 bytes pass"));
  CHECK(told_mtu(p.a) == 1280 - forwarding::kSealOverhead - header + 20);
  CHECK(too_big(p.a, "68 bytes pass"));  // known already: one flood of hints is one ICMP
  CHECK(p.a.tun.empty());
  CHECK(p.a.path.counter(Count::hint_ignored) == 1);
}

TEST_CASE("U13 a server's gateway hears of answers that are too big: the server is told") {
  Pair p;
  Ipv4 client = p.connect();
  p.b.emit(2, make_packet(p.loopback, client, kProtoTcp, tcp(80, 40000, kTcpAck, 5001, 1001, 1200)));
  p.a.tun.clear();
  std::size_t header = wire::ServicePacket::parse(p.b.sent.back())->header_size();
  CHECK(too_big(p.b, "1290 bytes pass"));
  Ip4Packet icmp_packet = p.b.only(2);
  auto q = parse_icmp_error(icmp_packet.l4);
  REQUIRE(q);
  CHECK(q->code == icmp::kFragmentationNeeded);
  CHECK(q->mtu == 1290 - header + 20);
  CHECK(q->source == p.loopback);       // as if a router had it from the server's kernel
  CHECK(q->destination == client);
  CHECK(q->source_port == 80);
  p.b.emit(2, make_packet(p.loopback, client, kProtoTcp, tcp(80, 40000, kTcpAck, 6201, 1001, 1230)));
  CHECK(told_mtu(p.b) == 1290 - header + 20);
}

TEST_CASE("U13 a hint is forgotten after ten minutes") {
  Pair p;
  p.connect();
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 100));
  CHECK(too_big(p.a, "1300 bytes pass"));
  p.a.tun.clear();
  p.a.clock += minutes(10);
  p.b.clock = p.a.clock;
  p.b.tun.clear();
  p.call(tcp(40000, 8080, kTcpAck, 1101, 5001, 1200));
  p.a.tun.clear();
  p.call(tcp(40000, 8080, kTcpAck, 1101, 5001, 1280));
  CHECK(p.a.sent.back().size() > 1300);
}

TEST_CASE("U17 a segment that became too large goes on in pieces, and the program is told, both ways") {
  Pair p;
  Ipv4 client = p.connect();
  auto goes_on = [](Gateway& from, Gateway& to, std::size_t data, std::uint32_t sequence) {
    CHECK(told_mtu(from) < 1300);
    REQUIRE(to.tun.size() == 2);
    std::string text;
    for (auto& written : to.tun) {
      auto packet = parse_ip4(written.bytes);
      REQUIRE(packet);
      CHECK(segment_checksum_ok(kProtoTcp, packet->l4, packet->source, packet->destination));
      auto segment = parse_segment(kProtoTcp, packet->l4);
      REQUIRE(segment);
      CHECK(segment->sequence == sequence + text.size());
      text += as_text(ByteView(packet->l4).subspan(segment->header_bytes));
    }
    CHECK(text.size() == data);
    for (std::size_t i = 0; i < text.size(); ++i) CHECK(text[i] == static_cast<char>('a' + i % 26));
    for (const Bytes& sent : {from.sent.end()[-1], from.sent.end()[-2]}) CHECK(sent.size() <= 1200);
    to.tun.clear();
  };
  p.a.mtu = p.b.mtu = 1200;
  p.a.clock += seconds(1);  // paths are looked at again
  p.call(tcp(40000, 8080, kTcpAck, 1001, 5001, 1250));
  goes_on(p.a, p.b, 1250, 1001);
  p.b.emit(2, make_packet(p.loopback, client, kProtoTcp, tcp(80, 40000, kTcpAck, 5001, 2251, 1250)));
  goes_on(p.b, p.a, 1250, 5001);
  // One that opens a connection, or is no TCP, has no pieces.
  p.call(udp(40000, 53, std::string(1300, 'x')), kProtoUdp);
  told_mtu(p.a);
  CHECK(p.b.tun.empty());
}

TEST_CASE("U17 a segment too large of a flow with a rate limit goes on in pieces, each by its limit") {
  for (std::uint64_t rate : {std::uint64_t{100'000'000}, std::uint64_t{1'000'000}}) {
    Pair p;
    p.connect();
    p.a.path.set_limits({{*Name::parse("B"), rate}});
    p.a.mtu = p.b.mtu = 1200;
    p.a.clock += seconds(1);
    std::string text;
    auto arrived = [&] {
      for (auto& written : p.b.tun) {
        auto packet = parse_ip4(written.bytes);
        REQUIRE(packet);
        CHECK(segment_checksum_ok(kProtoTcp, packet->l4, packet->source, packet->destination));
        auto segment = parse_segment(kProtoTcp, packet->l4);
        CHECK(segment->sequence == 1001 + text.size());
        text += as_text(ByteView(packet->l4).subspan(segment->header_bytes));
      }
      p.b.tun.clear();
    };
    for (std::uint32_t sequence : {1001U, 2001U}) {  // use up what may pass at once
      p.call(tcp(40000, 8080, kTcpAck, sequence, 5001, 1000));
    }
    p.call(tcp(40000, 8080, kTcpAck, 3001, 5001, 1250));
    CHECK(told_mtu(p.a) < 1300);
    arrived();
    const std::size_t at_once = text.size();
    for (int i = 0; i < 40 && p.a.path.release_limited(); ++i) {
      p.a.clock += milliseconds(1);
      p.a.path.release_limited();
      arrived();
    }
    CHECK(text.size() == 3250);
    CHECK(at_once == (rate == 100'000'000 ? 3250 : 2000));
    CHECK(p.a.path.counter(Count::rate_limited) == 0);
    // What is no TCP has no pieces.
    p.call(udp(40000, 53, std::string(1300, 'x')), kProtoUdp);
    CHECK(p.b.tun.empty());
  }
}
