// Rule S18 of docs/protocol.md, "Routes": what is updated incrementally equals what is computed
// anew.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "tests/unit/routing/random_edits.hpp"

using namespace dmsc;
using namespace dmsc::routing;

namespace {

// Empty if both say the same of every node, else where they differ first.
std::string difference(const Topology& t, const Spf& a, const Spf& b) {
  for (std::uint32_t i = 0; i < t.node_count(); ++i) {
    if (a.distance(i) == b.distance(i) && a.groups()[a.group(i)] == b.groups()[b.group(i)])
      continue;
    std::ostringstream out;
    out << "node " << t.node(i).value << ": distance " << a.distance(i) << " and " << b.distance(i)
        << ", next hops " << a.groups()[a.group(i)].next_hops.size() << " and "
        << b.groups()[b.group(i)].next_hops.size();
    return out.str();
  }
  return {};
}

// What a consumer keeps that only follows changed(), added() and retired().
class Follower {
 public:
  void follow(const Spf& spf) {
    for (GroupId id : spf.groups().added()) groups_[id] = spf.groups()[id];
    for (std::uint32_t node : spf.changed()) {
      nodes_[node] = {spf.distance(node), spf.group(node)};
    }
    for (GroupId id : spf.groups().retired()) groups_.erase(id);
  }
  std::string difference(const Topology& t, const Spf& spf) const {
    for (std::uint32_t i = 0; i < t.node_count(); ++i) {
      auto held = nodes_.find(i);
      auto [distance, group] =
          held == nodes_.end() ? std::pair(kUnreachable, kNoGroup) : held->second;
      if (distance != spf.distance(i) || group != spf.group(i)) {
        return "a change of node " + std::to_string(t.node(i).value) + " was not told";
      }
      if (group == kNoGroup) continue;
      auto ways = groups_.find(group);
      if (ways == groups_.end() || !(ways->second == spf.groups()[group])) {
        return "group " + std::to_string(group) + " is not what was told";
      }
    }
    return groups_.size() <= nodes_.size() ? "" : "groups were never retired";
  }

 private:
  std::map<std::uint32_t, std::pair<std::uint32_t, GroupId>> nodes_;
  std::map<GroupId, NextHopGroup> groups_;
};

struct Tally {
  std::uint64_t edits = 0, results = 0, alternates = 0, repairs = 0, full = 0;
};

// A network of its own, `edits` random edits in batches; after each batch the repaired result is
// compared with a full run, alternates now and then. Returns the first difference, empty if none.
std::string compare_over_edits(std::mt19937& random, std::uint64_t edits, Tally& tally) {
  std::uint32_t nodes = 4 + static_cast<std::uint32_t>(random() % (random() % 4 == 0 ? 400 : 60));
  RandomEdits net(random, nodes,
                  random() % 3 == 0 ? 2 : 1 + static_cast<std::uint32_t>(random() % 100));
  NodeId root{1 + static_cast<std::uint32_t>(random() % net.node_limit())};
  Spf kept(root);
  if (random() % 4 == 0) kept.set_alternates_budget(400);
  Follower follower;
  for (std::uint64_t done = 0; done < edits; ++tally.results) {
    std::uint64_t batch = random() % 5 == 0 ? 1 + random() % 8 : 1;
    for (std::uint64_t i = 0; i < batch; ++i, ++done) net.edit();
    tally.edits += batch;
    Spf fresh(root);
    fresh.update(net.topology());
    kept.update(net.topology());
    follower.follow(kept);
    for (std::uint32_t i = 0; i < net.topology().node_count(); ++i) {
      const NextHopGroup &a = kept.groups()[kept.group(i)], &b = fresh.groups()[fresh.group(i)];
      if (kept.distance(i) != fresh.distance(i) || a.next_hops != b.next_hops) {
        return "after " + std::to_string(tally.edits) +
               " edits: " + difference(net.topology(), kept, fresh);
      }
    }
    if (random() % 8 == 0 && kept.update_alternates(net.topology(), 1)) follower.follow(kept);
    if (random() % 4 != 0) continue;
    while (!kept.update_alternates(net.topology(), 1)) continue;
    fresh.update_alternates(net.topology());
    follower.follow(kept);
    std::string wrong = difference(net.topology(), kept, fresh);
    if (wrong.empty()) wrong = follower.difference(net.topology(), kept);
    if (!wrong.empty()) {
      return "alternates after " + std::to_string(tally.edits) + " edits: " + wrong;
    }
    ++tally.alternates;
  }
  tally.repairs += kept.repairs();
  tally.full += kept.full_runs();
  return {};
}

Tally check_edits(std::uint64_t edits, std::uint32_t seed) {
  std::mt19937 random(seed);
  Tally tally;
  while (tally.edits < edits) {
    std::string wrong = compare_over_edits(random, std::min<std::uint64_t>(500, edits), tally);
    INFO("seed " << seed << ", network after " << tally.edits << " edits");
    REQUIRE(wrong == "");
  }
  INFO(tally.repairs << " repairs, " << tally.full << " full runs");
  CHECK(tally.repairs > edits / 4);  // else nothing was tested
  return tally;
}

std::uint64_t number(const char* variable, std::uint64_t otherwise) {
  const char* given = std::getenv(variable);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

// Every edge by ids and metric, and every node's transit.
std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>> content(
    const Topology& t) {
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>> out;
  for (std::uint32_t i = 0; i < t.node_count(); ++i) {
    for (const Edge& e : t.edges(i)) {
      out.insert({t.node(i).value, t.node(e.to).value, e.link, e.metric});
    }
    if (t.transit_allowed(i)) out.insert({t.node(i).value, 0, 0, 0});
  }
  return out;
}

}  // namespace

TEST_CASE("S18 spf: repaired results equal full runs over 20,000 random edits") {
  check_edits(20000, 18);
}

// For tools/soak spf-edits: DMSC_SPF_EDITS edits, from DMSC_SPF_SEED.
TEST_CASE("soak: repaired results equal full runs over a million random edits",
          "[.][soak-spf-edits]") {
  Tally tally = check_edits(number("DMSC_SPF_EDITS", 1000000),
                            static_cast<std::uint32_t>(number("DMSC_SPF_SEED", 1)));
  auto figure = [](const char* what, std::uint64_t value) {
    std::printf("{\"case\": \"%s\", \"value\": %llu, \"merge\": \"sum\"}\n", what,
                static_cast<unsigned long long>(value));
  };
  figure("edits", tally.edits);
  figure("results equal to a full run", tally.results);
  figure("of them alternates too", tally.alternates);
  figure("repairs", tally.repairs);
  figure("full runs", tally.full);
}

TEST_CASE("S18 topology: a patched topology equals one built anew") {
  std::mt19937 random(7);
  for (int run = 0; run < 60; ++run) {
    RandomEdits net(random, 3 + static_cast<std::uint32_t>(random() % 30), 5);
    for (int i = 0; i < 200; ++i) {
      net.edit();
      if (i % 20 != 0) continue;
      net.settle();
      REQUIRE(content(net.topology()) == content(net.network().topology()));
      std::size_t edges = 0;
      for (std::uint32_t n = 0; n < net.topology().node_count(); ++n) {
        for (const Edge& e : net.topology().edges(n)) edges += e.metric != 0 ? 1 : 0;
      }
      REQUIRE(net.topology().edge_count() == edges);
    }
  }
}

TEST_CASE("S18 topology: changes since a version are named, or too many to name") {
  TestNetwork net;
  for (std::uint32_t i = 1; i < 1000; ++i) net.connect(i, i + 1, 5);
  Topology t = net.topology();
  std::uint64_t before = t.version();
  std::vector<std::uint32_t> heads;
  CHECK(t.changed_since(before, heads));
  CHECK(heads.empty());
  CHECK_FALSE(t.changed_since(0, heads));
  CHECK_FALSE(t.changed_since(before + 1, heads));
  wire::NodeBody body = net.bodies[500];
  body.name = "renamed";
  t.set(NodeId{500}, 0, body);
  CHECK(t.version() == before);
  body.adjacencies[1].metric = 6;
  t.set(NodeId{500}, 0, body);
  REQUIRE(t.changed_since(before, heads));
  REQUIRE(heads.size() == 1);
  CHECK(t.node(heads[0]) == NodeId{501});
}

TEST_CASE("S18 spf: a node that regains the label it lost passes it on") {
  TestNetwork net;
  net.connect(1, 2, 1);
  net.connect(2, 3, 1);
  std::uint32_t cut = net.connect(3, 5, 4);  // 5 is at 6, by 2 and 3
  net.connect(2, 4, 1);
  net.connect(4, 6, 10);
  net.connect(6, 5, 1);
  net.connect(5, 7, 1);
  Topology t = net.topology();
  Spf spf(NodeId{1});
  spf.update(t);
  for (std::uint32_t end : {5, 3}) {
    auto& list = net.bodies[end].adjacencies;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [&](const wire::Adjacency& a) { return a.link == cut; }),
               list.end());
    t.set(NodeId{end}, 0, net.bodies[end]);
  }
  net.bodies[4].adjacencies[1].metric = 3;  // now 5 is at 6 by 2, 4 and 6
  t.set(NodeId{4}, 0, net.bodies[4]);
  CHECK(spf.update(t) == Spf::Run::repair);
  CHECK(spf.distance(t.index(NodeId{5})) == 6);
  CHECK(spf.distance(t.index(NodeId{7})) == 7);
}

TEST_CASE("S18 spf: a change far from the root looks at what it affects, and nothing else") {
  TestNetwork net;
  for (std::uint32_t i = 1; i < 2000; ++i) net.connect(i, i + 1, 5);
  Topology t = net.topology();
  Spf spf(NodeId{1});
  CHECK(spf.update(t) == Spf::Run::full);
  CHECK(spf.update(t) == Spf::Run::none);
  CHECK(spf.changed().empty());
  wire::NodeBody body = net.bodies[1990];
  body.adjacencies[1].metric = 9;
  t.set(NodeId{1990}, 0, body);
  CHECK(spf.update(t) == Spf::Run::repair);
  CHECK(spf.changed().size() == 10);
  CHECK(spf.last_work() == 10);
  CHECK(spf.path_to(t, NodeId{3}) == std::vector<NodeId>{NodeId{1}, NodeId{2}, NodeId{3}});
  body = net.bodies[2];
  body.adjacencies[1].metric = 9;
  t.set(NodeId{2}, 0, body);
  CHECK(spf.update(t) == Spf::Run::full);  // nearly all nodes move: repairing them would cost more
  CHECK(spf.changed().size() == 1998);
}

TEST_CASE("S18 spf: alternates pass over nodes heard of since the last update") {
  TestNetwork net;
  net.connect(1, 2, 10);
  net.connect(2, 3, 10);
  net.connect(1, 3, 10);
  Topology topology = net.topology();
  Spf spf(NodeId{1});
  spf.update(topology);
  for (std::uint32_t id = 10; id < 5000; ++id) topology.set(NodeId{id}, 0, wire::NodeBody{});
  while (!spf.update_alternates(topology, 1)) {
  }
  CHECK(spf.groups()[spf.group(topology.index(NodeId{2}))].alternate == FirstHop{3, NodeId{3}});
  CHECK(spf.group(topology.index(NodeId{4999})) == kNoGroup);
}
