// Rules F13-F16 of docs/protocol.md, "Forwarding": instances and flows.
#include "dmsc/forwarding/flow_table.hpp"

#include <catch2/catch.hpp>
#include <list>
#include <map>
#include <random>

#include "tests/unit/forwarding/fixtures.hpp"

using namespace dmsc;
using namespace dmsc::forwarding;

namespace {

Time at(std::int64_t s) { return Time{} + seconds(s); }

struct Gateway : TestFib {
  Gateway() {
    for (std::uint32_t id : {2, 3, 4}) {
      fib.set_node(NodeId{id}, {{hop(id, id)}, std::nullopt, id * 10});
    }
  }
};

struct FixedLoad : InstanceLoad {
  std::map<NodeId, std::uint64_t> loads;
  std::uint64_t load(const InstanceEntry& i) const override {
    auto it = loads.find(i.egress);
    return it == loads.end() ? 0 : it->second;
  }
};

std::map<NodeId, int> shares(const Fib& fib, const PrefixRoute& g,
                             const InstanceLoad* load = nullptr) {
  std::map<NodeId, int> out;
  for (std::uint64_t flow = 0; flow < 10000; ++flow) {
    ++out[choose_instance(fib, g.instances, flow, Below::no, load)->egress];
  }
  return out;
}

}  // namespace

TEST_CASE("F13 instances: new flows are shared by weight") {
  Gateway g;
  auto got =
      shares(g.fib, group("B", {instance(2, 1, 100), instance(3, 1, 300), instance(4, 1, 0)}));
  CHECK(got[NodeId{2}] == Approx(2500).margin(200));
  CHECK(got[NodeId{3}] == Approx(7500).margin(200));
  CHECK(got.count(NodeId{4}) == 0);
}

TEST_CASE("F13 instances: unreachable ones get nothing, weightless ones serve when no other can") {
  Gateway g;
  InstanceEntry draining = instance(2, 1, 0);
  draining.draining = true;
  PrefixRoute b = group("B", {draining, instance(3, 1, 5), instance(4, 1, 0)});
  CHECK(choose_instance(g.fib, b.instances, 1)->egress == NodeId{3});
  g.fib.set_link_alive(3, false);
  CHECK(choose_instance(g.fib, b.instances, 1)->egress == NodeId{4});  // farther, but not draining
  g.fib.remove_node(NodeId{4});
  CHECK(choose_instance(g.fib, b.instances, 1)->egress == NodeId{2});
  g.fib.set_link_alive(2, false);
  CHECK(choose_instance(g.fib, b.instances, 1) == nullptr);
  CHECK(choose_instance(g.fib, {}, 1) == nullptr);
}

TEST_CASE("F14 instances: of two candidates the less loaded per unit of weight takes the flow") {
  Gateway g;
  PrefixRoute b = group("B", {instance(2, 1, 100), instance(3, 1, 100)});
  FixedLoad load;
  load.loads = {{NodeId{2}, 10}, {NodeId{3}, 9}};
  auto got = shares(g.fib, b, &load);
  CHECK(got[NodeId{3}] == 10000);
  PrefixRoute uneven = group("B", {instance(2, 1, 200), instance(3, 1, 100)});
  load.loads = {{NodeId{2}, 18}, {NodeId{3}, 10}};  // 0.09 against 0.10 per unit
  CHECK(shares(g.fib, uneven, &load)[NodeId{2}] == 10000);
  PrefixRoute three = group("B", {instance(2, 1, 1), instance(3, 1, 1), instance(4, 1, 1)});
  load.loads = {{NodeId{2}, 50}, {NodeId{3}, 1}, {NodeId{4}, 1}};
  auto spread = shares(g.fib, three, &load);
  CHECK(spread.count(NodeId{2}) == 0);
  CHECK(spread[NodeId{3}] > 4500);
}

TEST_CASE("F15 flow table: least recently used goes first, idle flows expire") {
  FlowTable table(3, seconds(60), 1);
  FlowPin a{NodeId{2}, InstanceId{1}};
  for (std::uint64_t flow : {1, 2, 3}) table.pin(flow, a, at(static_cast<int>(flow)));
  CHECK(table.find(1, at(4)) != nullptr);
  table.pin(4, a, at(5));
  CHECK(table.evictions() == 1);
  CHECK(table.find(2, at(5)) == nullptr);
  CHECK(table.size() == 3);
  CHECK(table.find(3, at(63)) == nullptr);  // used at 3: idle for 60
  CHECK(table.size() == 2);
  CHECK(table.expire(at(64)) == 1);  // flow 1, used at 4
  CHECK(table.expire(at(64)) == 0);
  table.establish(4, at(64));
  CHECK(table.find(4, at(65))->established);
  CHECK(table.erase(4));
  CHECK_FALSE(table.erase(4));
  CHECK(table.size() == 0);
}

TEST_CASE("F15 flow table: agrees with a plain list on random use") {
  std::mt19937 random(7);
  FlowTable table(50, seconds(1000000), 9);
  std::list<std::uint64_t> model;  // newest first
  for (int i = 0; i < 20000; ++i) {
    std::uint64_t flow = random() % 80;
    auto it = std::find(model.begin(), model.end(), flow);
    REQUIRE((table.find(flow, at(i)) != nullptr) == (it != model.end()));
    if (it != model.end()) model.erase(it);
    if (random() % 8 == 0) {
      table.erase(flow);
    } else {
      table.pin(flow, {NodeId{1}, InstanceId{1}}, at(i));
      model.push_front(flow);
      if (model.size() > 50) model.pop_back();
    }
    REQUIRE(table.size() == model.size());
  }
  std::vector<std::uint64_t> listed;
  table.for_each([&](std::uint64_t flow, const FlowPin&, Time) { listed.push_back(flow); });
  CHECK(listed == std::vector<std::uint64_t>(model.begin(), model.end()));
}

TEST_CASE("F16 flows: a flow stays with its instance while that lives, whatever the weights say") {
  Gateway g;
  FlowTable table(100, seconds(60), 1);
  PrefixRoute b = group("B", {instance(2, 1, 100), instance(3, 1, 0)});
  FlowPin first = *pin_flow(g.fib, b.instances, table, 7, at(0));
  CHECK(first == FlowPin{NodeId{2}, InstanceId{1}, false});
  PrefixRoute moved = group("B", {instance(2, 1, 0), instance(3, 1, 100)});
  CHECK(*pin_flow(g.fib, moved.instances, table, 7, at(1)) == first);
  CHECK(pin_flow(g.fib, moved.instances, table, 8, at(1))->egress == NodeId{3});

  g.fib.set_link_alive(2, false);
  table.establish(7, at(2));
  CHECK(pin_flow(g.fib, moved.instances, table, 7, at(2))->egress == NodeId{2});  // established: stays
  PrefixRoute gone = group("B", {instance(3, 1, 100)});
  CHECK(pin_flow(g.fib, gone.instances, table, 7, at(3))->egress == NodeId{3});  // its instance left
  CHECK_FALSE(table.find(7, at(3))->established);
}

TEST_CASE("F16 flows: one not yet answered moves when its egress cannot be reached") {
  Gateway g;
  FlowTable table(100, seconds(60), 1);
  PrefixRoute b = group("B", {instance(2, 1, 100), instance(3, 1, 1)});
  table.pin(7, {NodeId{2}, InstanceId{1}}, at(0));
  g.fib.set_link_alive(2, false);
  CHECK(pin_flow(g.fib, b.instances, table, 7, at(1))->egress == NodeId{3});
  g.fib.set_link_alive(3, false);
  CHECK_FALSE(pin_flow(g.fib, b.instances, table, 7, at(2)).has_value());
}
