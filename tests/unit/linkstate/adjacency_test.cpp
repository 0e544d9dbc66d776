// docs/protocol.md, "Adjacency" (rules A1-A9) and "Authentication" (S1-S6).
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

wire::PduType type_of(const Packet& p) { return static_cast<wire::PduType>(p.datagram[1]); }

bool both_up(Net& net) {
  return net[0].state() == AdjacencyState::up && net[1].state() == AdjacencyState::up;
}

}  // namespace

TEST_CASE("LS-A1 two nodes come up within a few round trips") {
  Net net = Net::line(2);
  net.until([&] { return both_up(net); }, milliseconds(20));
  CHECK(net[0].adjacency_log == std::vector<std::string>{"up n2"});
  CHECK(net[1].adjacency_log == std::vector<std::string>{"up n1"});
  NeighbourView v = net[0].view();
  CHECK(v.neighbour == NodeId{2});
  CHECK(v.data.worker_ports == std::vector<std::uint16_t>{7402});
  CHECK(v.session == net[1].config.session);
}

TEST_CASE("LS-A2 the handshake survives the loss of any one packet") {
  for (int lost = 0; lost < 12; ++lost) {
    Net net = Net::line(2);
    int count = 0;
    net.deliver = [&](Packet&) { return count++ != lost; };
    net.until([&] { return both_up(net); }, milliseconds(300));
    net.run(seconds(2));
    CHECK(both_up(net));
    CHECK(net.equal_databases());
  }
}

TEST_CASE("LS-A3 every pair of states makes progress, also with one hello lost") {
  // Bring each side to one of the four states by cutting one or both directions for a while.
  for (int cut = 0; cut < 4; ++cut) {
    for (int ms = 0; ms < 500; ms += 37) {
      for (int lost = 0; lost < 3; ++lost) {
        Net net = Net::line(2);
        bool block = true;
        int later = 0;
        net.deliver = [&](Packet& p) {
          if (block) return (cut & (p.from + 1)) == 0;
          return type_of(p) != wire::PduType::hello || later++ != lost;
        };
        net.run(milliseconds(ms));
        block = false;
        net.until([&] { return both_up(net); }, milliseconds(700));
      }
    }
  }
}

TEST_CASE("LS-A4 one-way connectivity never comes up") {
  Net net = Net::line(2);
  net.deliver = [](Packet& p) { return p.from == 0; };
  net.run(seconds(5));
  CHECK(net[0].state() == AdjacencyState::down);
  CHECK(net[1].state() == AdjacencyState::init);
  CHECK(net[1].adjacency_log.empty());
}

TEST_CASE("LS-A5 a hello of another session changes nothing until it has echoed our nonce") {
  Net net = Net::line(2);
  std::vector<Packet> old;
  net.deliver = [&](Packet& p) {
    if (p.from == 1) old.push_back(p);
    return true;
  };
  net.run(seconds(1));
  std::size_t recorded = old.size();
  net.restart(1, net[1].epoch);
  net.until([&] { return both_up(net); });
  net.run(seconds(1));
  auto log = net[0].adjacency_log;
  CHECK(log == std::vector<std::string>{"up n2", "down neighbour restarted", "up n2"});
  for (std::size_t i = 0; i < recorded; ++i) net.inject(old[i], milliseconds(1));
  net.run(seconds(2));
  CHECK(net[0].adjacency_log == log);
  CHECK(both_up(net));
}

TEST_CASE("LS-A6 a restarted neighbour is up again within 100 ms, long before its hold time") {
  Net net = Net::line(2);
  net.run(seconds(3));
  net.restart(1, net[1].epoch);
  Time start = net.now;
  net.until([&] { return net[1].state() == AdjacencyState::up && both_up(net); }, milliseconds(100));
  CHECK(net.now - start < milliseconds(100));
}

TEST_CASE("LS-A7 a neighbour that lost us is noticed by its next hello") {
  Net net = Net::line(2);
  net.run(seconds(2));
  // Only node 1's packets are lost for long enough that node 0 gives up first.
  net.deliver = [&](Packet& p) { return p.from == 0; };
  net.until([&] { return net[0].state() != AdjacencyState::up; });
  net.run(milliseconds(10));
  CHECK(net[1].adjacency_log.back() == "down neighbour lost the adjacency");
  net.deliver = {};
  net.until([&] { return both_up(net); }, milliseconds(200));
}

TEST_CASE("LS-A8 a wrong neighbour name is refused and named") {
  Net net;
  net.add();
  net.add();
  net.join(0, 1, [](LinkConfig& c) { c.peer_name = "n9"; });
  net.run(seconds(2));
  CHECK(net[0].state() == AdjacencyState::down);
  REQUIRE(net[0].misbehaviour.size() == 1);  // rate limited
  CHECK(net[0].misbehaviour[0] == "wrong neighbour: expected n9, heard n2");
}

TEST_CASE("LS-A8 a reflected packet is refused and named") {
  Net net = Net::line(2);
  net.deliver = [&](Packet& p) {
    if (p.from == 0) {
      p.to = 0;
      p.link = LinkId{1};
    }
    return true;
  };
  net.run(seconds(1));
  CHECK(net[0].state() != AdjacencyState::up);
  CHECK(net[0].misbehaviour[0] == "own packet reflected");
}

TEST_CASE("LS-A8 a hello of another domain is refused") {
  Net net;
  net.add();
  net.add([](EngineConfig& c) { c.domain = DomainId{8}; });
  net.join(0, 1);
  net.run(seconds(1));
  CHECK(net[0].state() == AdjacencyState::down);
  CHECK(net[0].engine.counters().auth_failures > 0);  // the key is derived per domain
}

TEST_CASE("LS-A9 interface down acts at once, goodbye reaches the neighbour at once") {
  Net net = Net::line(3);
  net.run(seconds(2));
  net[1].engine.interface_state(net.now, LinkId{1}, false);
  net.run(milliseconds(0));
  CHECK(net[1].adjacency_log.back() == "down interface down");
  net[1].engine.shutdown(net.now);
  net.run(milliseconds(5));
  CHECK(net[2].adjacency_log.back() == "down closed by peer: shutting down");
  CHECK(net[2].state() != AdjacencyState::up);
}

TEST_CASE("LS-S1 a wrong key or an unknown key id never forms an adjacency") {
  for (auto other : {chain({2}, 2), [] {
         crypto::KeyChain wrong;
         wrong.add(1, seed(99));
         wrong.set_active(1);
         return wrong;
       }()}) {
    Net net;
    net.add();
    net.add([&](EngineConfig& c) { c.keys = other; });
    net.join(0, 1);
    net.run(seconds(2));
    CHECK(net[0].state() == AdjacencyState::down);
    CHECK(net[1].state() == AdjacencyState::down);
    CHECK(net[0].engine.counters().auth_failures > 0);
    CHECK(net[0].misbehaviour.size() == 1);
  }
}

TEST_CASE("LS-S2 an empty key chain refuses everything and sends nothing") {
  Net net;
  net.add([](EngineConfig& c) { c.keys = {}; });
  net.add();
  net.join(0, 1);
  net.run(seconds(2));
  CHECK(net[0].engine.counters().packets_out == 0);
  CHECK(net[0].state() == AdjacencyState::down);
}

TEST_CASE("LS-S3 keys rotate without dropping a packet") {
  Net net = Net::line(2);
  net.run(seconds(1));
  std::uint64_t before = net[0].engine.counters().auth_failures;
  net[0].engine.set_keys(net.now, chain({1, 2}, 1));
  net.run(milliseconds(300));
  net[1].engine.set_keys(net.now, chain({1, 2}, 2));
  net.run(milliseconds(300));
  net[0].engine.set_keys(net.now, chain({1, 2}, 2));
  net.run(milliseconds(300));
  net[0].engine.set_keys(net.now, chain({2}, 2));
  net[1].engine.set_keys(net.now, chain({2}, 2));
  net.run(seconds(2));
  CHECK(net[0].engine.counters().auth_failures == before);
  CHECK(net[1].engine.counters().auth_failures == 0);
  CHECK(net[0].adjacency_log.size() == 1);
}

TEST_CASE("LS-S4 every replayed packet is refused") {
  Net net = Net::line(2);
  std::vector<Packet> seen;
  net.deliver = [&](Packet& p) {
    if (p.to == 0) seen.push_back(p);
    return true;
  };
  net.run(seconds(3));
  auto before = net[0].engine.counters();
  auto log = net[0].adjacency_log;
  std::size_t count = seen.size();
  net.deliver = {};
  for (const Packet& p : std::vector<Packet>(seen.begin(), seen.begin() + static_cast<long>(count))) {
    net[0].engine.receive(net.now, p.link, p.datagram);
  }
  auto after = net[0].engine.counters();
  CHECK(after.replays - before.replays == count);
  CHECK(after.lsas_in == before.lsas_in);
  CHECK(after.keepalives_in == before.keepalives_in);
  CHECK(net[0].adjacency_log == log);
}

TEST_CASE("LS-S5 reordering within the window is no replay") {
  Net net = Net::line(2);
  int n = 0;
  net.deliver = [&](Packet& p) {
    net.inject(p, milliseconds(1 + (n++ * 7) % 23));
    return false;
  };
  net.run(seconds(5));
  CHECK(both_up(net));
  CHECK(net[0].adjacency_log.size() == 1);
  CHECK(net.equal_databases());
}

TEST_CASE("LS-S6 a corrupted packet costs a counter and nothing else") {
  Net net = Net::line(2);
  net.run(seconds(1));
  int n = 0;
  net.deliver = [&](Packet& p) {
    if (++n % 3 == 0) p.datagram[static_cast<std::size_t>(n) % p.datagram.size()] ^= 0x10;
    return true;
  };
  net.run(seconds(5));
  CHECK(net[0].adjacency_log.size() == 1);
  CHECK(net[0].engine.counters().auth_failures > 10);
  CHECK(net[0].engine.counters().malformed == 0);
}
