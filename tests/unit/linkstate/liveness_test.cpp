// docs/protocol.md, "Liveness" (LS-V1 to LS-V5), and what of a link is told.
#include <set>

#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

wire::PduType type_of(const Packet& p) { return static_cast<wire::PduType>(p.datagram[1]); }

// What node `at` holds of node `origin`'s Node LSA, fragment 0.
wire::NodeBody node_lsa(Net& net, int at, std::uint32_t origin) {
  auto lsa = net[at].engine.find({NodeId{origin}, wire::LsaType::node, 0});
  if (lsa == nullptr) return {};
  auto body = wire::decode_node_body(lsa->body());
  REQUIRE(body.ok());
  return *body;
}

std::uint64_t random_next(std::uint64_t& state) {
  state = state * 6364136223846793005ULL + 1442695040888963407ULL;
  return state >> 33;
}

}  // namespace

TEST_CASE("LS-V1 the slower side's interval and the larger multiplier rule") {
  Net net;
  net.add();
  net.add();
  net.join(0, 1);
  LinkConfig slow;
  slow.id = LinkId{1};
  slow.liveness = {milliseconds(200), 10};
  slow.data.worker_ports = {7402};
  net[1].engine.change_link(net.now, slow);
  net.run(seconds(2));
  std::uint64_t before = net[0].engine.counters().keepalives_out;
  net.run(seconds(10));
  std::uint64_t sent = net[0].engine.counters().keepalives_out - before;
  CHECK(sent >= 50);
  CHECK(sent <= 67);
  net.deliver = [](Packet& p) { return p.from == 0; };
  net.run(milliseconds(1700));
  CHECK(net[0].state() == AdjacencyState::up);
  net.run(milliseconds(400));
  CHECK(net[0].state() != AdjacencyState::up);
}

TEST_CASE("LS-V2 silence takes an adjacency down within 300 ms") {
  Net net = Net::line(2);
  net.run(seconds(2));
  net.deliver = [](Packet&) { return false; };
  Time start = net.now;
  net.until([&] { return net[0].state() != AdjacencyState::up; }, milliseconds(301));
  CHECK(net.now - start > milliseconds(240));
  CHECK(net[0].adjacency_log.back() == "down hold time expired");
}

TEST_CASE("LS-V6 time in which this node did not run is no silence of its neighbours") {
  Net net = Net::line(2);
  net.run(seconds(2));
  net.pause(milliseconds(700));  // the whole machine stood still: nobody sent, and nobody listened
  net.run(seconds(1));
  CHECK(net[0].adjacency_log == std::vector<std::string>{"up n2"});
  CHECK(net[1].adjacency_log == std::vector<std::string>{"up n1"});
  // A neighbour that is silent from then on is noticed in time all the same.
  net.pause(milliseconds(700));
  net.deliver = [](Packet&) { return false; };
  Time start = net.now;
  net.until([&] { return net[0].state() != AdjacencyState::up; }, milliseconds(360));
  CHECK(net.now - start > milliseconds(200));
}

TEST_CASE("LS-V2 one per cent of loss takes no adjacency down") {
  Net net = Net::line(2);
  std::uint64_t state = 7;
  net.deliver = [&](Packet&) { return random_next(state) % 100 != 0; };
  net.run(minutes(20));
  CHECK(net[0].adjacency_log == std::vector<std::string>{"up n2"});
  CHECK(net[1].adjacency_log == std::vector<std::string>{"up n1"});
  CHECK(net[0].view().loss < 0.05);
}

TEST_CASE("LS-V3 round trip and loss are measured, and told with hysteresis") {
  Net net;
  net.delay = milliseconds(7);
  net.add();
  net.add();
  net.join(0, 1, [](LinkConfig& c) { c.metric = 0; });
  net.run(seconds(5));
  CHECK(net[0].view().rtt == milliseconds(14));
  wire::NodeBody body = node_lsa(net, 1, 1);
  REQUIRE(body.adjacencies.size() == 1);
  CHECK(body.adjacencies[0].metric == 700);
  CHECK(body.adjacencies[0].delay_us == 7000);
  std::uint64_t originated = net[0].engine.counters().originated;
  net.delay = microseconds(7300);  // within an eighth: not worth a word
  net.run(seconds(60));
  CHECK(net[0].engine.counters().originated == originated);
  net.delay = milliseconds(20);
  net.run(seconds(10));
  CHECK(node_lsa(net, 1, 1).adjacencies[0].metric > 1700);
  int n = 0;
  net.deliver = [&](Packet& p) { return type_of(p) != wire::PduType::keepalive || ++n % 5 != 0; };
  net.run(seconds(30));
  CHECK(net[0].view().loss > 0.15);
  CHECK(net[0].view().loss < 0.25);
}

TEST_CASE("LS-V4 a hint on a dead link takes it down after three polls") {
  Net net = Net::line(2);
  net.run(seconds(2));
  net.deliver = [](Packet&) { return false; };
  net.run(milliseconds(2));  // what was on its way would answer
  net[0].engine.link_hint(net.now, LinkId{1});
  Time start = net.now;
  net.until([&] { return net[0].state() != AdjacencyState::up; }, milliseconds(40));
  CHECK(net.now - start >= milliseconds(8));
  CHECK(net[0].adjacency_log.back() == "down rapid polls unanswered");
}

TEST_CASE("LS-V4 a hint on a live link changes nothing") {
  Net net = Net::line(2);
  net.run(seconds(2));
  for (int i = 0; i < 50; ++i) {
    net[0].engine.link_hint(net.now, LinkId{1});
    net.run(milliseconds(13));
  }
  CHECK(net[0].adjacency_log.size() == 1);
}

TEST_CASE("LS-V5 the path MTU is found between 1,280 bytes and what the interfaces say") {
  for (std::size_t limit : {1280u, 1333u, 1400u, 4000u, 8999u}) {
    Net net;
    net.add();
    net.add();
    net.join(0, 1, [](LinkConfig& c) { c.data.mtu = 9000; });
    net.deliver = [&](Packet& p) { return p.datagram.size() <= limit; };
    net.run(seconds(15));
    CHECK(net[0].view().path_mtu == limit);
    CHECK(net[1].view().path_mtu == limit);
  }
}

TEST_CASE("LS-O4 metric, bias, quality and overload are told") {
  Net net = Net::line(2);
  net.run(seconds(2));
  net[0].engine.set_metric_bias(net.now, LinkId{1}, 90);
  net[0].engine.set_link_quality(net.now, LinkId{1}, 5'000'000, false);
  net[0].engine.set_overload(net.now, true);
  net.run(milliseconds(400));
  wire::NodeBody body = node_lsa(net, 1, 1);
  CHECK(body.overload);
  CHECK(body.adjacencies.at(0).metric == 100);
  CHECK(body.adjacencies.at(0).bandwidth_bps == 5'000'000);
  CHECK((body.adjacencies.at(0).flags & wire::kAdjacencyUsable) == 0);
  net[0].engine.set_metric_bias(net.now, LinkId{1}, 0);
  net[0].engine.set_link_quality(net.now, LinkId{1}, 5'000'000, true);
  net[0].engine.set_overload(net.now, false);
  net.run(seconds(1));
  body = node_lsa(net, 1, 1);
  CHECK_FALSE(body.overload);
  CHECK(body.adjacencies.at(0).metric == 10);
  CHECK((body.adjacencies.at(0).flags & wire::kAdjacencyUsable) != 0);
}

TEST_CASE("R17 R18 the LSA carries prefixes and links, each with the interface it is on") {
  Net net = Net::line(3);
  wire::PrefixEntry entry = prefix("A/1");
  entry.interface = 4;
  net[0].engine.set_prefixes(net.now, {entry});
  net.run(seconds(2));
  wire::NodeBody middle = node_lsa(net, 0, 2);
  REQUIRE(middle.adjacencies.size() == 2);
  CHECK(middle.adjacencies[0].link == 1);
  CHECK(middle.adjacencies[0].neighbour == NodeId{1});
  CHECK(middle.adjacencies[1].link == 2);
  CHECK(middle.adjacencies[1].neighbour == NodeId{3});
  CHECK(middle.adjacencies[1].neighbour_link == 1);
  auto lsa = net[2].engine.find({NodeId{1}, wire::LsaType::prefix, 0});
  REQUIRE(lsa != nullptr);
  CHECK(wire::decode_prefix_body(lsa->body())->entries.at(0) == entry);
}

TEST_CASE("R19 R20 R21 sequence numbers, ageing and reliable flooding lead all to one view") {
  Net net = Net::line(4);
  net.join(0, 3);
  int n = 0;
  net.deliver = [&](Packet&) { return ++n % 7 != 0; };
  for (int i = 0; i < 4; ++i) {
    net[i].engine.set_prefixes(net.now, {prefix("A/" + std::to_string(i + 1))});
  }
  net.until([&] { return net.equal_databases() && net[2].engine.lsa_count() == 12; }, seconds(5));
  for (auto& node : net.nodes) {
    for (std::uint32_t origin = 1; origin <= 4; ++origin) {
      CHECK(node->engine.find({NodeId{origin}, wire::LsaType::prefix, 0}) != nullptr);
    }
  }
}

TEST_CASE("LS-V7 the keepalives of a node's links leave together: one instant for three and more") {
  Net net;
  net.add();
  for (int i = 0; i < 12; ++i) {
    net.add();
    net.join(0, i + 1);
    net.run(milliseconds(17));  // they come up at different instants
  }
  net.run(seconds(5));
  std::set<Time> instants;
  std::uint64_t keepalives = 0;
  net.deliver = [&](Packet& p) {
    if (p.from == 0 && type_of(p) == wire::PduType::keepalive) {
      ++keepalives;
      instants.insert(net.now);
    }
    return true;
  };
  net.run(seconds(10));
  CHECK(keepalives >= 12 * 200);
  CHECK(instants.size() * 3 < keepalives);
  CHECK(keepalives <= 12 * 250);  // no more often for it
  for (std::uint32_t link = 1; link <= 12; ++link) CHECK(net[0].state(link) == AdjacencyState::up);
}

TEST_CASE("LS-V7 a keepalive is made in the memory of one that was sent: the engine allocates none") {
  Net net = Net::line(2);
  net.run(seconds(3));
  Engine& engine = net[0].engine;
  Outputs outputs;
  engine.poll(outputs);
  std::set<const std::uint8_t*> given;
  for (int i = 0; i < 3; ++i) {
    Bytes buffer(512);
    given.insert(buffer.data());
    engine.recycle(std::move(buffer));
  }
  std::uint64_t reused = 0;
  for (int i = 0; i < 50; ++i) {
    Time due = *engine.next_deadline();
    engine.tick(due);
    engine.poll(outputs);
    for (Output& output : outputs) {
      auto* sent = std::get_if<Transmit>(&output);
      if (sent == nullptr) continue;
      REQUIRE(given.count(sent->datagram.data()) == 1);
      ++reused;
      engine.recycle(std::move(sent->datagram));
    }
    if (net[0].state() != AdjacencyState::up) break;
  }
  CHECK(reused >= 5);  // until the silence of the neighbour is noticed
}

namespace {

// Keepalives that are no poll wait in a socket until somebody looks; packets of other kinds do not.
struct LateReader {
  explicit LateReader(Net& n) : net(n) {
    net.deliver = [this](Packet& p) {
      if (type_of(p) != wire::PduType::keepalive || p.datagram[wire::kPduHeaderBytes] != 0) return true;
      waiting.emplace_back(net.now + net.delay, p);
      return false;
    };
  }
  void read() {
    for (auto& [arrived, p] : std::exchange(waiting, {})) {
      if (arrived > net.now) {
        waiting.emplace_back(arrived, std::move(p));
      } else {
        net[p.to].engine.receive(net.now, p.link, p.datagram, net.now - arrived);
        net.drain(p.to);
      }
    }
  }
  void run(Duration time) {
    for (Time end = net.now + time; net.now < end;) {
      net.run(milliseconds(45));
      read();
    }
  }
  Net& net;
  std::vector<std::pair<Time, Packet>> waiting;
};

}  // namespace

TEST_CASE("LS-V8 keepalives looked at late count from their arrival: round trip, loss, hold time") {
  Net net = Net::line(2);
  LateReader late(net);
  late.run(minutes(1));
  for (int i : {0, 1}) {
    CHECK(net[i].adjacency_log.size() == 1);
    CHECK(net[i].view().rtt == milliseconds(2));
    CHECK(net[i].view().jitter == Duration::zero());
    CHECK(net[i].view().loss == 0);
  }
  net.deliver = [](Packet&) { return false; };
  Time cut = net.now;
  net.until([&] { return net[0].state() != AdjacencyState::up && net[1].state() != AdjacencyState::up; },
            milliseconds(350));
  CHECK(net.now - cut >= milliseconds(200));
}

TEST_CASE("LS-V8 a keepalive that arrived before a hint answers no poll") {
  Net net = Net::line(2);
  LateReader late(net);
  late.run(seconds(2));
  net.run(milliseconds(60));  // something waits
  REQUIRE_FALSE(late.waiting.empty());
  net.deliver = [](Packet&) { return false; };
  net[0].engine.link_hint(net.now, LinkId{1});
  net.run(milliseconds(1));
  late.read();
  net.until([&] { return net[0].state() != AdjacencyState::up; }, milliseconds(40));
  CHECK(net[0].adjacency_log.back() == "down rapid polls unanswered");
}
