// docs/protocol.md, "Authentication": what is not what it says is refused. `tools/soak forgery` runs ten
// million cases.
#include "tests/rigs/forgery_rig.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

TEST_CASE("LS-S7 100,000 replayed, cut, flipped, foreign and forged packets change nothing and count once each") {
  rigs::ForgeryRig rig(1);
  REQUIRE(rig.recorded() > 400);
  CHECK(rig.run(100'000) == std::vector<std::string>{});
  for (std::uint64_t count : rig.count()) CHECK(count > 500);
}

TEST_CASE("LS-S3 a staged change of keys under traffic drops nothing, whoever comes first at each stage") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Net net = Net::line(5);
    net.run(seconds(2));
    std::uint64_t random = seed;
    int round = 0;
    auto traffic = [&](Duration time) {
      for (Time end = net.now + time; net.now < end; net.run(milliseconds(7))) {
        ++round;
        net[round % 5].engine.set_prefixes(net.now, {prefix("p/" + std::to_string(round))});
      }
    };
    std::vector<EngineCounters> before;
    for (auto& node : net.nodes) before.push_back(node->engine.counters());
    for (std::uint16_t key = 1; key <= 3; ++key) {
      std::uint16_t next = static_cast<std::uint16_t>(key + 1);
      for (auto keys : {chain({key, next}, key), chain({key, next}, next), chain({next}, next)}) {
        for (int i = 0; i < 5; ++i) {  // the nodes follow one after the other, each time in another order
          random = random * 6364136223846793005ULL + 1442695040888963407ULL;
          net[static_cast<int>((random >> 33) + static_cast<std::uint64_t>(i)) % 5].engine.set_keys(net.now, keys);
          traffic(milliseconds(20));
        }
        for (int i = 0; i < 5; ++i) net[i].engine.set_keys(net.now, keys);
        traffic(milliseconds(50));
      }
    }
    net.run(seconds(1));
    CHECK(net.equal_databases());
    for (std::size_t i = 0; i < 5; ++i) {
      const EngineCounters& c = net.nodes[i]->engine.counters();
      CHECK(c.auth_failures == 0);
      CHECK(c.retransmissions == before[i].retransmissions);
      CHECK(net.nodes[i]->adjacency_log.size() == (i == 0 || i == 4 ? 1u : 2u));
    }
  }
}
