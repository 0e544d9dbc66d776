// docs/protocol.md, LS-O6: what a Node LSA tells of loss.
#include <random>

#include "dmsc/linkstate/engine.hpp"
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

// Two nodes on a link that loses packets at random.
struct LossyLink {
  explicit LossyLink(double loss, unsigned seed) : share(loss), random(seed) {
    net.add();
    net.add();
    net.join(0, 1);
    net.deliver = [this](Packet&) { return std::bernoulli_distribution(1 - share)(random); };
  }
  std::uint64_t originated() { return net[0].engine.counters().originated; }
  std::uint32_t told() {
    auto lsa = net[0].engine.find({NodeId{1}, wire::LsaType::node, 0});
    REQUIRE(lsa != nullptr);
    return wire::decode_node_body(lsa->body())->adjacencies.at(0).loss_ppm;
  }
  double share;
  std::mt19937 random;
  Net net;
};

}  // namespace

TEST_CASE("LS-O6 steady random loss is told once and then floods nothing") {
  for (double share : {0.01, 0.05}) {
    std::uint64_t originated = 0;
    for (unsigned seed = 1; seed <= 10; ++seed) {
      LossyLink link(share, seed);
      link.net.run(minutes(2));
      std::uint64_t before = link.originated();
      link.net.run(minutes(10));
      originated += link.originated() - before;
    }
    // 100 minutes of one link; its refreshes are half an hour apart.
    CHECK(originated <= 4);
  }
}

TEST_CASE("LS-O6 a rise of loss is told within forty seconds, and its end within two minutes") {
  LossyLink link(0, 7);
  link.net.run(minutes(2));
  CHECK(link.told() == 0);
  link.share = 0.1;
  link.net.run(seconds(40));
  CHECK(link.told() >= 20000);
  link.net.run(minutes(2));
  CHECK(link.told() >= 60000);
  link.share = 0;
  link.net.run(minutes(2));
  CHECK(link.told() <= 30000);
}
