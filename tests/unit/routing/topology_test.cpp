// Rules S1-S4 of docs/protocol.md, "Routes".
#include "dmsc/routing/topology.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/routing/graphs.hpp"

using namespace dmsc;
using namespace dmsc::routing;

namespace {
std::size_t edge_count(const Topology& t) { return t.edge_count(); }
}  // namespace

TEST_CASE("S1 topology: a link counts only when both ends advertise it with matching link ids") {
  Topology t;
  wire::NodeBody one, two;
  one.adjacencies = {adjacency(2, 10, 20, 5)};
  CHECK_FALSE(t.set(NodeId{1}, 0, one));
  CHECK(edge_count(t) == 0);
  two.adjacencies = {adjacency(1, 21, 10, 5)};
  CHECK_FALSE(t.set(NodeId{2}, 0, two));  // another link of node 2
  CHECK(edge_count(t) == 0);
  two.adjacencies = {adjacency(1, 20, 10, 7)};
  TopologyChange change = t.set(NodeId{2}, 0, two);
  CHECK(change.changed);
  CHECK_FALSE(change.bad_news);
  REQUIRE(edge_count(t) == 2);
  std::vector<Edge> out = t.edges(t.index(NodeId{1}));
  REQUIRE(out.size() == 1);
  CHECK(t.node(out[0].to) == NodeId{2});
  CHECK(out[0].metric == 5);
  CHECK(out[0].link == 10);
  CHECK(t.edges(t.index(NodeId{2}))[0].metric == 7);
}

TEST_CASE("S1 topology: parallel links are edges of their own") {
  TestNetwork net;
  net.connect(1, 2, 5);
  net.connect(1, 2, 9);
  Topology t = net.topology();
  std::vector<Edge> out = t.edges(t.index(NodeId{1}));
  REQUIRE(out.size() == 2);
  CHECK(out[0].link == 1);
  CHECK(out[1].link == 2);
}

TEST_CASE(
    "S2 topology: an adjacency that is starting, carries no data or has no metric is no edge") {
  for (int way = 0; way < 3; ++way) {
    TestNetwork net;
    net.connect(1, 2, 5);
    Topology t = net.topology();
    wire::NodeBody body = net.bodies[2];
    wire::Adjacency& a = body.adjacencies[0];
    if (way == 0) a.flags |= wire::kAdjacencyStarting;
    if (way == 1) a.flags = 0;
    if (way == 2) a.metric = 0;
    TopologyChange change = t.set(NodeId{2}, 0, body);
    CHECK(change.changed);
    CHECK(change.bad_news);
    CHECK(edge_count(t) == 0);
  }
}

TEST_CASE("S3 topology: fragments add up, fragment 0 has the attributes") {
  Topology t;
  TestNetwork net;
  net.connect(1, 2, 5);
  net.connect(1, 3, 5);
  for (std::uint32_t id : {2, 3}) t.set(NodeId{id}, 0, net.bodies[id]);
  wire::NodeBody first = net.bodies[1], second;
  first.name = "sr-1";
  second.adjacencies = {first.adjacencies[1]};
  first.adjacencies.pop_back();
  CHECK(t.set(NodeId{1}, 1, second));
  CHECK_FALSE(t.transit_allowed(t.index(NodeId{1})));  // attributes unknown yet
  CHECK(t.attributes(NodeId{1}) == nullptr);
  CHECK(t.set(NodeId{1}, 0, first));
  CHECK(t.transit_allowed(t.index(NodeId{1})));
  CHECK(t.attributes(NodeId{1})->name == "sr-1");
  CHECK(edge_count(t) == 4);
  TopologyChange change = t.remove(NodeId{1}, 1);
  CHECK(change.bad_news);
  CHECK(edge_count(t) == 2);
  CHECK_FALSE(t.remove(NodeId{1}, 1));
  CHECK_FALSE(t.remove(NodeId{99}, 0));
}

TEST_CASE("S4 topology: only what matters to SPF is a change, and losses are bad news") {
  TestNetwork net;
  net.connect(1, 2, 5);
  net.connect(2, 3, 5);
  Topology t = net.topology();
  wire::NodeBody body = net.bodies[2];
  CHECK_FALSE(t.set(NodeId{2}, 0, body));
  body.name = "renamed";
  body.adjacencies[0].delay_us = 77;
  CHECK_FALSE(t.set(NodeId{2}, 0, body));
  body.adjacencies[0].metric = 9;
  CHECK(t.set(NodeId{2}, 0, body).bad_news);
  body.adjacencies[0].metric = 2;
  TopologyChange nearer = t.set(NodeId{2}, 0, body);
  CHECK(nearer.changed);
  CHECK_FALSE(nearer.bad_news);
  body.overload = true;
  CHECK(t.set(NodeId{2}, 0, body).bad_news);
  body.overload = false;
  TopologyChange back = t.set(NodeId{2}, 0, body);
  CHECK(back.changed);
  CHECK_FALSE(back.bad_news);
  body.adjacencies.pop_back();
  CHECK(t.set(NodeId{2}, 0, body).bad_news);
}

TEST_CASE("topology: wrong origins, self-links and duplicates do no harm") {
  Topology t;
  wire::NodeBody body;
  body.adjacencies = {adjacency(1, 1, 1, 5), adjacency(1, 1, 1, 5), adjacency(~0U, 2, 2, 5)};
  CHECK_FALSE(t.set(NodeId{1}, 0, body));
  CHECK_FALSE(t.set(NodeId{0}, 0, body));
  CHECK_FALSE(t.set(NodeId{kMaxNodeId + 1}, 0, body));
  CHECK(t.node_count() == 1);
  CHECK(edge_count(t) == 0);
  CHECK(t.index(NodeId{~0U}) == Topology::kNone);
}
