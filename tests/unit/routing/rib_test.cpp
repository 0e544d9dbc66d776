// Rules S11-S17 of docs/protocol.md, "Routes".
#include "dmsc/routing/rib.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/routing/graphs.hpp"

using namespace dmsc;
using namespace dmsc::routing;

namespace {

Name name(std::string_view text) { return Name::parse(text).value(); }

struct Recorder : RibSink {
  std::vector<std::string> log;
  std::map<Name, RibRoute> routes;
  std::map<NodeId, Destination> destinations;
  void route_changed(const RibRoute& r) override {
    log.push_back("route " + r.prefix.text());
    for (const InstanceChoice& c : r.choices) CHECK(destinations.count(c.instance.egress) == 1);
    routes[r.prefix] = r;
  }
  void route_removed(const Name& p) override {
    log.push_back("no route " + p.text());
    routes.erase(p);
  }
  void destination_changed(NodeId n, const Destination& d) override {
    log.push_back("node " + std::to_string(n.value));
    destinations[n] = d;
  }
  void destination_removed(NodeId n) override {
    log.push_back("no node " + std::to_string(n.value));
    for (const auto& [p, r] : routes) {
      for (const InstanceChoice& c : r.choices) CHECK(c.instance.egress != n);
    }
    destinations.erase(n);
  }
  std::vector<std::string> take() { return std::exchange(log, {}); }
};

using Log = std::vector<std::string>;

wire::PrefixEntry entry(std::string_view text, std::uint16_t capacity = 100,
                        bool covering = false) {
  return {name(text), covering, 0, {{InstanceId{1}, capacity}}};
}

// Node 1 in the middle of a star; the metrics of its links to nodes 2, 3, 4 are given.
struct Star {
  Recorder sink;
  Rib rib{NodeId{1}, sink};
  void spf(std::map<std::uint32_t, std::uint32_t> metrics) {
    TestNetwork net;
    net.bodies[1];
    for (auto [node, metric] : metrics) {
      net.bodies[1].adjacencies.push_back(adjacency(node, node, 1, metric));
      net.bodies[node].adjacencies.push_back(adjacency(1, 1, node, metric));
    }
    Topology t = net.topology();
    SpfResult result = run_spf(t, NodeId{1});
    add_alternates(t, result);
    rib.set_spf(t, std::move(result));
  }
  void prefixes(std::uint32_t origin, std::vector<wire::PrefixEntry> entries) {
    rib.set_prefixes(NodeId{origin}, std::move(entries));
  }
  std::uint32_t weight(std::string_view prefix, std::uint32_t egress) {
    for (const InstanceChoice& c : rib.find(name(prefix))->choices) {
      if (c.instance.egress == NodeId{egress}) return c.weight;
    }
    return ~0U;
  }
};

}  // namespace

TEST_CASE("R22 S11 rib: a prefix is usable only while its origin is reachable") {
  Star s;
  s.prefixes(2, {entry("B/2")});
  CHECK(s.rib.find(name("B/2"))->choices.empty());
  s.spf({{2, 10}});
  REQUIRE(s.sink.routes[name("B/2")].choices.size() == 1);
  CHECK(s.sink.routes[name("B/2")].choices[0].distance == 10);
  CHECK(s.rib.destination(NodeId{2})->next_hops == std::vector<FirstHop>{{2, NodeId{2}}});
  CHECK(s.rib.destination(NodeId{1})->distance == 0);
  s.spf({});
  CHECK(s.sink.routes[name("B/2")].choices.empty());
  CHECK(s.rib.destination(NodeId{2}) == nullptr);
  s.prefixes(2, {});
  CHECK(s.rib.find(name("B/2")) == nullptr);
  CHECK(s.sink.routes.empty());
  CHECK(s.rib.spf_runs() == 2);
}

TEST_CASE(
    "S12 rib: instances within 25 % of the nearest share by capacity, farther ones get none") {
  Star s;
  s.spf({{2, 100}, {3, 125}, {4, 126}});
  s.prefixes(2, {entry("B", 10)});
  s.prefixes(3, {entry("B", 30)});
  s.prefixes(4, {entry("B", 50)});
  CHECK(s.weight("B", 2) == 10);
  CHECK(s.weight("B", 3) == 30);
  CHECK(s.weight("B", 4) == 0);
  const auto& choices = s.rib.find(name("B"))->choices;
  REQUIRE(choices.size() == 3);
  CHECK(choices[0].distance == 100);
  CHECK(choices[2].instance.egress == NodeId{4});
  s.spf({{4, 126}});
  CHECK(s.weight("B", 4) == 50);
}

TEST_CASE("S13 rib: capacity 0 drains: no share, and others make the tier") {
  Star s;
  s.spf({{2, 10}, {3, 100}});
  s.prefixes(2, {entry("B", 0)});
  s.prefixes(3, {entry("B", 40)});
  CHECK(s.weight("B", 2) == 0);
  CHECK(s.weight("B", 3) == 40);
  CHECK(s.rib.find(name("B"))->choices[0].draining);
  s.prefixes(3, {});
  CHECK(s.weight("B", 2) == 0);
}

TEST_CASE("R34 S14 rib: policy weights override distance and fade to it") {
  Star s;
  s.spf({{2, 10}, {3, 100}});
  s.prefixes(2, {entry("B")});
  s.prefixes(3, {entry("B")});
  WeightPolicy policy{name("B"), {{{NodeId{3}, InstanceId{1}}, 7}}, 2};
  s.rib.set_weights(policy);
  CHECK(s.weight("B", 2) == 0);
  CHECK(s.weight("B", 3) == 7);
  CHECK(s.sink.routes[name("B")].from_policy);
  s.rib.set_weights({name("B"), {{{NodeId{2}, InstanceId{1}}, 9}}, 1});
  CHECK(s.weight("B", 3) == 7);  // an older version
  s.spf({{2, 10}});
  CHECK(s.weight("B", 2) == 100);  // nobody the policy names is left
  CHECK_FALSE(s.rib.find(name("B"))->from_policy);
  s.spf({{2, 10}, {3, 100}});
  CHECK(s.weight("B", 3) == 7);
  s.prefixes(3, {entry("B", 0)});
  CHECK(s.weight("B", 3) == 0);  // draining wins over policy
  s.rib.clear_weights(name("B"));
  CHECK(s.weight("B", 2) == 100);
  s.rib.set_weights({name("later"), {{{NodeId{2}, InstanceId{1}}, 3}}, 1});
  s.prefixes(2, {entry("later")});
  CHECK(s.weight("later", 2) == 3);
}

TEST_CASE("R23 S15 rib: only real changes are told, destinations first, removals last") {
  Star s;
  s.spf({{2, 10}, {3, 20}});
  s.sink.take();
  s.prefixes(2, {entry("B/2"), entry("A/2")});
  CHECK(s.sink.take() == Log{"route A/2", "route B/2"});
  s.prefixes(2, {entry("A/2"), entry("B/2")});
  CHECK(s.sink.take().empty());
  s.spf({{2, 10}, {3, 20}});
  CHECK(s.sink.take().empty());
  s.prefixes(2, {entry("A/2", 50), entry("C/2")});
  CHECK(s.sink.take() == Log{"route A/2", "route C/2", "no route B/2"});
  s.prefixes(3, {entry("C/2")});
  s.sink.take();
  s.spf({{3, 20}, {4, 5}});
  CHECK(s.sink.take() == Log{"node 4", "route A/2", "route C/2", "no node 2"});
}

TEST_CASE("S16 rib: a topology change touches only prefixes whose distances it changed") {
  Star s;
  s.spf({{2, 10}, {3, 20}});
  std::vector<wire::PrefixEntry> many;
  for (int i = 0; i < 1000; ++i) many.push_back(entry("n/" + std::to_string(i)));
  s.prefixes(2, many);
  s.prefixes(3, {entry("only/3"), entry("both")});
  s.prefixes(2, [&] {
    auto list = many;
    list.push_back(entry("both"));
    return list;
  }());
  s.sink.take();
  s.spf({{2, 10}, {3, 22}});
  CHECK(s.sink.take() == Log{"node 3", "route both"});
  CHECK(s.rib.find(name("only/3"))->choices[0].distance == 22);
  s.spf({{2, 11}, {3, 22}});  // a thousand prefixes of one egress: the destination alone is told
  CHECK(s.sink.take() == Log{"node 2", "route both"});
  CHECK(s.rib.find(name("n/7"))->choices[0].distance == 11);
  CHECK(s.rib.routes().size() == 1002);
}

TEST_CASE("S17 rib: the longest serving prefix, non-covering ones passed over") {
  Star s;
  s.spf({{2, 10}});
  s.prefixes(2, {entry("shop", 100, true), entry("shop/cart"), entry("B/4")});
  CHECK(s.rib.match(name("shop/cart"))->prefix == name("shop/cart"));
  CHECK(s.rib.match(name("shop/cart/v2"))->prefix == name("shop"));
  CHECK(s.rib.match(name("B/4/x")) == nullptr);
  CHECK(s.rib.match(name("B")) == nullptr);
}

TEST_CASE("S17 rib: each choice says whether its own announcement covers") {
  Star s;
  s.spf({{2, 10}, {3, 10}});
  s.prefixes(2, {entry("shop", 100, true)});
  s.prefixes(3, {entry("shop", 100, false)});
  const RibRoute* route = s.rib.match(name("shop/x"));
  REQUIRE(route != nullptr);
  CHECK(route->covering);
  CHECK(route->choices[0].covering);
  CHECK_FALSE(route->choices[1].covering);
  s.prefixes(2, {});
  CHECK(s.rib.match(name("shop/x")) == nullptr);
}

TEST_CASE("rib: entries of one name are united, random updates equal a fresh start") {
  Star s;
  s.spf({{2, 10}});
  s.prefixes(2, {{name("B"), false, 0, {{InstanceId{2}, 5}}},
                 {name("B"), true, 0, {{InstanceId{1}, 6}, {InstanceId{2}, 9}}}});
  const RibRoute* route = s.rib.find(name("B"));
  REQUIRE(route->choices.size() == 2);
  CHECK(route->covering);
  CHECK(route->choices[1].weight == 5);

  std::mt19937 random(2);
  Star live;
  live.spf({});
  std::map<std::uint32_t, std::vector<wire::PrefixEntry>> held;
  std::map<std::uint32_t, std::uint32_t> metrics;
  for (int step = 0; step < 500; ++step) {
    std::uint32_t node = 2 + static_cast<std::uint32_t>(random() % 4);
    if (random() % 2 == 0) {
      metrics[node] = 1 + static_cast<std::uint32_t>(random() % 6);
      if (random() % 3 == 0) metrics.erase(node);
      live.spf(metrics);
    } else {
      held[node].clear();
      for (int i = 0; i < 6; ++i) {
        if (random() % 2 == 0) continue;
        held[node].push_back(entry("p/" + std::to_string(i), random() % 3, random() % 2 == 0));
      }
      live.prefixes(node, held[node]);
    }
    Star fresh;
    fresh.spf(metrics);
    for (const auto& [id, entries] : held) fresh.prefixes(id, entries);
    REQUIRE(live.rib.routes() == fresh.rib.routes());
    REQUIRE(live.sink.destinations == fresh.sink.destinations);
    REQUIRE(live.sink.routes.size() == fresh.sink.routes.size());
    for (auto& [prefix, told] : live.sink.routes) {
      for (InstanceChoice& c : told.choices) c.distance = 0;
      RibRoute want = fresh.sink.routes.at(prefix);
      for (InstanceChoice& c : want.choices) c.distance = 0;
      REQUIRE(told == want);
    }
  }
}
