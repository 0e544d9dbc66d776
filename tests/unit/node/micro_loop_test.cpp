// How long packets die when a router of Figure 2 comes back: rule S10 of docs/protocol.md,
// "Routes".
#include <catch2/catch.hpp>

#include "tests/unit/node/keeper_network.hpp"

using namespace dmsc;
using namespace dmsc::node::test;

namespace {

constexpr std::uint32_t kSr3 = 3;
constexpr Duration kBusy =
    milliseconds(300);  // between the first and the last adjacency of a start
const KeeperNetwork::Edges kFigure2{{1, 2}, {1, 3}, {2, 3}, {4, 1}, {4, 2}, {5, 1},
                                    {5, 2}, {6, 1}, {6, 3}, {7, 2}, {7, 3}};

// sr-3 is killed, starts 2 s later, and its adjacencies come up within `spread`, as on a busy
// machine. Returns the longest time for which any flow between two gateways got nowhere after the
// start.
Duration worst_outage(const routing::SpfDelayConfig& delays, Duration spread, std::uint32_t seed) {
  KeeperNetwork net(7, 3, kFigure2, delays, seed);
  net.kill(kSr3);
  net.run(net.now + seconds(2));
  net.start(kSr3);
  for (std::uint32_t peer : net.neighbours(kSr3)) {
    net.at(net.now + net.within(spread), [&net, peer] {
      net.join(kSr3, peer);
      net.at(net.now + milliseconds(5), [&net, peer] { net.synchronise(peer, kSr3); });
    });
  }
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>, Time> dead_since;
  Duration worst{};
  for (Time end = net.now + seconds(6); net.now < end;) {
    net.run(net.now + milliseconds(5));
    for (std::uint32_t from = 4; from <= 7; ++from) {
      for (std::uint32_t to = 4; to <= 7; ++to) {
        for (std::uint64_t flow = 0; from != to && flow < 8; ++flow) {
          auto key = std::tuple{from, to, flow};
          if (net.walk(from, to, flow * 0x9e3779b97f4a7c15ULL)) {
            dead_since.erase(key);
          } else {
            Time since = dead_since.try_emplace(key, net.now).first->second;
            worst = std::max<Duration>(worst, net.now - since);
          }
        }
      }
    }
  }
  CHECK(dead_since.empty());
  return worst;
}

}  // namespace

// After its first adjacencies sr-3 is in LONG_WAIT when the others come up. sr-2 has heard of sr-3's link to
// sg-3 and sends there by sr-3; sr-3 has not run SPF over that link and sends by sr-2 until it has: up to
// LONG, were it not that all routers end their wait together, 20 ms after the last event.
TEST_CASE("S10 a router that returns makes no loop of more than a tenth of a second") {
  const routing::SpfDelayConfig delays;
  REQUIRE(delays.longer == seconds(2));
  for (Duration spread : {kBusy, Duration(seconds(1))}) {
    for (std::uint32_t seed = 1; seed <= 16; ++seed) {
      Duration worst = worst_outage(delays, spread, seed);
      INFO("seed " << seed << ": " << worst / milliseconds(1) << " ms");
      CHECK(worst <= milliseconds(100));
    }
  }
}

TEST_CASE("S10 without calm the same returns make loops of hundreds of milliseconds") {
  routing::SpfDelayConfig delays;
  delays.calm = delays.storm_calm = delays.holddown;
  Duration worst{};
  for (std::uint32_t seed = 1; seed <= 24; ++seed) {
    worst = std::max(worst, worst_outage(delays, seconds(1), seed));
  }
  CHECK(worst >= milliseconds(200));
}
