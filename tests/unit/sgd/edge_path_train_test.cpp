// docs/protocol.md, "L4 segments": a large TCP segment that the kernel left uncut becomes the same service
// packets as its pieces would.
#include "sgd/edge_offload.hpp"
#include "tests/unit/sgd/edge_path_fixture.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using namespace dmsc::sgd::test;

namespace {

// As a kernel hands it out: the checksum is the pseudo-header's, to be finished by who cuts.
Bytes large(Ipv4 from, Ipv4 to, std::uint16_t from_port, std::uint16_t to_port, std::uint8_t flags,
            std::size_t data, std::uint32_t sequence = 1001, std::uint8_t tos = 0) {
  return make_packet(from, to, kProtoTcp, tcp(from_port, to_port, flags, sequence, 5001, data), 64, tos);
}

// What a gateway sent of it, cut by the kernel's rules and packet by packet.
void by_pieces(Gateway& gateway, std::uint32_t port, const Bytes& packet, std::size_t segment) {
  VnetHeader header;
  header.gso_type = packet[9] == kProtoUdp ? VnetHeader::kGsoUdp : VnetHeader::kGsoTcp4;
  header.gso_size = static_cast<std::uint16_t>(segment);
  Bytes buffer(kHeadroom);
  buffer.insert(buffer.end(), packet.begin(), packet.end());
  Segmenter cutter(kHeadroom);
  REQUIRE(cutter.split(header, buffer, kHeadroom, [&](std::span<std::uint8_t> piece, std::size_t at) {
    gateway.path.from_tun(port, piece, at);
  }));
}

bool as_train(Gateway& gateway, std::uint32_t port, Bytes packet, std::size_t segment) {
  return gateway.path.train_from_tun(port, packet, segment);
}

std::vector<Bytes> take_sent(Gateway& gateway) { return std::exchange(gateway.sent, {}); }

std::vector<Bytes> written(Gateway& gateway) {
  std::vector<Bytes> out;
  for (Written& w : gateway.tun) out.push_back(std::move(w.bytes));
  gateway.tun.clear();
  return out;
}

}  // namespace

TEST_CASE("L4 segments: a large segment makes the packets its pieces would make, both ways") {
  constexpr std::uint8_t kPsh = 8, kCwr = 128;
  for (std::uint8_t flags : {kTcpAck, std::uint8_t(kTcpAck | kPsh), std::uint8_t(kTcpAck | kPsh | kCwr),
                             std::uint8_t(kTcpAck | kTcpFin | kPsh)}) {
    for (std::size_t data : {std::size_t{1}, std::size_t{1000}, std::size_t{2000}, std::size_t{40001}}) {
      INFO("flags " << int(flags) << ", " << data << " bytes");
      Pair one, other;
      Ipv4 client = one.connect();
      REQUIRE(other.connect() == client);
      take_sent(one.a), take_sent(other.a), take_sent(one.b), take_sent(other.b);
      const Bytes there = large(one.pod, one.service, 40000, 8080, flags, data, 1001, 0x4a);
      by_pieces(one.a, 2, there, 1000);
      REQUIRE(as_train(other.a, 2, there, 1000));
      auto sent = take_sent(one.a);
      CHECK(sent.size() == (data + 999) / 1000);
      CHECK(take_sent(other.a) == sent);
      CHECK(written(other.b) == written(one.b));
      const Bytes back = large(one.loopback, client, 80, 40000, flags, data, 5001);
      by_pieces(one.b, 2, back, 1000);
      REQUIRE(as_train(other.b, 2, back, 1000));
      CHECK(take_sent(other.b) == take_sent(one.b));
      CHECK(written(other.a) == written(one.a));
      for (Count c : {Count::tun_in, Count::service_out, Count::send_failed}) {
        CHECK(other.a.path.counter(c) == one.a.path.counter(c));
        CHECK(other.b.path.counter(c) == one.b.path.counter(c));
      }
    }
  }
}

TEST_CASE("L4 segments: what is not of an established flow, or does not fit, goes piece by piece") {
  Pair p, half_open;
  half_open.call(tcp(40000, 8080, kTcpSyn, 1000, 0, 0, 1460));
  CHECK_FALSE(as_train(half_open.a, 2, large(p.pod, p.service, 40000, 8080, kTcpAck, 3000), 1000));
  auto offered = [&](std::uint8_t flags, std::size_t segment = 1000, std::uint16_t port = 40000) {
    return as_train(p.a, 2, large(p.pod, p.service, port, 8080, flags, 3000), segment);
  };
  CHECK_FALSE(offered(kTcpAck));  // no flow
  p.connect();
  CHECK(offered(kTcpAck));
  CHECK_FALSE(offered(kTcpSyn));
  CHECK_FALSE(offered(kTcpAck | kTcpRst));
  CHECK_FALSE(offered(kTcpAck, 1400));  // over the path's MTU: the program is told
  CHECK_FALSE(offered(kTcpAck, 0));
  CHECK_FALSE(offered(kTcpAck, 1000, 40001));
  CHECK_FALSE(as_train(p.a, 2, large(ip("100.64.9.9"), p.service, 40000, 8080, kTcpAck, 3000), 1000));
  CHECK_FALSE(as_train(p.a, 3, large(p.pod, p.service, 40000, 8080, kTcpAck, 3000), 1000));
  Bytes wrong = large(p.pod, p.service, 40000, 8080, kTcpAck, 3000);
  wrong[10] ^= 1;
  CHECK_FALSE(as_train(p.a, 2, wrong, 1000));
  CHECK_FALSE(as_train(p.a, 2, Bytes(10), 1000));
}

TEST_CASE("U27 L4 segments: a train of datagrams makes the packets its datagrams would make, both ways") {
  for (std::size_t data : {std::size_t{1}, std::size_t{1000}, std::size_t{2000}, std::size_t{40001}}) {
    INFO(data << " bytes");
    Pair one, other;
    const std::string text(data, 'q');
    Ipv4 client;
    for (Pair* p : {&one, &other}) {
      p->call(udp(40000, 53, "first"), kProtoUdp);
      client = p->b.only(2).source;
      take_sent(p->a);
    }
    const Bytes there = make_packet(one.pod, one.service, kProtoUdp, udp(40000, 53, text), 64, 0x4a);
    by_pieces(one.a, 2, there, 1000);
    REQUIRE(as_train(other.a, 2, there, 1000));
    auto sent = take_sent(one.a);
    CHECK(sent.size() == (data + 999) / 1000);
    CHECK(take_sent(other.a) == sent);
    CHECK(written(other.b) == written(one.b));
    const Bytes back = make_packet(one.loopback, client, kProtoUdp, udp(5353, 40000, text));
    by_pieces(one.b, 2, back, 1000);
    REQUIRE(as_train(other.b, 2, back, 1000));
    CHECK(take_sent(other.b) == take_sent(one.b));
    CHECK(written(other.a) == written(one.a));
    for (Count c : {Count::tun_in, Count::service_out, Count::send_failed}) {
      CHECK(other.a.path.counter(c) == one.a.path.counter(c));
      CHECK(other.b.path.counter(c) == one.b.path.counter(c));
    }
  }
}

TEST_CASE("U27 L4 segments: datagrams of no flow, or too large ones, go one by one and are never cut") {
  Pair p;
  const Bytes train = make_packet(p.pod, p.service, kProtoUdp, udp(40000, 53, std::string(3000, 'q')));
  CHECK_FALSE(as_train(p.a, 2, train, 1000));
  by_pieces(p.a, 2, train, 1000);  // which opens the flow
  CHECK(written(p.b).size() == 3);
  CHECK(as_train(p.a, 2, train, 1000));
  CHECK(written(p.b).size() == 3);
  CHECK_FALSE(as_train(p.a, 2, train, 1400));  // over the path's MTU
  take_sent(p.a);
  p.a.tun.clear();
  p.call(udp(40000, 53, std::string(2000, 'q')), kProtoUdp);  // one datagram, too large
  CHECK(take_sent(p.a).empty());
  auto told = p.a.only(2);
  CHECK(told.protocol == kProtoIcmp);
  CHECK(told.l4[1] == icmp::kFragmentationNeeded);
  CHECK(p.a.path.counter(Count::too_big) == 1);
  CHECK(written(p.b).empty());
}
