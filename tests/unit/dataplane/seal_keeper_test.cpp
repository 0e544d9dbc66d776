// Two gateways with real handshakes on threads of their own; packets are carried by the test.
#include "dmsc/dataplane/seal_keeper.hpp"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/unit/dataplane/fake_worker.hpp"
#include "tests/unit/trust/domain.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;
using dmsc::dataplane::fakes::FakeWorker;
using dmsc::dataplane::fakes::KeepingSink;
using forwarding::DropReason;

namespace {

DtlsIdentity identity(const test::Domain& domain, std::uint32_t node) {
  auto key = static_cast<std::uint8_t>(node);
  return {NodeId{node},    domain.id, test::key_of(key), domain.certificate(node, key, node),
          domain.root.der, false};
}

SealPeers peers(const test::Domain& domain, std::initializer_list<std::uint32_t> nodes) {
  SealPeers out;
  for (std::uint32_t node : nodes) {
    out.gateways[NodeId{node}] = {test::key_of(static_cast<std::uint8_t>(node)).public_key(),
                                  domain.certificate_end};
  }
  out.time = domain.now;
  out.taken = runtime::now();
  return out;
}

struct Gateway {
  Gateway(const test::Domain& domain, std::uint32_t node)
      : inner(node), keeper(NodeId{node}), worker(inner, keeper, Unsealed::refuse) {
    worker.set_sink(&sink);
    REQUIRE(keeper.start(identity(domain, node), {&worker}).ok());
    keeper.set_peers(peers(domain, {1, 4, 5}));
  }
  ~Gateway() { keeper.stop(); }
  FakeWorker inner;
  SealKeeper keeper;
  SealingWorker worker;
  KeepingSink sink;
};

struct Net {
  test::Domain domain;
  std::map<NodeId, std::unique_ptr<Gateway>> gateways;
  std::vector<Bytes> carried;

  Gateway& start(std::uint32_t node) {
    auto& slot = gateways[NodeId{node}];
    slot.reset();
    slot = std::make_unique<Gateway>(domain, node);
    return *slot;
  }
  // Carries packets and runs tasks until `condition`; false after ten seconds.
  bool until(const std::function<bool()>& condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      bool any = false;
      for (auto& [id, gateway] : gateways) {
        gateway->inner.clock = runtime::now();
        gateway->inner.run();
        for (Bytes& datagram : gateway->inner.take_sent()) {
          any = true;
          carried.push_back(datagram);
          auto packet = wire::ServicePacket::parse(datagram);
          auto to = gateways.find(packet->egress());
          if (to != gateways.end()) to->second->inner.receive(datagram);
        }
      }
      if (!any) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return condition();
  }
  void call(Gateway& from, std::uint32_t to, std::string_view text) {
    wire::ServicePacketSpec spec;
    spec.protocol = wire::PayloadProtocol::message;
    spec.flow = 9;
    spec.ingress = from.inner.self();
    spec.egress = NodeId{to};
    Bytes datagram = *wire::build_service_packet(spec, as_bytes(text));
    from.worker.originate(datagram);
  }
};

}  // namespace

TEST_CASE(
    "SE-7 keeper: a first call makes keys by DTLS and arrives sealed; nothing of it is seen on the "
    "way") {
  Net net;
  Gateway& a = net.start(1);
  Gateway& b = net.start(4);
  net.call(a, 4, "a very secret call");
  REQUIRE(net.until([&] { return !b.sink.got.empty(); }));
  CHECK(b.sink.got[0].payload == "a very secret call");
  CHECK(b.sink.got[0].sealed);
  net.call(b, 1, "a very secret answer");
  REQUIRE(net.until([&] { return !a.sink.got.empty(); }));
  CHECK(a.sink.got[0].payload == "a very secret answer");
  for (const Bytes& datagram : net.carried)
    CHECK(as_text(datagram).find("secret") == std::string_view::npos);
  std::atomic<bool> seen{false};
  SealSnapshot snapshot;
  a.keeper.snapshot([&](SealSnapshot s) {
    snapshot = std::move(s);
    seen = true;
  });
  REQUIRE(net.until([&] { return seen.load(); }));
  REQUIRE(snapshot.rows.size() == 1);
  CHECK(snapshot.rows[0].state == "established");
  CHECK(snapshot.rows[0].totals.opened >= 1);
  CHECK_FALSE(snapshot.rows[0].algorithm.empty());
}

TEST_CASE("SE-10 keeper: after a restart of one side the next packets make new keys") {
  Net net;
  Gateway& a = net.start(1);
  net.start(4);
  net.call(a, 4, "one");
  REQUIRE(net.until([&] { return !net.gateways[NodeId{4}]->sink.got.empty(); }));
  Gateway& again = net.start(4);
  net.call(a, 4, "lost");
  // What the restarted gateway answers (a real worker sends it as an error packet).
  REQUIRE(net.until([&] { return !again.inner.errors.empty(); }));
  CHECK(again.inner.errors[0].second == wire::ErrorCode::unknown_key);
  auto about = wire::ServicePacket::parse(again.inner.errors[0].first);
  a.keeper.unknown(NodeId{4}, forwarding::seal_stamp(*about)->key.association);
  REQUIRE(net.until([&] {
    if (again.sink.got.empty()) net.call(a, 4, "two");
    return !again.sink.got.empty();
  }));
  CHECK(again.sink.got[0].payload == "two");
}

TEST_CASE(
    "SE-13 keeper: a gateway whose key is revoked or replaced loses its keys and gets no new "
    "ones") {
  Net net;
  Gateway& a = net.start(1);
  Gateway& b = net.start(4);
  net.call(a, 4, "one");
  REQUIRE(net.until([&] { return !b.sink.got.empty(); }));
  SealPeers fewer = peers(net.domain, {1, 5});
  fewer.gateways[NodeId{4}] = {test::key_of(99).public_key(), net.domain.certificate_end};
  a.keeper.set_peers(fewer);
  net.until([&] {
    return a.inner.dropped[DropReason::no_association] > 0 || (net.call(a, 4, "two"), false);
  });
  CHECK(a.inner.dropped[DropReason::no_association] > 0);
  const std::size_t before = a.sink.got.size();
  net.call(b, 1, "answer");
  net.until([&] { return a.inner.dropped[DropReason::unknown_seal] > 0; });
  CHECK(a.sink.got.size() == before);
}

TEST_CASE(
    "SE-14 keeper: handshakes of nodes that are no gateway here are counted and not answered") {
  Net net;
  Gateway& a = net.start(1);
  wire::ServicePacketSpec spec;
  spec.kind = wire::PacketKind::one_way;
  spec.protocol = wire::PayloadProtocol::handshake;
  spec.egress = NodeId{1};
  spec.ingress = NodeId{77};
  Bytes frame = wire::encode_handshake({wire::HandshakeType::hello, 11, {}, {}});
  a.inner.receive(*wire::build_service_packet(spec, frame));
  std::atomic<std::uint64_t> strangers{0};
  a.keeper.snapshot([&](SealSnapshot s) { strangers = s.strangers; });
  CHECK(net.until([&] { return strangers == 1; }));
  CHECK(net.carried.empty());
}

TEST_CASE("SE-19 keeper: packets for a gateway whose identity comes a moment later wait for it") {
  Net net;
  Gateway& a = net.start(1);
  Gateway& b = net.start(4);
  a.keeper.set_peers(peers(net.domain, {5}));
  net.call(a, 4, "early");
  int rounds = 0;
  net.until([&] { return ++rounds > 20; });
  a.keeper.set_peers(peers(net.domain, {4, 5}));
  REQUIRE(net.until([&] { return !b.sink.got.empty(); }));
  CHECK(b.sink.got[0].payload == "early");
  net.call(a, 77, "nobody");
  CHECK(net.until([&] { return a.inner.dropped[DropReason::no_association] == 1; }));
}
