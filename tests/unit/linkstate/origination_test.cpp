// docs/protocol.md, "Origination": no gap delays bad news; good news is damped, and not for long.
#include <set>

#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

// What node `at` holds of node `origin`'s Node LSA, all fragments.
std::size_t adjacencies(Net& net, int at, std::uint32_t origin) {
  std::size_t count = 0;
  for (const LsdbEntryView& entry : net[at].engine.lsdb(net.now)) {
    const wire::Lsa& lsa = *entry.lsa;
    if (lsa.key.origin != NodeId{origin} || lsa.key.type != wire::LsaType::node || lsa.purge) continue;
    count += wire::decode_node_body(lsa.body())->adjacencies.size();
  }
  return count;
}

wire::NodeBody node_lsa(Net& net, int at, std::uint32_t origin) {
  auto lsa = net[at].engine.find({NodeId{origin}, wire::LsaType::node, 0});
  return lsa == nullptr ? wire::NodeBody{} : *wire::decode_node_body(lsa->body());
}

std::set<std::string> names(Net& net, int at, std::uint32_t origin) {
  std::set<std::string> out;
  for (const LsdbEntryView& entry : net[at].engine.lsdb(net.now)) {
    const wire::Lsa& lsa = *entry.lsa;
    if (lsa.key.origin != NodeId{origin} || lsa.key.type != wire::LsaType::prefix || lsa.purge) continue;
    auto body = wire::decode_prefix_body(lsa.body());
    for (const wire::PrefixEntry& e : body->entries) out.insert(e.name.text());
  }
  return out;
}

std::vector<wire::PrefixEntry> numbered(int from, int to) {
  std::vector<wire::PrefixEntry> out;
  for (int i = from; i < to; ++i) out.push_back(prefix("s/" + std::to_string(i)));
  return out;
}

// One hop of 1 ms, and up to 2 ms in which what belongs together is packed.
constexpr Duration kFlight = milliseconds(4);

}  // namespace

TEST_CASE("LS-O1 no gap delays bad news: forty links lost one by one are each told in flight time") {
  Net net;
  for (int i = 0; i < 42; ++i) net.add();
  for (int i = 1; i < 42; ++i) net.join(0, i);
  net.run(seconds(5));
  REQUIRE(adjacencies(net, 41, 1) == 41);
  for (std::uint32_t lost = 1; lost <= 40; ++lost) {
    net[0].engine.interface_state(net.now, LinkId{lost}, false);
    Time told = net.now;
    net.until([&] { return adjacencies(net, 41, 1) == 41 - lost; }, kFlight);
    net.run(milliseconds(10) - (net.now - told));
  }
}

TEST_CASE("LS-O1 no gap delays a withdrawal, a smaller capacity, a dearer metric or a drain") {
  Net net = Net::line(2);
  net[0].engine.set_prefixes(net.now, numbered(0, 101));
  net.run(seconds(3));
  for (int gone = 1; gone <= 100; ++gone) {
    net[0].engine.set_prefixes(net.now, numbered(gone, 101));
    net.until([&] { return names(net, 1, 1).size() == 101U - static_cast<unsigned>(gone); }, kFlight);
    net.run(milliseconds(5));
  }
  auto capacity = [&] {
    auto lsa = net[1].engine.find({NodeId{1}, wire::LsaType::prefix, 0});
    return wire::decode_prefix_body(lsa->body())->entries.at(0).instances.at(0).capacity;
  };
  net[0].engine.set_prefixes(net.now, {prefix("s/100", 40)});
  net.until([&] { return capacity() == 40; }, kFlight);
  for (std::uint32_t bias = 1; bias <= 30; ++bias) {
    net[0].engine.set_metric_bias(net.now, LinkId{1}, bias);
    net.until([&] { return node_lsa(net, 1, 1).adjacencies.at(0).metric == 10 + bias; }, kFlight);
  }
  net[0].engine.set_overload(net.now, true);
  net.until([&] { return node_lsa(net, 1, 1).overload; }, kFlight);
}

TEST_CASE("LS-O1 bad news takes along the good news that was waiting") {
  Net net = Net::line(2);
  net.run(seconds(3));
  for (int i = 1; i <= 8; ++i) net[0].engine.set_prefixes(net.now, numbered(0, i));
  net.run(kFlight);
  REQUIRE(names(net, 1, 1).size() < 8);  // damped
  net[0].engine.set_prefixes(net.now, numbered(1, 8));
  net.until([&] { return names(net, 1, 1).size() == 7; }, kFlight);
}

TEST_CASE("LS-O2 no origination gap: the tenth prefix change within a second is told within 300 ms") {
  Net net = Net::line(2);
  net.run(seconds(3));
  for (int i = 1; i <= 10; ++i) {
    std::vector<wire::PrefixEntry> entries;
    for (int k = 0; k < i; ++k) entries.push_back(prefix("s/" + std::to_string(k)));
    net[0].engine.set_prefixes(net.now, entries);
    net.run(milliseconds(100));
  }
  net.until([&] {
    auto lsa = net[1].engine.find({NodeId{1}, wire::LsaType::prefix, 0});
    return lsa != nullptr && wire::decode_prefix_body(lsa->body())->entries.size() == 10;
  }, milliseconds(300));
  CHECK(net[0].engine.counters().originated < 20);
}

TEST_CASE("LS-O3 many links lost at once are one origination") {
  Net net;
  net.add();
  for (int i = 0; i < 40; ++i) {
    net.add();
    net.join(0, i + 1);
  }
  net.run(seconds(3));
  CHECK(net[0].engine.find({NodeId{1}, wire::LsaType::node, 2}) != nullptr);
  std::uint64_t before = net[0].engine.counters().originated;
  for (std::uint32_t i = 2; i <= 40; ++i) {
    net[0].engine.interface_state(net.now, LinkId{i}, false);
  }
  net.run(milliseconds(100));
  CHECK(net[0].engine.counters().originated - before == 1);
  CHECK(net[0].engine.find({NodeId{1}, wire::LsaType::node, 2}) == nullptr);
  CHECK(node_lsa(net, 1, 1).adjacencies.size() == 1);
}

TEST_CASE("LS-O3 damping ends half a second after the last flap at the latest") {
  for (int period : {20, 60, 150, 280, 500, 900}) {
    Net net = Net::line(3);
    net.run(seconds(3));
    for (int i = 0; i < 12; ++i) {
      net[0].engine.interface_state(net.now, LinkId{1}, false);
      net.run(milliseconds(period / 2));
      net[0].engine.interface_state(net.now, LinkId{1}, true);
      if (i < 11) net.run(milliseconds(period / 2));
    }
    net.until([&] { return net[0].state() == AdjacencyState::up &&
                           net[1].state() == AdjacencyState::up; }, milliseconds(200));
    net.until([&] {
      return node_lsa(net, 2, 1).adjacencies.size() == 1 && node_lsa(net, 2, 2).adjacencies.size() == 2;
    }, milliseconds(510));
  }
}

TEST_CASE("LS-O3 a link that flaps all the time is not told again and again") {
  Net net = Net::line(3);
  net.run(seconds(3));
  std::uint64_t before = net[0].engine.counters().originated + net[1].engine.counters().originated;
  for (int i = 0; i < 200; ++i) {  // 20 flaps a second
    net[0].engine.interface_state(net.now, LinkId{1}, false);
    net.run(milliseconds(25));
    net[0].engine.interface_state(net.now, LinkId{1}, true);
    net.run(milliseconds(25));
  }
  std::uint64_t after = net[0].engine.counters().originated + net[1].engine.counters().originated;
  CHECK(net[0].view().flaps > 100);
  CHECK(after - before < 12);
}

TEST_CASE("LS-O5 an entry that outgrows its fragment is told in the new one before it leaves the old") {
  Net net = Net::line(2);
  std::vector<wire::PrefixEntry> entries = numbered(0, 200);
  net[0].engine.set_prefixes(net.now, entries);
  net.run(seconds(3));
  std::set<std::string> all = names(net, 1, 1);
  REQUIRE(all.size() == 200);
  for (int round = 0; round < 10; ++round) {  // more of them than good news may come at once
    for (int i = 0; i < 20; ++i) {
      auto& instances = entries[static_cast<std::size_t>(round * 20 + i)].instances;
      for (std::uint16_t k = 2; k < 30; ++k) instances.push_back({InstanceId{k}, 100});
    }
    net[0].engine.set_prefixes(net.now, entries);
    bool missing = false;
    Time end = net.now + milliseconds(30);
    net.until([&] {
      missing = missing || names(net, 1, 1) != all;
      return net.now >= end;
    }, milliseconds(80));
    CHECK_FALSE(missing);
  }
}
