// What a link carries: search, confirmation, what the domain hears of it.
#include "dmsc/wire/link_mtu.hpp"
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

// Two nodes; the link loses what is larger than `limit`.
struct Narrow {
  explicit Narrow(std::size_t bytes, std::uint16_t interfaces = 1400) : limit(bytes) {
    net.add();
    net.add();
    net.join(0, 1, [&](LinkConfig& c) {
      c.mtu = interfaces;
      c.data.mtu = interfaces;
    });
    net.deliver = [this](Packet& p) { return p.datagram.size() <= limit; };
  }
  std::uint16_t told(int node) {
    auto lsa = net[1 - node].heard.at({NodeId{std::uint32_t(node + 1)}, wire::LsaType::node, 0});
    auto mtus = wire::link_mtus_of(*wire::decode_node_body(lsa->body()));
    return mtus->empty() ? wire::kUntoldLinkMtu : mtus->at(0).mtu;
  }
  std::size_t limit;
  Net net;
};

}  // namespace

TEST_CASE("LS-V9 a link that carries its interfaces' MTU is known to within a round trip and tells nothing") {
  Narrow n(9000);
  n.net.until([&] { return n.net[0].state() == AdjacencyState::up && n.net[1].state() == AdjacencyState::up; });
  n.net.run(milliseconds(10));
  CHECK(n.net[0].view().path_mtu == 1400);
  n.net.run(seconds(2));
  auto lsa = n.net[1].heard.at({NodeId{1}, wire::LsaType::node, 0});
  CHECK(wire::decode_node_body(lsa->body())->unknown.empty());
}

TEST_CASE("LS-V9 a path that has become narrower is noticed within three seconds and told") {
  Narrow n(1400);
  n.net.run(seconds(5));
  REQUIRE(n.net[0].view().path_mtu == 1400);
  n.limit = 1310;
  n.net.until([&] { return n.net[0].view().path_mtu < 1400 && n.net[1].view().path_mtu < 1400; }, seconds(3));
  n.net.run(milliseconds(100));
  CHECK(n.told(0) == wire::kLeastLinkMtu);  // at once what surely passes
  n.net.run(seconds(8));
  CHECK(n.net[0].view().path_mtu == 1310);
  CHECK(n.told(0) == 1310);
  CHECK(n.told(1) == 1310);
  CHECK(n.net[0].adjacency_log.size() == 1);  // the adjacency stays
}

TEST_CASE("LS-V9 a path that has become wider is found within ten minutes") {
  Narrow n(1310);
  n.net.run(seconds(10));
  REQUIRE(n.net[0].view().path_mtu == 1310);
  n.limit = 1400;
  n.net.run(minutes(10));
  CHECK(n.net[0].view().path_mtu == 1400);
  CHECK(n.told(0) == 1400);
}

TEST_CASE("LS-V9 losses of five percent do not make a link narrower in an hour") {
  Narrow n(1400);
  n.net.run(seconds(5));
  std::uint64_t x = 1;
  n.net.deliver = [&](Packet&) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    return (x >> 33) % 20 != 0;
  };
  int narrow = 0;
  for (int i = 0; i < 3600; ++i) {
    n.net.run(seconds(1));
    narrow += n.net[0].view().path_mtu < 1400 ? 1 : 0;
  }
  CHECK(narrow <= 10);  // by chance five in a row are lost once in a day, and found again at once
}

TEST_CASE("LS-V9 confirmation leaves with hellos: one probe a second, no more") {
  Narrow n(1400);
  n.net.run(seconds(5));
  int probes = 0;
  n.net.deliver = [&](Packet& p) {
    probes += p.from == 0 && p.datagram.size() == 1400 ? 1 : 0;
    return true;
  };
  n.net.run(seconds(60));
  CHECK(probes >= 59);
  CHECK(probes <= 76);  // hellos are 0.8 to 1 s apart
}

TEST_CASE("LS-F2 updates are packed to what the link carries, not to what its interfaces say") {
  Narrow n(1300);
  std::vector<wire::PrefixEntry> entries;
  for (int i = 0; i < 400; ++i) entries.push_back(prefix("some/longer/prefix/" + std::to_string(i)));
  n.net[0].engine.set_prefixes(n.net.now, entries);
  n.net.until([&] { return n.net[0].view().synchronised && n.net.equal_databases(); }, seconds(3));
  n.net.run(seconds(20));
  CHECK(n.net.equal_databases());
}

TEST_CASE("LS-F2 what is flooded while a path has become narrower arrives after that was noticed") {
  Narrow n(1400);
  n.net.run(seconds(5));
  n.limit = 1300;
  std::vector<wire::PrefixEntry> entries;
  for (int i = 0; i < 400; ++i) entries.push_back(prefix("some/longer/prefix/" + std::to_string(i)));
  n.net[0].engine.set_prefixes(n.net.now, entries);
  n.net.run(seconds(6));
  CHECK(n.net.equal_databases());
}
