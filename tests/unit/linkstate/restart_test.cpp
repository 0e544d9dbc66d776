// docs/protocol.md, "Ageing" and "Restart", with clocks that disagree.
#include <set>

#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

constexpr std::uint64_t kClock = 1'750'000'000;  // what a right wall clock says

std::vector<wire::PrefixEntry> numbered(int from, int to) {
  std::vector<wire::PrefixEntry> out;
  for (int i = from; i < to; ++i) out.push_back(prefix("service/number/" + std::to_string(i)));
  return out;
}

// What node `at` holds of `origin`, tombstones included.
std::map<wire::LsaKey, crypto::Hash32> held(Net& net, int at, std::uint32_t origin) {
  std::map<wire::LsaKey, crypto::Hash32> out;
  for (const LsdbEntryView& entry : net[at].engine.lsdb(net.local(at))) {
    if (entry.verified && entry.lsa->key.origin == NodeId{origin}) out[entry.lsa->key] = entry.lsa->hash;
  }
  return out;
}

std::set<std::string> names(Net& net, int at, std::uint32_t origin) {
  std::set<std::string> out;
  for (const LsdbEntryView& entry : net[at].engine.lsdb(net.local(at))) {
    const wire::Lsa& lsa = *entry.lsa;
    if (lsa.key.origin != NodeId{origin} || lsa.key.type != wire::LsaType::prefix || lsa.purge) continue;
    auto body = wire::decode_prefix_body(lsa.body());
    for (const wire::PrefixEntry& e : body->entries) out.insert(e.name.text());
  }
  return out;
}

// Five nodes in a ring whose own clocks, monotonic and wall, are up to an hour off.
Net skewed_ring(std::uint32_t lifetime) {
  Net net;
  const Duration skews[] = {minutes(0), minutes(60), -minutes(60), minutes(25), -minutes(13)};
  for (Duration skew : skews) {
    net.add([&](EngineConfig& c) {
      c.clock_seconds = kClock + static_cast<std::uint64_t>(skew / seconds(1));
      c.lsa_lifetime = lifetime;
    }, skew);
  }
  for (int i = 0; i < 5; ++i) net.join(i, (i + 1) % 5);
  return net;
}

}  // namespace

TEST_CASE("LS-E1 clocks an hour apart: who restarts with any state or none owns its LSAs within a second") {
  struct Case {
    Duration clock_off;         // of the wall clock at the restart
    std::uint64_t stored;       // epoch on disk
    double loss;
  };
  const std::uint64_t day_old = kClock - 86'400;
  for (Case c : {Case{minutes(0), 0, 0}, Case{-minutes(60), 0, 0}, Case{minutes(60), 0, 0},
                 Case{-minutes(60), day_old, 0}, Case{minutes(60), day_old, 0.05},
                 Case{-minutes(60), kClock, 0}, Case{-minutes(60), 0, 0.05}, Case{minutes(0), day_old, 0.05}}) {
    Net net = skewed_ring(3600);
    std::uint64_t random = 12345;
    net.deliver = [&](Packet&) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      return static_cast<double>(random >> 40) / (1 << 24) >= c.loss;
    };
    net[2].engine.set_prefixes(net.local(2), numbered(0, 200));
    net.until([&] { return net.equal_databases() && names(net, 0, 3).size() == 200; }, seconds(20));
    net[2].alive = false;
    net.run(seconds(10));
    net.restart(2, c.stored, kClock + static_cast<std::uint64_t>(c.clock_off / seconds(1)));
    net[2].engine.set_prefixes(net.local(2), numbered(150, 230));
    net.until([&] { return !net[2].adjacency_log.empty(); }, seconds(3));
    net.until([&] {
      for (int at : {0, 1, 3, 4}) {
        if (names(net, at, 3) != names(net, 2, 3) || held(net, at, 3) != held(net, 2, 3)) return false;
      }
      return names(net, 0, 3).size() == 80;
    }, seconds(1));
  }
}

TEST_CASE("LS-E1 two restarts without state in the same second of the clock") {
  Net net = skewed_ring(3600);
  net[2].engine.set_prefixes(net.local(2), numbered(0, 3));
  net.run(seconds(3));
  for (int round = 1; round <= 2; ++round) {
    net.restart(2, 0, kClock - 3600);
    net[2].engine.set_prefixes(net.local(2), numbered(round, round + 5));
    net.until([&] { return !net[2].adjacency_log.empty(); }, seconds(1));
    net.until([&] { return names(net, 0, 3) == names(net, 2, 3) && held(net, 0, 3) == held(net, 2, 3); },
              seconds(1));
    CHECK(names(net, 0, 3).size() == 5);
  }
}

TEST_CASE("LS-G5 clocks an hour apart: what a dead node said is gone everywhere a second after its lifetime") {
  for (std::uint64_t seed : {1, 2, 3}) {
    Net net = skewed_ring(60);
    std::uint64_t random = seed;
    net.deliver = [&](Packet&) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      return (random >> 33) % 20 != 0;
    };
    net[2].engine.set_prefixes(net.local(2), numbered(0, 100));
    net.run(seconds(40 + static_cast<std::int64_t>(seed) * 9));
    REQUIRE(names(net, 0, 3).size() == 100);
    net[2].alive = false;
    Time died = net.now;
    net.run(seconds(15));
    // A newcomer learns it second hand and drops it with the others.
    int late = net.add({}, minutes(33));
    net.join(0, late);
    net.run(seconds(3));
    for (int at : {0, 1, 3, 4, late}) CHECK_FALSE(held(net, at, 3).empty());
    net.run(died + seconds(61) - net.now);
    for (int at : {0, 1, 3, 4, late}) CHECK(held(net, at, 3).empty());
  }
}

TEST_CASE("LS-G5 live LSAs never expire, however the clocks stand") {
  Net net = skewed_ring(60);
  net[2].engine.set_prefixes(net.local(2), numbered(0, 100));
  net.run(minutes(10));
  for (int at = 0; at < 5; ++at) {
    CHECK(net[at].engine.counters().expired == 0);
    CHECK(names(net, at, 3).size() == 100);
  }
}
