// What 50,000 flows cost a gateway in memory.
#include <catch2/catch.hpp>

#include "tests/rigs/flow_pair.hpp"

using namespace dmsc;
using namespace dmsc::sgd;
using rigs::bytes_in_use;

TEST_CASE("edge flow: 50,000 at a time, at most 400 bytes each at either gateway, and none is left when idle") {
  constexpr std::size_t kFlows = 50000;
  rigs::FlowPair pair(262144, "shop/cart/v2", "shop/web/v1");
  Time now{seconds(1000)};
  pair.set_time(now);
  pair.exchange(1, kTcpSyn, kTcpSyn | kTcpAck);
  const std::size_t before = bytes_in_use();
  for (std::uint16_t port = 2; port < kFlows + 2; ++port) {
    pair.exchange(port, kTcpSyn, kTcpSyn | kTcpAck);
  }
  const std::size_t each = (bytes_in_use() - before) / kFlows;
  REQUIRE(pair.near.path().flows() == kFlows + 1);
  REQUIRE(pair.far.path().flows() == kFlows + 1);
  INFO(each << " bytes of a flow at both gateways");
  CHECK(each <= 2 * 400);
  now += FlowState::kTcpEstablished;
  pair.set_time(now);
  for (int round = 0; round < 200; ++round) pair.expire();
  CHECK(pair.near.path().flows() == 0);
  CHECK(pair.far.path().flows() == 0);
  CHECK(bytes_in_use() < before + (std::size_t{4} << 20));  // the tables' buckets stay
}
