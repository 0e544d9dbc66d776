// docs/protocol.md, "Origination": a metric from measured delay.
#include <random>

#include "dmsc/linkstate/engine.hpp"
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

// Two nodes on a link whose delay differs for every packet by up to `noise` of `mean`.
struct NoisyLink {
  explicit NoisyLink(Duration mean_delay, double share) : mean(mean_delay), noise(share) {
    net.add();
    net.add();
    net.join(0, 1, [](LinkConfig& c) { c.metric = 0; });
    net.deliver = [this](Packet&) {
      std::uniform_real_distribution<double> factor(1 - noise, 1 + noise);
      net.delay = Duration(static_cast<std::int64_t>(static_cast<double>(mean.count()) * factor(random)));
      return true;
    };
  }
  std::uint32_t metric() {
    auto lsa = net[0].engine.find({NodeId{1}, wire::LsaType::node, 0});
    REQUIRE(lsa != nullptr);
    return wire::decode_node_body(lsa->body())->adjacencies.at(0).metric;
  }
  // How often the published metric changes within `time`.
  int changes(Duration time) {
    int out = 0;
    std::uint32_t last = metric();
    for (Time end = net.now + time; net.now < end;) {
      net.run(milliseconds(500));
      std::uint32_t is = metric();
      out += is != last ? 1 : 0;
      last = is;
    }
    return out;
  }
  Duration mean;
  double noise;
  std::mt19937 random{5};
  Net net;
};

}  // namespace

TEST_CASE("LS-O4 delay metric: 20 % of noise changes it never") {
  for (Duration mean : {Duration(microseconds(500)), Duration(milliseconds(10)), Duration(milliseconds(80))}) {
    NoisyLink link(mean, 0.2);
    link.net.run(seconds(10));
    std::uint64_t before = link.net[0].engine.counters().originated;
    CHECK(link.changes(minutes(6)) == 0);
    // Delay and jitter of the first moment may be put right once: they are told with a hysteresis too.
    CHECK(link.net[0].engine.counters().originated <= before + 1);
    auto expected = static_cast<double>(mean / microseconds(10));
    CHECK(link.metric() > expected * 0.75);
    CHECK(link.metric() < expected * 1.25);
  }
}

TEST_CASE("LS-O4 delay metric: a queue that comes and goes changes nothing") {
  NoisyLink link(milliseconds(5), 0.1);
  link.net.run(seconds(10));
  auto base = link.net.deliver;
  int n = 0;
  link.net.deliver = [&](Packet& p) {
    base(p);
    if (++n % 3 != 0) link.net.delay += milliseconds(40);  // two of three packets stand in a queue
    return true;
  };
  CHECK(link.changes(minutes(5)) == 0);
}

TEST_CASE("LS-O4 delay metric: a real step, up or down, is told within five seconds") {
  NoisyLink link(milliseconds(10), 0.2);
  link.net.run(seconds(10));
  link.mean = milliseconds(30);
  link.net.run(seconds(5));
  CHECK(link.metric() > 1800);  // within a quarter; a round trip that began before the step may tell half of it
  link.mean = milliseconds(2);
  link.net.run(seconds(5));
  CHECK(link.metric() < 250);
  CHECK(link.changes(minutes(10)) == 0);
}

TEST_CASE("LS-O4 delay metric: it saturates, is at least 1, and is 1000 before anything is measured") {
  NoisyLink link(Duration(500), 0);
  link.net.run(seconds(5));
  CHECK(link.metric() == 1);
}
