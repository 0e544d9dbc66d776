// Unmodified programs' flows through two gateways in virtual time: 50,000 open at any time, each talks, ends or
// falls silent, and is followed by another. What is in use at the end of every virtual hour must not grow.
//   soak_flows HOURS
#include <cstdio>
#include <cstdlib>

#include "tests/rigs/flow_pair.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

constexpr std::uint16_t kPorts = 50000;
constexpr Duration kStep = milliseconds(100);

// A virtual hour: every connection is made anew about once a minute; one in four ends without a word.
std::uint64_t hour(rigs::FlowPair& pair, Time& now, std::uint32_t& random) {
  std::uint64_t opened = 0;
  for (int step = 0; step < 36000; ++step) {
    now += kStep;
    pair.set_time(now);
    for (int i = 0; i < 83; ++i) {
      random = random * 1664525 + 1013904223;
      const auto port = static_cast<std::uint16_t>(1 + (random >> 8) % kPorts);
      if ((random >> 30) != 0) pair.exchange(port, kTcpAck | kTcpFin, kTcpAck | kTcpFin);
      pair.exchange(port, kTcpSyn, kTcpSyn | kTcpAck);
      ++opened;
    }
    pair.expire();
  }
  return opened;
}

void figure(const char* name, double value, const char* unit, const char* goal) {
  std::printf("{\"case\": \"%s\", \"value\": %.0f, \"unit\": \"%s\"%s}\n", name, value, unit, goal);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int hours = argc > 1 ? std::atoi(argv[1]) : 3;
  rigs::FlowPair pair(262144, "shop/cart/v2", "shop/web/v1");
  Time now{seconds(1000)};
  std::uint32_t random = 1;
  std::uint64_t opened = hour(pair, now, random);  // the first hour fills tables and buckets
  const std::size_t begin = rigs::bytes_in_use();
  for (int i = 0; i < hours; ++i) opened += hour(pair, now, random);
  const std::size_t end = rigs::bytes_in_use();
  figure("flows opened", double(opened), "flows", "");
  figure("flows held", double(pair.near.path().flows()), "flows", ", \"at_most\": 50000");
  figure("growth since the first hour", end > begin ? double(end - begin) : 0, "bytes",
         ", \"at_most\": 1048576");
  for (int round = 0; round < 400; ++round) {
    now += seconds(60);
    pair.set_time(now);
    pair.expire();
  }
  figure("flows left when idle", double(pair.near.path().flows() + pair.far.path().flows()), "flows",
         ", \"at_most\": 0");
  return 0;
}
