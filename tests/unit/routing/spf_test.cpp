// Rules S5-S9 of docs/protocol.md, "Routes".
#include "dmsc/routing/spf.hpp"

#include <catch2/catch.hpp>
#include <ctime>

#include "tests/unit/routing/graphs.hpp"

using namespace dmsc;
using namespace dmsc::routing;

namespace {

const Destination& to(const Topology& t, const SpfResult& r, std::uint32_t id) {
  return r.destinations[t.index(NodeId{id})];
}

TestNetwork grid(std::uint32_t side) {
  TestNetwork net;
  for (std::uint32_t i = 0; i < side * side; ++i) {
    if (i % side != 0) net.connect(i, i + 1, 1);
    if (i >= side) net.connect(i + 1 - side, i + 1, 1);
  }
  return net;
}

}  // namespace

TEST_CASE("R22 S5 spf: distances and equal-cost first hops agree with an oracle") {
  std::mt19937 random(1);
  for (int run = 0; run < 300; ++run) {
    TestNetwork net = random_network(random, 3 + static_cast<std::uint32_t>(random() % 12));
    Topology t = net.topology();
    Oracle oracle(net);
    for (const auto& [root, body] : net.bodies) {
      SpfResult result = run_spf(t, NodeId{root});
      std::vector<std::uint32_t> plain = distances_from(t, NodeId{root});
      for (const auto& [id, other] : net.bodies) {
        const Destination& d = to(t, result, id);
        bool far = oracle.distance(root, id) >= Oracle::kFar;
        REQUIRE(d.distance == (far ? kUnreachable : oracle.distance(root, id)));
        REQUIRE(plain[t.index(NodeId{id})] == d.distance);
        std::set<FirstHop> want = oracle.next_hops(root, id);
        REQUIRE(d.next_hops == std::vector<FirstHop>(want.begin(), want.end()));
      }
    }
  }
}

TEST_CASE("S6 spf: a node that is overloaded or no transit is reached but never passed") {
  TestNetwork net;
  net.connect(1, 2, 1);
  net.connect(2, 3, 1);
  net.connect(1, 4, 10);
  net.connect(4, 3, 10);
  net.bodies[2].no_transit = true;
  Topology t = net.topology();
  SpfResult r = run_spf(t, NodeId{1});
  CHECK(to(t, r, 2).distance == 1);
  CHECK(to(t, r, 3).distance == 20);
  CHECK(to(t, run_spf(t, NodeId{2}), 3).distance == 1);  // but it may originate
  net.bodies[4].overload = true;
  Topology cut = net.topology();
  CHECK(to(cut, run_spf(cut, NodeId{1}), 3).distance == kUnreachable);
  CHECK(to(cut, run_spf(cut, NodeId{1}), 3).next_hops.empty());
}

TEST_CASE("S7 spf: unit-weight grids have astronomically many paths and cost no more") {
  TestNetwork net = grid(40);
  Topology t = net.topology();
  SpfResult r = run_spf(t, NodeId{1});
  CHECK(r.nodes_settled == 1600);
  const Destination& corner = to(t, r, 1600);
  CHECK(corner.distance == 78);
  CHECK(corner.next_hops.size() == 2);
}

TEST_CASE("S7 spf: a unit-weight grid of 32 x 32 nodes needs less than 1 MB besides its result") {
  TestNetwork net = grid(32);  // 4.6e17 shortest paths from corner to corner
  Topology t = net.topology();
  Spf spf(NodeId{1});
  spf.update(t);
  CHECK(spf.last_work() == 1024);
  CHECK(spf.scratch_bytes() < 64 << 10);
  CHECK(spf.result_bytes() < 64 << 10);
  CHECK(spf.groups().added().size() == 3);  // right, down and both: what 1,023 destinations share
  spf.update_alternates(t);
  CHECK(spf.scratch_bytes() < 1 << 20);
}

TEST_CASE("S7 spf: the work grows as the edges do") {
  // Of four times as many nodes, nodes settled and edges read are four times as many; what is left
  // is the depth of the heap and the cache. Processor time, the least of many runs in turn: as many
  // as a busy machine needs.
  auto cpu_seconds = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  std::mt19937 random(2);
  std::map<std::uint32_t, Topology> topologies;
  std::map<std::uint32_t, double> best{{100, 1e9}, {200, 1e9}};
  for (std::uint32_t side : {100U, 200U}) {
    TestNetwork net = grid(side);
    for (auto& [id, body] : net.bodies) {
      for (wire::Adjacency& a : body.adjacencies) {
        a.metric = 1 + static_cast<std::uint32_t>(random() % 100);
      }
    }
    topologies[side] = net.topology();
  }
  for (int run = 0; run < 20 || (run < 200 && best[200] / best[100] > 5.5); ++run) {
    for (auto& [side, topology] : topologies) {
      Spf spf(NodeId{side * side / 2 + side / 2});
      double begin = cpu_seconds();
      spf.update(topology);
      best[side] = std::min(best[side], cpu_seconds() - begin);
      REQUIRE(spf.last_work() == std::size_t{side} * side);
    }
  }
  CHECK(best[200] / best[100] <= 5.5);
}

TEST_CASE("S7 spf: at most 64 first hops, the lowest links, without duplicates") {
  TestNetwork net;
  for (std::uint32_t i = 0; i < 100; ++i) {
    net.connect(1, 100 + i, 5);
    net.connect(100 + i, 2, 5);
  }
  Topology t = net.topology();
  SpfResult r = run_spf(t, NodeId{1});
  const Destination& d = to(t, r, 2);
  REQUIRE(d.next_hops.size() == kMaxEcmp);
  for (std::size_t i = 1; i < kMaxEcmp; ++i) CHECK(d.next_hops[i - 1] < d.next_hops[i]);
  CHECK(d.next_hops.back().link == 127);  // links to node 1 are 1, 3, 5, ...
}

TEST_CASE("S8 spf: the result does not depend on the order LSAs came in") {
  std::mt19937 random(5);
  for (int run = 0; run < 50; ++run) {
    TestNetwork net = random_network(random, 10, 2);
    Topology a = net.topology(), b;
    for (auto it = net.bodies.rbegin(); it != net.bodies.rend(); ++it) {
      wire::NodeBody body = it->second;
      std::reverse(body.adjacencies.begin(), body.adjacencies.end());
      b.set(NodeId{it->first}, 0, body);
    }
    SpfResult ra = run_spf(a, NodeId{3}, true), rb = run_spf(b, NodeId{3}, true);
    for (const auto& [id, body] : net.bodies) {
      REQUIRE(to(a, ra, id) == to(b, rb, id));
      REQUIRE(shortest_path(a, NodeId{3}, NodeId{id}) == shortest_path(b, NodeId{3}, NodeId{id}));
    }
  }
}

TEST_CASE("S8 spf: a shortest path is one, and of equal ones that over the lowest ids") {
  TestNetwork net;
  for (std::uint32_t middle : {4, 2, 3}) {
    net.connect(1, middle, 1);
    net.connect(middle, 5, 1);
  }
  Topology t = net.topology();
  CHECK(shortest_path(t, NodeId{1}, NodeId{5}) ==
        std::vector<NodeId>{NodeId{1}, NodeId{2}, NodeId{5}});
  CHECK(shortest_path(t, NodeId{1}, NodeId{1}) == std::vector<NodeId>{NodeId{1}});
  CHECK(shortest_path(t, NodeId{1}, NodeId{9}).empty());
}

TEST_CASE("spf: huge metrics never wrap around") {
  TestNetwork net;
  for (std::uint32_t i = 1; i <= 300; ++i) net.connect(i, i + 1, 0xffffff);
  Topology t = net.topology();
  SpfResult r = run_spf(t, NodeId{1});
  CHECK(to(t, r, 257).distance == 256U * 0xffffff);
  CHECK(to(t, r, 258).distance == kUnreachable);
  CHECK(run_spf(t, NodeId{999}).destinations[0].distance == kUnreachable);
}

TEST_CASE("S9 alternates: the best protection there is, loop-free, on 1000 random graphs") {
  std::mt19937 random(9);
  std::map<Protection, int> seen;
  for (int run = 0; run < 1000; ++run) {
    TestNetwork net = random_network(random, 3 + static_cast<std::uint32_t>(random() % 8));
    Topology t = net.topology();
    Oracle oracle(net);
    auto root = 1 + static_cast<std::uint32_t>(random() % net.bodies.size());
    Spf spf(NodeId{root});
    spf.update(t);
    spf.update_alternates(t);
    SpfResult result = expand(t, spf);
    std::map<Protection, std::size_t> counted;
    for (const auto& [id, other] : net.bodies) {
      const Destination& d = to(t, result, id);
      if (id == root || d.distance == kUnreachable) {
        REQUIRE_FALSE(d.alternate);
        continue;
      }
      // What a packet handed to the neighbour over this hop could meet decides what it protects.
      const std::uint32_t target = id;
      auto judge = [&](const FirstHop& hop) {
        std::uint32_t n = hop.neighbour.value;
        if (std::count(d.next_hops.begin(), d.next_hops.end(), hop) != 0) return Protection::none;
        if ((n != target && !oracle.transit(n)) || oracle.distance(n, target) >= Oracle::kFar) {
          return Protection::none;
        }
        std::set<std::uint32_t> met = oracle.visited(n, target);
        if (met.count(root) != 0) return Protection::none;
        bool node = std::none_of(d.next_hops.begin(), d.next_hops.end(), [&](const FirstHop& p) {
          return p.neighbour.value == target || met.count(p.neighbour.value) != 0;
        });
        return node ? Protection::node : Protection::link;
      };
      Protection best = Protection::none;
      for (const wire::Adjacency& a : net.bodies[root].adjacencies) {
        best = std::max(best, judge({a.link, a.neighbour}));
      }
      REQUIRE(d.protection == best);
      REQUIRE(d.alternate.has_value() == (best != Protection::none));
      if (d.alternate) REQUIRE(judge(*d.alternate) == best);
      ++seen[best];
      ++counted[best];
    }
    Spf::Protected told = spf.count_protected();
    REQUIRE(told.none == counted[Protection::none]);
    REQUIRE(told.link == counted[Protection::link]);
    REQUIRE(told.node == counted[Protection::node]);
  }
  CHECK(seen[Protection::none] > 500);
  CHECK(seen[Protection::link] > 500);
  CHECK(seen[Protection::node] > 500);
}
