// docs/protocol.md, "Drain".
#include "dmsc/linkstate/auth.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

constexpr std::uint32_t kLargest = (1U << 24) - 1;

// What `at` holds of the Node LSA of node id `origin`.
wire::NodeBody node_lsa(Net& net, int at, std::uint32_t origin) {
  auto lsa = net[at].engine.find({NodeId{origin}, wire::LsaType::node, 0});
  REQUIRE(lsa != nullptr);
  return *wire::decode_node_body(lsa->body());
}

bool usable(const wire::Adjacency& a) { return (a.flags & wire::kAdjacencyUsable) != 0; }

}  // namespace

TEST_CASE("DR1 drain: a softly drained node has the largest metric on every link and stays transit") {
  Net net = Net::line(3);
  net.run(seconds(2));
  net[1].engine.set_drain(net.now, DrainLevel::soft);
  net.run(milliseconds(50));
  wire::NodeBody body = node_lsa(net, 0, 2);
  REQUIRE(body.adjacencies.size() == 2);
  for (const wire::Adjacency& a : body.adjacencies) {
    CHECK(a.metric == kLargest);
    CHECK(usable(a));
  }
  CHECK_FALSE(body.overload);
  CHECK(node_lsa(net, 0, 1).adjacencies[0].metric == 10);  // towards it nothing changes
  net[1].engine.set_drain(net.now, DrainLevel::none);
  net.run(milliseconds(400));
  CHECK(node_lsa(net, 0, 2).adjacencies[0].metric == 10);
}

TEST_CASE("DR2 drain: a hard drained node is out of transit and its adjacencies stay") {
  Net net = Net::line(3);
  net.run(seconds(2));
  net[1].engine.set_drain(net.now, DrainLevel::hard);
  net.run(milliseconds(50));
  wire::NodeBody body = node_lsa(net, 0, 2);
  CHECK(body.overload);
  REQUIRE(body.adjacencies.size() == 2);
  CHECK(usable(body.adjacencies[0]));
  CHECK(net[1].state(1) == AdjacencyState::up);
  CHECK(net[1].state(2) == AdjacencyState::up);
}

TEST_CASE("DR3 drain: a softly drained link has the largest metric both ways, also over its loss") {
  Net net = Net::line(3);
  net.run(seconds(2));
  net[1].engine.set_link_drain(net.now, LinkId{2}, DrainLevel::soft);
  net.run(milliseconds(50));
  CHECK(node_lsa(net, 0, 2).adjacencies[0].metric == 10);
  CHECK(node_lsa(net, 0, 2).adjacencies[1].metric == kLargest);
  CHECK(usable(node_lsa(net, 0, 2).adjacencies[1]));
  CHECK(node_lsa(net, 0, 3).adjacencies[0].metric == kLargest);
  CHECK(net[1].view(2).drain == DrainLevel::soft);
  CHECK(net[2].view(1).neighbour_drains);
  // The neighbour restarts and knows nothing: the next hello tells it.
  net.restart(2, 5);
  net.until([&] { return net[2].state(1) == AdjacencyState::up; });
  net.run(seconds(2));
  CHECK(node_lsa(net, 0, 3).adjacencies[0].metric == kLargest);
  net[1].engine.set_link_drain(net.now, LinkId{2}, DrainLevel::none);
  net.run(milliseconds(400));
  CHECK(node_lsa(net, 0, 2).adjacencies[1].metric == 10);
  CHECK(node_lsa(net, 0, 3).adjacencies[0].metric == 10);
}

TEST_CASE("DR3 drain: the neighbour hears of it although hellos are lost") {
  Net net = Net::line(2);
  net.run(seconds(12));  // settled: a hello a second
  int hellos = 0;
  net.deliver = [&](Packet& p) {
    auto opened = wire::open_pdu(p.datagram, *ControlKeys(chain({1}, 1), DomainId{7}).active());
    bool hello = p.from == 0 && opened.ok() && opened->header.type == wire::PduType::hello;
    return !hello || ++hellos > 1;
  };
  net[0].engine.set_link_drain(net.now, LinkId{1}, DrainLevel::soft);
  net.run(milliseconds(1200));
  CHECK(node_lsa(net, 0, 2).adjacencies[0].metric == kLargest);
}

TEST_CASE("DR4 drain: a hard drained link is unusable at once and its adjacency stays up") {
  Net net = Net::line(3);
  net.run(seconds(2));
  net[1].engine.set_link_drain(net.now, LinkId{2}, DrainLevel::hard);
  net.run(milliseconds(20));
  wire::NodeBody body = node_lsa(net, 0, 2);
  REQUIRE(body.adjacencies.size() == 2);
  CHECK(usable(body.adjacencies[0]));
  CHECK_FALSE(usable(body.adjacencies[1]));
  CHECK(net[1].state(2) == AdjacencyState::up);
  // A measured-good data path does not bring it back; only the operator does.
  net[1].engine.set_link_quality(net.now, LinkId{2}, 0, false);
  net[1].engine.set_link_quality(net.now, LinkId{2}, 0, true);
  net.run(seconds(1));
  CHECK_FALSE(usable(node_lsa(net, 0, 2).adjacencies[1]));
}

TEST_CASE("DR5 drain: no other link ever has the largest metric, whatever is configured or biased") {
  Net net;
  net.add();
  net.add();
  net.join(0, 1, [](LinkConfig& c) { c.metric = kLargest; });
  net.run(seconds(2));
  net[1].engine.set_metric_bias(net.now, LinkId{1}, ~0U);
  net.run(milliseconds(400));
  CHECK(node_lsa(net, 0, 1).adjacencies[0].metric == kLargest - 1);
  CHECK(node_lsa(net, 0, 2).adjacencies[0].metric == kLargest - 1);
}

TEST_CASE("DR6 drain: each step is one origination, and level again none") {
  Net net = Net::line(3);
  net.run(seconds(2));
  auto originated = [&] { return net[1].engine.counters().originated; };
  std::uint64_t before = originated();
  net[1].engine.set_drain(net.now, DrainLevel::soft);
  net[1].engine.set_drain(net.now, DrainLevel::soft);
  net.run(milliseconds(100));
  CHECK(originated() == before + 1);
  net[1].engine.set_drain(net.now, DrainLevel::hard);
  net.run(milliseconds(100));
  CHECK(originated() == before + 2);
}
