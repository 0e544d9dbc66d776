// Rules SE-18 to SE-24 of docs/protocol.md, "Sealing": what a gateway's worker seals, opens and
// refuses.
#include "dmsc/dataplane/sealing_worker.hpp"

#include <catch2/catch.hpp>

#include "dmsc/dataplane/error_packet.hpp"
#include "tests/unit/dataplane/fake_worker.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;
using dmsc::dataplane::fakes::FakeWorker;
using dmsc::dataplane::fakes::KeepingSink;
using forwarding::DropReason;
using wire::ErrorCode;
using wire::PacketKind;

namespace {

struct Requests : SealRequests {
  std::vector<std::pair<NodeId, bool>> wants;
  std::vector<std::pair<NodeId, Bytes>> frames;
  std::vector<std::pair<NodeId, std::uint32_t>> opens, unknowns;
  void want(NodeId peer, bool renew) override { wants.emplace_back(peer, renew); }
  void frame(NodeId peer, Bytes payload) override { frames.emplace_back(peer, std::move(payload)); }
  void opened(NodeId peer, std::uint32_t n) override { opens.emplace_back(peer, n); }
  void unknown(NodeId peer, std::uint32_t n) override { unknowns.emplace_back(peer, n); }
};

struct Gateway {
  explicit Gateway(std::uint32_t node, Unsealed unsealed = Unsealed::refuse)
      : inner(node), worker(inner, requests, unsealed) {
    worker.set_sink(&sink);
  }
  FakeWorker inner;
  Requests requests;
  SealingWorker worker;
  KeepingSink sink;

  int drops(DropReason reason) { return inner.dropped[reason]; }
  void event(SealEvent::Kind kind, NodeId peer, std::uint32_t number,
             std::shared_ptr<SealAssociation> association = nullptr) {
    SealEvent e;
    e.kind = kind;
    e.peer = peer;
    e.association = number;
    worker.apply(std::move(e), std::move(association));
    inner.run();
  }
  void keys(NodeId peer, std::uint32_t number, std::uint8_t send, std::uint8_t receive) {
    SealSecrets secrets;
    secrets.send.fill(send);
    secrets.receive.fill(receive);
    event(SealEvent::Kind::installed, peer, number,
          std::make_shared<SealAssociation>(peer, number, secrets, 1));
    event(SealEvent::Kind::activated, peer, number);
  }
};

Bytes packet(std::uint32_t from, std::uint32_t to, std::string_view payload = "call",
             PacketKind kind = PacketKind::request) {
  wire::ServicePacketSpec spec;
  spec.kind = kind;
  spec.protocol = wire::PayloadProtocol::message;
  spec.exchange = 5;
  spec.flow = 6;
  spec.ingress = NodeId{from};
  spec.egress = NodeId{to};
  spec.destination = "B/4";
  spec.source = "A/1";
  return *wire::build_service_packet(spec, as_bytes(payload));
}

// Gateways 1 and 4 with keys in common.
struct Pair {
  explicit Pair(Unsealed unsealed = Unsealed::refuse) : b(4, unsealed) {
    a.keys(NodeId{4}, 70, 1, 2);
    b.keys(NodeId{1}, 70, 2, 1);
  }
  Gateway a{1}, b;
  Bytes sealed(std::string_view payload = "call") {
    Bytes datagram = packet(1, 4, payload);
    a.worker.originate(datagram);
    REQUIRE(a.inner.sent.size() == 1);
    return a.inner.take_sent()[0];
  }
};

}  // namespace

TEST_CASE("SE-18 worker: what leaves for another gateway is sealed, what arrives is open") {
  Pair p;
  Bytes wire = p.sealed("a secret call");
  CHECK(as_text(wire).find("secret") == std::string_view::npos);
  p.b.inner.receive(wire);
  REQUIRE(p.b.sink.got.size() == 1);
  CHECK(p.b.sink.got[0].payload == "a secret call");
  CHECK(p.b.sink.got[0].source == "A/1");
  CHECK(p.b.sink.got[0].sealed);
  CHECK(p.b.requests.opens.size() == 1);
  p.b.inner.receive(p.sealed());
  CHECK(p.b.requests.opens.size() == 1);  // told once
}

TEST_CASE("SE-18 worker: a train is sealed where it stands, into what its packets alone would be") {
  Pair p, q;
  std::vector<Bytes> singly;
  std::vector<Bytes> memory;
  std::vector<std::span<std::uint8_t>> train;
  const std::vector<std::string> payloads = {std::string(1000, 'a'), std::string(1000, 'b'), "end"};
  for (const std::string& payload : payloads) {
    Bytes datagram = packet(1, 4, payload);
    singly.push_back(p.sealed(payload));
    Bytes room(Worker::kTrainHeadroom);
    room.insert(room.end(), datagram.begin(), datagram.end());
    room.resize(room.size() + Worker::kTrainTailroom);
    memory.push_back(std::move(room));
    train.push_back(std::span(memory.back()).subspan(Worker::kTrainHeadroom, datagram.size()));
  }
  CHECK(q.a.worker.originate_train(train).action == forwarding::Action::forward);
  const auto sent = q.a.inner.take_sent();
  CHECK(sent == singly);
  for (const Bytes& datagram : sent) q.b.inner.receive(datagram);
  REQUIRE(q.b.sink.got.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(q.b.sink.got[i].payload == payloads[i]);
}

TEST_CASE("SE-20 worker: a train waits for keys packet by packet") {
  Gateway a(1);
  std::vector<Bytes> memory(2, packet(1, 4, "early"));
  std::vector<std::span<std::uint8_t>> train(memory.begin(), memory.end());
  a.worker.originate_train(train);
  CHECK(a.inner.sent.empty());
  CHECK(a.requests.wants.size() == 1);
  a.keys(NodeId{4}, 70, 1, 2);
  CHECK(a.inner.sent.size() == 2);
}

TEST_CASE("SE-18 worker: probes, by-name packets and the node's own are not sealed") {
  Pair p;
  for (Bytes datagram : {packet(1, 4, "", PacketKind::probe), packet(1, 4, "", PacketKind::trace),
                         packet(1, 0, "by name")}) {
    p.a.worker.originate(datagram);
    CHECK(p.a.inner.take_sent() == std::vector<Bytes>{datagram});
  }
  Bytes own = packet(1, 1, "to myself");
  p.a.worker.originate(own);
  REQUIRE(p.a.sink.got.size() == 1);
  CHECK(p.a.sink.got[0].source == "A/1");
}

TEST_CASE(
    "SE-19 worker: first packets wait for keys, leave in their order, or fall with one counter") {
  Gateway a(1);
  for (int i = 0; i < 3; ++i) {
    Bytes datagram = packet(1, 4, "call " + std::to_string(i));
    CHECK(a.worker.originate(datagram).action == forwarding::Action::forward);
  }
  CHECK(a.inner.sent.empty());
  CHECK(a.requests.wants ==
        std::vector<std::pair<NodeId, bool>>{{NodeId{4}, false}});  // asked once
  a.inner.clock += SealingWorker::kAskAgain;
  Bytes later = packet(1, 4, "call 3");
  a.worker.originate(later);
  CHECK(a.requests.wants.size() == 2);
  a.keys(NodeId{4}, 70, 1, 2);
  Gateway b(4);
  b.keys(NodeId{1}, 70, 2, 1);
  for (const Bytes& datagram : a.inner.take_sent()) b.inner.receive(datagram);
  REQUIRE(b.sink.got.size() == 4);
  for (int i = 0; i < 4; ++i)
    CHECK(b.sink.got[static_cast<std::size_t>(i)].payload == "call " + std::to_string(i));

  for (std::size_t i = 0; i < SealingWorker::kWaitingPackets + 5; ++i) {
    Bytes datagram = packet(1, 9);
    const auto verdict = a.worker.originate(datagram);
    CHECK((verdict.action == forwarding::Action::forward) == (i < SealingWorker::kWaitingPackets));
  }
  CHECK(a.drops(DropReason::no_association) == 5);
  a.event(SealEvent::Kind::failed, NodeId{9}, 0);
  CHECK(a.drops(DropReason::no_association) ==
        5 + static_cast<int>(SealingWorker::kWaitingPackets));
  Bytes soon = packet(1, 9);
  const auto verdict = a.worker.originate(soon);  // no second wait so shortly after
  CHECK(verdict.action == forwarding::Action::drop);
  CHECK(verdict.reason == DropReason::no_association);
  a.inner.clock += SealingWorker::kFailedFor;
  CHECK(a.worker.originate(soon).action == forwarding::Action::forward);
}

TEST_CASE("SE-20 worker: tampered, replayed and foreign packets fall, each with one counter") {
  Pair p;
  const Bytes good = p.sealed();
  for (std::size_t at : {std::size_t{3}, std::size_t{20}, std::size_t{67}, good.size() - 1}) {
    Bytes bad = good;
    bad[at] ^= 1;
    p.b.inner.receive(bad);
  }
  CHECK(p.b.drops(DropReason::bad_seal) == 4);
  CHECK(p.b.sink.got.empty());
  CHECK(p.b.requests.opens.empty());
  p.b.inner.receive(good);
  p.b.inner.receive(good);
  CHECK(p.b.sink.got.size() == 1);
  CHECK(p.b.drops(DropReason::seal_replay) == 1);
  CHECK(p.b.inner.errors.empty());  // nothing is answered

  Bytes unflagged = p.sealed();
  unflagged[1] &= static_cast<std::uint8_t>(~wire::kFlagSealed);
  p.b.inner.receive(unflagged);
  Bytes flagged = packet(1, 4);
  flagged[1] |= wire::kFlagSealed;
  p.b.inner.receive(flagged);
  CHECK(p.b.drops(DropReason::malformed) == 2);
  CHECK(p.b.sink.got.size() == 1);
  int all = 0;
  for (const auto& [reason, count] : p.b.inner.dropped) all += count;
  CHECK(all == 7);  // a packet, a counter
}

TEST_CASE("SE-20 worker: what this gateway sealed itself is not opened when it is reflected") {
  Pair p;
  Bytes wire = p.sealed();
  p.a.inner.receive(wire);
  CHECK(p.a.sink.got.empty());
  CHECK(p.a.drops(DropReason::unknown_seal) == 1);  // its ingress is no peer of ours
}

TEST_CASE(
    "SE-10 worker: an unknown association is answered with unknown-key, which wakes the sender "
    "only") {
  Pair p;
  Gateway restarted(4);
  Bytes wire = p.sealed();
  restarted.inner.receive(wire);
  CHECK(restarted.drops(DropReason::unknown_seal) == 1);
  REQUIRE(restarted.inner.errors.size() == 1);
  CHECK(restarted.inner.errors[0].second == ErrorCode::unknown_key);
  auto about = wire::ServicePacket::parse(restarted.inner.errors[0].first);
  p.a.inner.receive(*build_error_packet(*about, NodeId{4}, ErrorCode::unknown_key, "?"));
  CHECK(p.a.requests.unknowns == std::vector<std::pair<NodeId, std::uint32_t>>{{NodeId{4}, 70}});
  CHECK(p.a.sink.got.empty());
}

TEST_CASE(
    "SE-21 worker: payload in clear is refused, or taken as the policy says and from nobody by "
    "name") {
  auto received = [](Unsealed policy, const Bytes& datagram) {
    Pair p(policy);
    p.b.inner.receive(datagram);
    if (!p.b.sink.got.empty()) {
      CHECK(p.b.sink.got[0].source.empty());
      CHECK(p.b.inner.dropped.empty());
      return true;
    }
    CHECK(p.b.drops(DropReason::unsealed) == 1);
    REQUIRE(p.b.inner.errors.size() == 1);
    CHECK(p.b.inner.errors[0].second == ErrorCode::not_allowed);
    return false;
  };
  const Bytes pinned = packet(1, 4), by_name = packet(1, 0),
              l4 = packet(1, 4, "x", PacketKind::packet),
              response = packet(1, 4, "x", PacketKind::response),
              l4_by_name = packet(1, 0, "x", PacketKind::packet);
  for (const Bytes& any : {pinned, by_name, l4, response})
    CHECK_FALSE(received(Unsealed::refuse, any));
  CHECK(received(Unsealed::by_name, by_name));
  for (const Bytes& any : {pinned, l4, response, l4_by_name})
    CHECK_FALSE(received(Unsealed::by_name, any));
  for (const Bytes& any : {pinned, by_name, l4, response}) CHECK(received(Unsealed::accept, any));
}

TEST_CASE("SE-22 worker: an error about a sealed packet is sealed; one in clear has no reporter") {
  Pair p;
  p.b.inner.receive(p.sealed());
  Bytes datagram = p.b.sink.got[0].datagram;
  auto opened = wire::ServicePacket::parse(datagram);
  p.b.worker.send_error(*opened, ErrorCode::no_instance, "gone");
  REQUIRE(p.b.inner.sent.size() == 1);
  p.a.inner.receive(p.b.inner.take_sent()[0]);
  REQUIRE(p.a.sink.got.size() == 1);
  CHECK(p.a.sink.got[0].sealed);
  CHECK(p.a.sink.got[0].ingress == NodeId{4});
  CHECK(p.a.sink.got[0].error == ErrorCode::no_instance);

  Bytes ours = packet(1, 4);
  auto about = wire::ServicePacket::parse(ours);
  p.a.inner.receive(*build_error_packet(*about, NodeId{4}, ErrorCode::no_instance, "forged"));
  p.a.inner.receive(*build_error_packet(*about, NodeId{9}, ErrorCode::no_route, "of a router"));
  REQUIRE(p.a.sink.got.size() == 3);
  CHECK_FALSE(p.a.sink.got[1].ingress);  // would be final if it counted as the egress's
  CHECK(p.a.sink.got[2].ingress == NodeId{9});
}

TEST_CASE(
    "SE-23 worker: handshake frames go to those who make keys; a confirmation ends at the worker") {
  Pair p;
  p.a.worker.send_frame(NodeId{4}, Bytes{1, 2, 3});
  p.a.inner.run();
  auto sent = p.a.inner.take_sent();
  REQUIRE(sent.size() == 1);
  p.b.inner.receive(sent[0]);
  CHECK(p.b.requests.frames == std::vector<std::pair<NodeId, Bytes>>{{NodeId{1}, Bytes{1, 2, 3}}});
  p.a.event(SealEvent::Kind::confirm, NodeId{4}, 70);
  sent = p.a.inner.take_sent();
  REQUIRE(sent.size() == 1);
  p.b.inner.receive(sent[0]);
  CHECK(p.b.requests.opens.size() == 1);
  CHECK(p.b.sink.got.empty());
}

TEST_CASE(
    "SE-11 worker: after a renewal both keys open, the new one seals, the old one goes when told") {
  Pair p;
  Bytes old = p.sealed("old");
  p.a.keys(NodeId{4}, 72, 3, 4);
  p.b.keys(NodeId{1}, 72, 4, 3);
  p.a.event(SealEvent::Kind::retired, NodeId{4}, 70);
  Bytes fresh = p.sealed("fresh");
  CHECK(forwarding::seal_stamp(*wire::ServicePacket::parse(fresh))->key.association == 72);
  p.b.inner.receive(fresh);
  p.b.inner.receive(old);
  CHECK(p.b.sink.got.size() == 2);
  p.b.event(SealEvent::Kind::removed, NodeId{1}, 70);
  p.b.inner.receive(old);
  CHECK(p.b.drops(DropReason::unknown_seal) == 1);
}

TEST_CASE("SE-24 worker: where clear is accepted a peer that does not seal is talked to in clear") {
  auto refusal = [](Gateway& g) {
    g.worker.send_frame(NodeId{4}, Bytes{1});
    g.inner.run();
    Bytes frame = g.inner.take_sent().back();
    auto about = wire::ServicePacket::parse(frame);
    return *build_error_packet(*about, NodeId{4}, ErrorCode::unsupported, "does not seal");
  };
  Gateway open(1, Unsealed::accept), strict(1);
  for (Gateway* g : {&open, &strict}) {
    Bytes datagram = packet(1, 4);
    g->worker.originate(datagram);
    g->inner.receive(refusal(*g));
    CHECK(g->sink.got.empty());
  }
  CHECK(open.inner.sent == std::vector<Bytes>{packet(1, 4)});
  CHECK(strict.inner.sent.empty());
}
