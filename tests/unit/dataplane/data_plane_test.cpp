// Nodes 1 - 2 - 3 in a row over loopback sockets, no control plane: neighbours and FIBs are set by hand.
#include <poll.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "dmsc/dataplane/data_plane.hpp"
#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/forwarding/hop_auth.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;
using forwarding::DropReason;

namespace {

constexpr DomainId kDomain{77};
SessionId session_of(std::uint32_t node) { return SessionId{1000 + node}; }

crypto::KeyChain chain() {
  crypto::KeyChain keys;
  keys.add(1, crypto::Key32{9, 9, 9});
  keys.set_active(1);
  return keys;
}

// True as soon as `condition` holds; false after ten seconds.
bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

struct Delivered {
  wire::PacketKind kind{};
  NodeId ingress;
  std::string destination, payload;
  std::vector<NodeId> hops;
  std::optional<wire::ErrorCode> error;
};

struct TestSink : LocalSink {
  std::mutex mutex;
  std::vector<Delivered> got;
  std::atomic<std::size_t> count{0};
  void deliver(wire::ServicePacket& packet, LinkId) override {
    Delivered d;
    d.kind = packet.kind();
    d.ingress = packet.ingress();
    d.destination = packet.destination();
    d.payload = as_text(packet.payload());
    d.hops = packet.recorded_hops();
    if (auto tlv = packet.tlv(wire::HeaderTlv::error)) {
      d.error = static_cast<wire::ErrorCode>(ByteReader(*tlv).u16());
    }
    std::lock_guard lock(mutex);
    got.push_back(d);
    ++count;
  }
  std::optional<ProbeHealth> probe_health(const wire::ServicePacket& probe) override {
    if (probe.instance() == InstanceId{7}) return std::nullopt;
    return ProbeHealth{Health::healthy, 250};
  }
};

struct TestNode {
  std::uint32_t id;
  TestSink sink;
  std::unique_ptr<DataPlane> plane;
  std::map<std::uint32_t, std::vector<std::uint16_t>> ports;  // by link

  TestNode(std::uint32_t node, unsigned workers, std::vector<std::uint32_t> links) : id(node) {
    DataPlaneConfig config;
    config.self = NodeId{node};
    config.domain = kDomain;
    config.session = session_of(node);
    config.workers = workers;
    config.random_seed = node;
    plane = std::move(DataPlane::create(config)).value();
    plane->set_keys(chain());
    for (std::uint32_t link : links) {
      LinkSockets sockets;
      sockets.link = LinkId{link};
      sockets.name = "link-" + std::to_string(link);
      sockets.local = *SocketAddress::parse("127.0.0.1", 0);
      sockets.base_port = 0;
      auto bound = plane->open_link(sockets);
      REQUIRE(bound.ok());
      ports[link] = *bound;
      plane->fib().set_link_alive(link, true);
    }
    plane->start();
    for (Worker* worker : plane->workers()) {
      on(*worker, [this](Worker& w) { w.set_sink(&sink); });
    }
  }
  ~TestNode() { plane->stop(); }

  static void on(Worker& worker, const std::function<void(Worker&)>& task) {
    std::promise<void> done;
    worker.post([&] {
      task(worker);
      done.set_value();
    });
    done.get_future().wait();
  }
  Worker& worker() { return *plane->workers()[0]; }
  void meet(std::uint32_t link, const TestNode& other, std::uint32_t other_link) {
    Neighbour neighbour;
    neighbour.link = LinkId{link};
    neighbour.node = NodeId{other.id};
    neighbour.session = session_of(other.id);
    neighbour.address = *SocketAddress::parse("127.0.0.1", 0);
    neighbour.worker_ports = other.ports.at(other_link);
    plane->set_neighbour(neighbour);
  }
  void route(std::uint32_t to, std::uint32_t link, std::uint32_t neighbour, std::uint32_t distance) {
    plane->fib().set_node(NodeId{to}, {{{link, NodeId{neighbour}}}, std::nullopt, distance});
  }
  std::uint64_t drops(DropReason reason) const {
    return plane->counters().drops[static_cast<std::size_t>(reason)];
  }
  // Ordinary users do not wait: tests want the verdict.
  forwarding::Verdict send(const wire::ServicePacketSpec& spec, std::string_view payload) {
    forwarding::Verdict verdict;
    on(worker(), [&](Worker& w) {
      auto packet = wire::build_service_packet(spec, as_bytes(payload));
      REQUIRE(packet.ok());
      verdict = w.originate(*packet);
    });
    return verdict;
  }
};

struct Row {
  TestNode a, b, c;
  explicit Row(unsigned workers = 1) : a(1, workers, {1}), b(2, workers, {1, 2}), c(3, workers, {1}) {
    a.meet(1, b, 1);
    b.meet(1, a, 1);
    b.meet(2, c, 1);
    c.meet(1, b, 2);
    a.route(2, 1, 2, 10);
    a.route(3, 1, 2, 20);
    b.route(1, 1, 1, 10);
    b.route(3, 2, 3, 10);
    c.route(2, 1, 2, 10);
    c.route(1, 1, 2, 20);
  }
};

wire::ServicePacketSpec request(std::uint32_t from, std::uint32_t to) {
  wire::ServicePacketSpec spec;
  spec.ingress = NodeId{from};
  spec.egress = NodeId{to};
  spec.destination = "B/4";
  spec.source = "A/1";
  spec.exchange = 5;
  spec.flow = 99;
  return spec;
}

ProbeResult probe(TestNode& node, const ProbeSpec& spec) {
  std::promise<ProbeResult> result;
  node.worker().post([&] {
    node.worker().probe(spec, seconds(10), [&](const ProbeResult& r) { result.set_value(r); });
  });
  return result.get_future().get();
}

}  // namespace

TEST_CASE("R42 R43 data plane: a packet moves hop by hop and ends at its egress, every hop recorded") {
  Row row;
  auto spec = request(1, 3);
  spec.flags = wire::kFlagTrace;
  spec.record_slots = 8;
  CHECK(row.a.send(spec, "hello").action == forwarding::Action::forward);
  REQUIRE(eventually([&] { return row.c.sink.count == 1; }));
  CHECK(row.c.sink.got[0].payload == "hello");
  CHECK(row.c.sink.got[0].destination == "B/4");
  CHECK(row.c.sink.got[0].hops == std::vector<NodeId>{NodeId{1}, NodeId{2}, NodeId{3}});
  CHECK(row.b.plane->counters().forwarded == 1);
  CHECK(row.c.plane->counters().delivered == 1);
}

TEST_CASE("R41 data plane: a packet with egress 0 is matched by name at every hop and counted there") {
  Row row;
  Name name = *Name::parse("B/4");
  for (TestNode* node : {&row.a, &row.b, &row.c}) {
    node->plane->fib().set_prefix(
        forwarding::PrefixRoute{name, false, {{NodeId{3}, InstanceId{1}, false, true, 1}}});
  }
  auto spec = request(1, 0);
  CHECK(row.a.send(spec, "x").by_name);
  REQUIRE(eventually([&] { return row.c.sink.count == 1; }));
  CHECK(row.b.plane->counters().by_name == 1);
  CHECK(row.c.plane->counters().by_name == 1);
}

TEST_CASE("D6 data plane: no route in transit costs one counter and sends an error to the source") {
  Row row;
  row.a.route(9, 1, 2, 30);
  row.a.send(request(1, 9), "x");
  REQUIRE(eventually([&] { return row.a.sink.count == 1; }));
  CHECK(row.a.sink.got[0].kind == wire::PacketKind::error);
  CHECK(row.a.sink.got[0].error == wire::ErrorCode::egress_unreachable);
  CHECK(row.a.sink.got[0].ingress == NodeId{2});  // who reports
  CHECK(row.b.drops(DropReason::egress_unreachable) == 1);
}

TEST_CASE("D6 data plane: at the source the verdict is the answer, no error packet is made") {
  Row row;
  auto verdict = row.a.send(request(1, 8), "x");
  CHECK(verdict.action == forwarding::Action::drop);
  CHECK(verdict.reason == DropReason::egress_unreachable);
  CHECK(row.a.plane->counters().errors_sent == 0);
}

TEST_CASE("D6 F6 data plane: hop limit expiry is reported by the node where it expired") {
  Row row;
  ProbeSpec spec;
  spec.egress = NodeId{3};
  spec.hop_limit = 1;
  spec.trace = true;
  auto result = probe(row.a, spec);
  CHECK(result.outcome == ProbeResult::Outcome::error);
  CHECK(result.error == wire::ErrorCode::hop_limit);
  CHECK(result.responder == NodeId{2});
}

TEST_CASE("D8 D9 data plane: a probe is answered by the egress with health, stamps and both paths") {
  Row row;
  ProbeSpec spec;
  spec.egress = NodeId{3};
  spec.destination = "B/4";
  spec.record_slots = 8;
  auto result = probe(row.a, spec);
  REQUIRE(result.outcome == ProbeResult::Outcome::answered);
  CHECK(result.responder == NodeId{3});
  CHECK(result.health.health == Health::healthy);
  CHECK(result.health.load_permille == 250);
  CHECK(result.round_trip > Duration::zero());
  CHECK(result.path == std::vector<NodeId>{NodeId{1}, NodeId{2}, NodeId{3}});
  CHECK(result.return_path == std::vector<NodeId>{NodeId{3}, NodeId{2}, NodeId{1}});
}

TEST_CASE("D10 data plane: a probe for an instance that is not there brings no_instance") {
  Row row;
  ProbeSpec spec;
  spec.egress = NodeId{3};
  spec.destination = "B/4";
  spec.instance = InstanceId{7};
  auto result = probe(row.a, spec);
  CHECK(result.outcome == ProbeResult::Outcome::error);
  CHECK(result.error == wire::ErrorCode::no_instance);
}

TEST_CASE("D7 data plane: a node without pods answers requests with no_instance") {
  Row row;
  TestNode::on(row.b.worker(), [](Worker& w) { w.set_sink(nullptr); });
  row.a.send(request(1, 2), "x");
  REQUIRE(eventually([&] { return row.a.sink.count == 1; }));
  CHECK(row.a.sink.got[0].error == wire::ErrorCode::no_instance);
}

TEST_CASE("D3 data plane: a wrong hop tag is dropped and counted, before anything else is believed") {
  Row row;
  TestNode::on(row.a.worker(), [](Worker&) {});
  row.a.plane->set_keys([] {
    crypto::KeyChain keys;
    keys.add(1, crypto::Key32{1, 2, 3});
    keys.set_active(1);
    return keys;
  }());
  row.a.send(request(1, 3), "x");
  CHECK(eventually([&] { return row.b.drops(DropReason::bad_tag) >= 1; }));
  CHECK(row.b.plane->counters().errors_sent == 0);
  CHECK(row.c.sink.count == 0);
}

TEST_CASE("D3 data plane: a key id that is not in the chain is counted as bad_key") {
  Row row;
  row.a.plane->set_keys([] {
    crypto::KeyChain keys;
    keys.add(5, crypto::Key32{9, 9, 9});
    keys.set_active(5);
    return keys;
  }());
  row.a.send(request(1, 3), "x");
  CHECK(eventually([&] { return row.b.drops(DropReason::bad_key) >= 1; }));
}

TEST_CASE("D3 data plane: packets from addresses that are no neighbour's are dropped unread") {
  Row row;
  auto fd = open_udp(*SocketAddress::parse("127.0.0.1", 0), {});
  REQUIRE(fd.ok());
  auto to = SocketAddress::parse("127.0.0.1", row.b.ports[1][0]);
  auto packet = wire::build_service_packet(request(1, 3), {});
  REQUIRE(::sendto(fd->get(), packet->data(), packet->size(), 0, to->data(), to->size()) > 0);
  CHECK(eventually([&] { return row.b.drops(DropReason::not_neighbour) == 1; }));
  CHECK(row.b.drops(DropReason::bad_tag) == 0);
}

TEST_CASE("D3 data plane: a copied packet is a replay, garbage of a neighbour is malformed") {
  // Node 1 is played by hand, so that the very same bytes can be sent twice.
  TestNode b(2, 1, {1});
  auto fd = open_udp(*SocketAddress::parse("127.0.0.1", 0), {});
  REQUIRE(fd.ok());
  Neighbour neighbour;
  neighbour.link = LinkId{1};
  neighbour.node = NodeId{1};
  neighbour.session = session_of(1);
  neighbour.address = *SocketAddress::parse("127.0.0.1", 0);
  neighbour.worker_ports = {local_address(fd->get())->port()};
  b.plane->set_neighbour(neighbour);
  auto to = SocketAddress::parse("127.0.0.1", b.ports[1][0]);
  auto bytes = wire::build_service_packet(request(1, 2), as_bytes("once"));
  auto packet = wire::ServicePacket::parse(*bytes);
  auto key = forwarding::derive_hop_key(crypto::Key32{9, 9, 9}, kDomain, NodeId{1}, NodeId{2},
                                        session_of(1), session_of(2));
  forwarding::seal_hop(*packet, key, 1, 0, 1);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(::sendto(fd->get(), bytes->data(), bytes->size(), 0, to->data(), to->size()) > 0);
  }
  REQUIRE(::sendto(fd->get(), "garbage", 7, 0, to->data(), to->size()) > 0);
  CHECK(eventually([&] { return b.drops(DropReason::replay) == 1; }));
  CHECK(eventually([&] { return b.drops(DropReason::malformed) == 1; }));
  CHECK(b.sink.count == 1);
}

TEST_CASE("D3 data plane: a lost neighbour takes nothing, and its packets are no longer accepted") {
  Row row;
  row.b.plane->clear_neighbour(LinkId{1});
  row.a.send(request(1, 3), "x");
  CHECK(eventually([&] { return row.b.drops(DropReason::not_neighbour) >= 1; }));
  row.a.plane->clear_neighbour(LinkId{1});
  TestNode::on(row.a.worker(), [](Worker&) {});
  CHECK(row.a.send(request(1, 3), "x").reason == DropReason::link_down);
}

TEST_CASE("D12 D13 data plane: the link's own probe sees the data path alive, then dead") {
  Row row;
  auto path = [&] {
    for (const LinkStats& s : row.a.plane->link_stats()) return s.path;
    return PathState{};
  };
  REQUIRE(eventually([&] { return path().answered >= 1; }));
  CHECK(path().usable);
  CHECK(path().round_trip > Duration::zero());
  row.b.plane->clear_neighbour(LinkId{1});  // the far end stays silent, the near end does not know
  REQUIRE(eventually([&] { return !path().usable; }));
  row.b.meet(1, row.a, 1);
  CHECK(eventually([&] { return path().usable; }));
}

TEST_CASE("D14 data plane: a train of one's own leaves as its packets would, with one decision for all") {
  Row row;
  std::vector<Bytes> memory;
  for (const char* payload : {"one of", "them is", "last"}) {
    Bytes datagram = *wire::build_service_packet(request(1, 3), as_bytes(payload));
    memory.push_back(Bytes(Worker::kTrainHeadroom));
    memory.back().insert(memory.back().end(), datagram.begin(), datagram.end());
    memory.back().resize(memory.back().size() + Worker::kTrainTailroom);
  }
  auto send = [&] {
    std::vector<std::span<std::uint8_t>> train;
    for (Bytes& m : memory) {
      train.push_back(std::span(m).subspan(Worker::kTrainHeadroom, m.size() - Worker::kTrainHeadroom -
                                                                       Worker::kTrainTailroom));
    }
    forwarding::Verdict verdict;
    TestNode::on(row.a.worker(), [&](Worker& w) {
      verdict = w.originate_train(train);
      w.flush();
    });
    return verdict;
  };
  CHECK(send().action == forwarding::Action::forward);
  REQUIRE(eventually([&] { return row.c.sink.count == 3; }));
  std::vector<std::string> payloads;
  for (const Delivered& d : row.c.sink.got) payloads.push_back(d.payload);
  CHECK(payloads == std::vector<std::string>{"one of", "them is", "last"});
  CHECK(row.a.plane->counters().originated == 3);
  row.a.plane->clear_neighbour(LinkId{1});
  CHECK(send().reason == DropReason::link_down);
  CHECK(row.a.plane->counters().originated == 6);
  CHECK(row.a.drops(DropReason::link_down) == 3);
}

TEST_CASE("D2 data plane: with several workers a flow and its answer meet the same one") {
  Row row(3);
  for (Worker* worker : row.a.plane->workers()) {
    std::promise<std::pair<ProbeResult, bool>> result;
    worker->post([&] {
      ProbeSpec spec;
      spec.egress = NodeId{3};
      auto asked_by = std::this_thread::get_id();
      worker->probe(spec, seconds(10), [&, asked_by](const ProbeResult& r) {
        result.set_value({r, asked_by == std::this_thread::get_id()});
      });
    });
    auto [answer, same_thread] = result.get_future().get();
    CHECK(answer.outcome == ProbeResult::Outcome::answered);
    CHECK(same_thread);
  }
  CHECK(row.a.drops(DropReason::replay) + row.b.drops(DropReason::replay) == 0);
}

TEST_CASE("D5 data plane: a datagram over the link's MTU is refused as too_big") {
  Row row;
  auto verdict = row.a.send(request(1, 3), std::string(1500, 'x'));
  CHECK(verdict.reason == DropReason::too_big);
}

TEST_CASE("D15 data plane: packets in are packets out, delivered, ended or dropped, at every node") {
  Row row;
  auto settled = [](const TestNode& node) {
    return eventually([&] { return node.plane->counters().unaccounted() == 0; });
  };
  row.a.route(9, 1, 2, 30);
  for (std::uint32_t to : {3, 2, 9, 8, 1}) row.a.send(request(1, to), "x");
  ProbeSpec spec;
  spec.egress = NodeId{3};
  CHECK(probe(row.a, spec).outcome == ProbeResult::Outcome::answered);
  auto fd = open_udp(*SocketAddress::parse("127.0.0.1", 0), {});
  auto to = SocketAddress::parse("127.0.0.1", row.b.ports[1][0]);
  REQUIRE(::sendto(fd->get(), "who?", 4, 0, to->data(), to->size()) > 0);
  REQUIRE(eventually([&] { return row.b.drops(DropReason::not_neighbour) == 1; }));
  TestNode::on(row.b.worker(), [](Worker& w) {
    Bytes garbage(3);
    w.originate(garbage);
    w.count_drop(DropReason::unsealed);
  });
  for (const TestNode* node : {&row.a, &row.b, &row.c}) CHECK(settled(*node));
  CHECK(row.a.plane->counters().ended > 0);
  CHECK(row.c.plane->counters().ended > 0);
  CHECK(row.b.plane->counters().dropped() == 4);  // no route to 9, nobody's, malformed, and the sink's
  CHECK(row.b.plane->counters().drops_elsewhere == 1);
}
