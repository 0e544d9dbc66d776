// Rules S11-S17 of docs/protocol.md, "Routes".
#include "dmsc/routing/rib.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/routing/graphs.hpp"

using namespace dmsc;
using namespace dmsc::routing;

namespace {

Name name(std::string_view text) { return Name::parse(text).value(); }

// Keeps what it was told and checks that nothing ever points at what it was not told.
struct Recorder : RibSink {
  struct Group {
    bool covering = false;
    std::vector<GroupMember> members;
  };
  std::vector<std::string> log;
  std::map<InstanceGroupId, Group> groups;
  std::map<Name, InstanceGroupId> routes;
  std::map<GroupId, NextHopGroup> ways;
  std::map<NodeId, std::pair<std::uint32_t, GroupId>> destinations;  // distance, next hops
  int made = 0;
  void group_added(InstanceGroupId id, bool covering,
                   std::span<const GroupMember> members) override {
    CHECK(groups.count(id) == 0);
    groups[id] = {covering, {members.begin(), members.end()}};
    ++made;
  }
  void group_weights(InstanceGroupId id, std::span<const std::uint32_t> weights) override {
    Group& group = groups.at(id);
    REQUIRE(weights.size() == group.members.size());
    bool changed = false;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      changed = changed || group.members[i].weight != weights[i];
      group.members[i].weight = weights[i];
    }
    CHECK(changed);
    log.push_back("weights");
  }
  void group_removed(InstanceGroupId id) override {
    for (const auto& [prefix, group] : routes) CHECK(group != id);
    CHECK(groups.erase(id) == 1);
  }
  void route_changed(std::string_view prefix, InstanceGroupId group) override {
    CHECK(groups.count(group) == 1);
    log.push_back("route " + std::string(prefix));
    routes[name(prefix)] = group;
  }
  void route_removed(std::string_view prefix) override {
    log.push_back("no route " + std::string(prefix));
    CHECK(routes.erase(name(prefix)) == 1);
  }
  void next_hops_added(GroupId id, const NextHopGroup& group) override {
    CHECK(id != kNoGroup);
    ways[id] = group;
  }
  void next_hops_removed(GroupId id) override {
    for (const auto& [node, destination] : destinations) CHECK(destination.second != id);
    CHECK(ways.erase(id) == 1);
  }
  void destination_changed(NodeId n, std::uint32_t distance, GroupId next_hops) override {
    CHECK((next_hops == kNoGroup) == (n == NodeId{1}));
    if (next_hops != kNoGroup) CHECK(ways.count(next_hops) == 1);
    log.push_back("node " + std::to_string(n.value));
    destinations[n] = {distance, next_hops};
  }
  void destination_removed(NodeId n) override {
    log.push_back("no node " + std::to_string(n.value));
    destinations.erase(n);
  }
  const Group& group(std::string_view prefix) const { return groups.at(routes.at(name(prefix))); }
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
  Topology topology;
  Spf computed{NodeId{1}};
  Rib rib{NodeId{1}, sink};
  void spf(std::map<std::uint32_t, std::uint32_t> metrics) {
    TestNetwork net;
    for (std::uint32_t node : {1, 2, 3, 4}) net.bodies[node];
    for (auto [node, metric] : metrics) {
      net.bodies[1].adjacencies.push_back(adjacency(node, node, 1, metric));
      net.bodies[node].adjacencies.push_back(adjacency(1, 1, node, metric));
    }
    for (const auto& [id, body] : net.bodies) topology.set(NodeId{id}, 0, body);
    computed.update(topology);
    rib.set_spf(topology, computed);
    if (computed.update_alternates(topology)) rib.set_spf(topology, computed);
  }
  void prefixes(std::uint32_t origin, const std::vector<wire::PrefixEntry>& entries) {
    rib.set_prefixes(NodeId{origin}, entries);
  }
  std::uint32_t weight(std::string_view prefix, std::uint32_t egress) {
    const auto route = rib.find(name(prefix));
    for (const InstanceChoice& c : route->choices) {
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
  REQUIRE(s.rib.find(name("B/2"))->choices.size() == 1);
  CHECK(s.rib.find(name("B/2"))->choices[0].distance == 10);
  CHECK(s.rib.destination(NodeId{2})->next_hops == std::vector<FirstHop>{{2, NodeId{2}}});
  CHECK(s.rib.destination(NodeId{1})->distance == 0);
  s.spf({});
  CHECK(s.rib.find(name("B/2"))->choices.empty());
  CHECK(s.sink.destinations.count(NodeId{2}) == 0);
  CHECK_FALSE(s.rib.destination(NodeId{2}));
  CHECK(s.rib.distance(NodeId{2}) == kUnreachable);
  s.prefixes(2, {});
  CHECK_FALSE(s.rib.find(name("B/2")));
  CHECK(s.sink.routes.empty());
  CHECK(s.sink.groups.empty());
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
  const auto choices = s.rib.find(name("B"))->choices;
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
  CHECK(s.rib.find(name("B"))->from_policy);
  CHECK(s.sink.group("B").members[1].weight == 7);
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
  CHECK(s.sink.take() == Log{"route B/2", "route A/2"});
  s.prefixes(2, {entry("A/2"), entry("B/2")});
  CHECK(s.sink.take().empty());
  s.spf({{2, 10}, {3, 20}});
  CHECK(s.sink.take().empty());
  s.prefixes(2, {entry("A/2", 50), entry("C/2")});
  CHECK(s.sink.take() == Log{"route A/2", "route C/2", "no route B/2"});
  s.prefixes(3, {entry("C/2")});
  s.sink.take();
  s.spf({{3, 20}, {4, 5}});
  CHECK(s.sink.take() == Log{"node 4", "weights", "no node 2"});
}

TEST_CASE("S16 rib: a topology change rewrites destinations and groups, never prefixes") {
  Star s;
  s.spf({{2, 10}, {3, 20}});
  std::vector<wire::PrefixEntry> many;
  for (int i = 0; i < 1000; ++i) many.push_back(entry("n/" + std::to_string(i)));
  for (int i = 0; i < 500; ++i) many.push_back(entry("both/" + std::to_string(i)));
  s.prefixes(2, many);
  CHECK(s.sink.made == 1);  // one set of instances, one group
  many.erase(many.begin(), many.begin() + 1000);
  many.push_back(entry("only/3"));
  s.prefixes(3, many);
  CHECK(s.sink.made == 3);
  CHECK(s.rib.group_count() == 3);
  s.sink.take();
  s.spf({{2, 10}, {3, 21}});
  CHECK(s.sink.take() == Log{"node 3"});  // the shares stay
  CHECK(s.rib.find(name("only/3"))->choices[0].distance == 21);
  s.spf({{2, 20}, {3, 21}});  // now 3 is within the tier: 500 prefixes, one group
  CHECK(s.sink.take() == Log{"node 2", "weights"});
  CHECK(s.rib.find(name("n/7"))->choices[0].distance == 20);
  CHECK(s.sink.group("both/9").members[1].weight == 100);
  s.spf({{3, 21}});  // a gateway of 1500 prefixes is lost
  CHECK(s.sink.take() == Log{"weights", "no node 2"});
  CHECK(s.rib.find(name("n/7"))->choices.empty());
  CHECK(s.rib.routes().size() == 1501);
  CHECK(s.sink.made == 3);
}

TEST_CASE("S16 rib: an SPF step costs what it changes, and a missed one is made up for") {
  constexpr std::uint32_t kSide = 12;
  TestNetwork net;
  for (std::uint32_t i = 0; i < kSide * kSide; ++i) {
    if (i % kSide != 0) net.connect(i, i + 1, 10);
    if (i >= kSide) net.connect(i + 1 - kSide, i + 1, 10);
  }
  Topology t = net.topology();
  Spf spf(NodeId{1});
  Recorder sink;
  Rib rib(NodeId{1}, sink);
  auto equal = [&] {
    CHECK(sink.ways.size() <= spf.groups().limit());
    for (std::uint32_t i = 0; i < t.node_count(); ++i) {
      NodeId node = t.node(i);
      const auto d = rib.destination(node);
      REQUIRE(d.has_value() == (spf.distance(i) != kUnreachable));
      if (!d) continue;
      REQUIRE(d->distance == spf.distance(i));
      REQUIRE(d->next_hops == spf.groups()[spf.group(i)].next_hops);
      REQUIRE(d->alternate == spf.groups()[spf.group(i)].alternate);
      REQUIRE(sink.destinations.at(node).first == d->distance);
      if (node == NodeId{1}) continue;
      const NextHopGroup& told = sink.ways.at(sink.destinations.at(node).second);
      REQUIRE(told == spf.groups()[spf.group(i)]);
    }
  };
  spf.update(t);
  rib.set_spf(t, spf);
  equal();
  sink.take();
  for (std::uint32_t before : {132, 143}) {  // both ways into the far corner get longer
    for (auto& a : net.bodies[before].adjacencies) {
      if (a.neighbour == NodeId{144}) a.metric = 500;
    }
    t.set(NodeId{before}, 0, net.bodies[before]);
  }
  std::uint64_t seen = rib.destinations_seen();
  REQUIRE(spf.update(t) == Spf::Run::repair);
  rib.set_spf(t, spf);
  CHECK(rib.destinations_seen() - seen == spf.changed().size());
  CHECK(spf.changed().size() == 1);
  CHECK(sink.take() == Log{"node 144"});
  equal();
  rib.set_spf(t, spf);  // nothing new
  CHECK(rib.destinations_seen() - seen == spf.changed().size());
  // Steps that the RIB is not told of: groups come, go and get other numbers.
  std::mt19937 random(3);
  for (int run = 0; run < 40; ++run) {
    for (std::uint64_t missed = random() % 3 + 1; missed-- > 0;) {
      std::uint32_t node = 1 + static_cast<std::uint32_t>(random() % (run % 2 == 0 ? 3 : 144));
      wire::NodeBody& body = net.bodies[node];
      for (auto& a : body.adjacencies) a.metric = 1 + static_cast<std::uint32_t>(random() % 30);
      body.overload = random() % 5 == 0;
      t.set(NodeId{node}, 0, body);
      spf.update(t);
      if (random() % 2 == 0) spf.update_alternates(t);
    }
    rib.set_spf(t, spf);
    equal();
  }
}

TEST_CASE("R34 S14 rib: a policy rewrites one group and leaves the others of the set alone") {
  Star s;
  s.spf({{2, 10}, {3, 10}});
  for (std::uint32_t node : {2U, 3U}) s.prefixes(node, {entry("a"), entry("b"), entry("c")});
  CHECK(s.rib.group_count() == 1);
  s.sink.take();
  s.rib.set_weights({name("b"), {{{NodeId{3}, InstanceId{1}}, 7}}, 1});
  CHECK(s.sink.take() == Log{"route b"});
  CHECK(s.rib.group_count() == 2);
  s.rib.set_weights({name("b"), {{{NodeId{3}, InstanceId{1}}, 9}}, 2});
  CHECK(s.sink.take() == Log{"weights"});
  CHECK(s.weight("a", 3) == 100);
  CHECK(s.weight("b", 3) == 9);
  s.rib.clear_weights(name("b"));
  CHECK(s.sink.take() == Log{"route b"});
  CHECK(s.rib.group_count() == 1);
}

TEST_CASE("rib: one origin's entries of a name in several fragments are united and come apart") {
  Star s;
  s.spf({{2, 10}});
  auto with = [](std::uint16_t id, std::uint16_t capacity, bool covering) {
    return wire::PrefixEntry{name("B"), covering, 0, {{InstanceId{id}, capacity}}};
  };
  using Entries = std::vector<wire::PrefixEntry>;
  CHECK(s.rib.set_fragment(NodeId{2}, 4, Entries{with(1, 5, false), entry("x")}) == 2);
  s.rib.set_fragment(NodeId{2}, 1, Entries{with(1, 7, true), with(2, 8, false)});
  auto route = s.rib.find(name("B"));
  REQUIRE(route->choices.size() == 2);
  CHECK(route->choices[0].weight == 7);  // the lower fragment's word counts
  CHECK(route->covering);
  CHECK(s.rib.fragments(NodeId{2}, name("B")) == std::vector<std::uint16_t>{1, 4});
  CHECK(s.rib.origins(name("B")) == std::vector<NodeId>{NodeId{2}});
  CHECK(s.rib.update_fragment(NodeId{2}, 1, {}, {}));
  route = s.rib.find(name("B"));
  REQUIRE(route->choices.size() == 1);
  CHECK(route->choices[0].weight == 5);
  CHECK_FALSE(route->covering);
  const std::uint16_t layout[] = {Rib::kFresh, 1};
  CHECK(s.rib.update_fragment(NodeId{2}, 4, layout, Entries{entry("y")}));
  CHECK_FALSE(s.rib.update_fragment(NodeId{2}, 4, layout, Entries{entry("x")}));  // x is there
  CHECK_FALSE(s.rib.find(name("B")));
  CHECK(s.rib.prefix_count() == 2);
}

TEST_CASE("rib: many prefixes come and go without leaving anything behind") {
  Star s;
  s.spf({{2, 10}, {3, 10}});
  for (int round = 0; round < 3; ++round) {
    std::vector<wire::PrefixEntry> many;
    for (int i = 0; i < 3000; ++i) {
      many.push_back(
          entry("p" + std::to_string(i * 7 + round), static_cast<std::uint16_t>(i % 50)));
    }
    s.prefixes(2, many);
    s.prefixes(3, many);
    CHECK(s.rib.prefix_count() == 3000);
    CHECK(s.rib.group_count() == 50);
    for (int i = 0; i < 3000; i += 100) CHECK(s.rib.find(many[static_cast<std::size_t>(i)].name));
  }
  std::size_t held = s.rib.memory().names;
  s.prefixes(2, {});
  s.prefixes(3, {});
  CHECK(s.rib.prefix_count() == 0);
  CHECK(s.rib.group_count() == 0);
  CHECK(s.sink.groups.empty());
  CHECK(s.sink.routes.empty());
  CHECK(s.rib.routes().empty());
  CHECK(s.rib.memory().names == held);
}

TEST_CASE("S17 rib: the longest serving prefix, non-covering ones passed over") {
  Star s;
  s.spf({{2, 10}});
  s.prefixes(2, {entry("shop", 100, true), entry("shop/cart"), entry("B/4")});
  CHECK(s.rib.match(name("shop/cart"))->prefix == name("shop/cart"));
  CHECK(s.rib.match(name("shop/cart/v2"))->prefix == name("shop"));
  CHECK_FALSE(s.rib.match(name("B/4/x")));
  CHECK_FALSE(s.rib.match(name("B")));
}

TEST_CASE("S17 rib: each choice says whether its own announcement covers") {
  Star s;
  s.spf({{2, 10}, {3, 10}});
  s.prefixes(2, {entry("shop", 100, true)});
  s.prefixes(3, {entry("shop", 100, false)});
  const auto route = s.rib.match(name("shop/x"));
  REQUIRE(route);
  CHECK(route->covering);
  CHECK(route->choices[0].covering);
  CHECK_FALSE(route->choices[1].covering);
  s.prefixes(2, {});
  CHECK_FALSE(s.rib.match(name("shop/x")));
}

TEST_CASE("rib: entries of one name in one fragment are united") {
  Star s;
  s.spf({{2, 10}});
  s.prefixes(2, {{name("B"), false, 0, {{InstanceId{2}, 5}}},
                 {name("B"), true, 0, {{InstanceId{1}, 6}, {InstanceId{2}, 9}}}});
  const auto route = s.rib.find(name("B"));
  REQUIRE(route->choices.size() == 2);
  CHECK(route->covering);
  CHECK(route->choices[1].weight == 5);
}
