// Path MTUs against an oracle that walks every path.
#include "dmsc/routing/path_mtu.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/routing/graphs.hpp"

using namespace dmsc;
using namespace dmsc::routing;

namespace {

struct MtuNetwork : TestNetwork {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint16_t> mtus;  // (node, link)
  LinkMtus links;

  void set(std::uint32_t node, std::uint32_t link, std::uint16_t mtu) { mtus[{node, link}] = mtu; }
  void both(std::uint32_t a, std::uint32_t b, std::uint32_t link, std::uint16_t mtu) {
    set(a, link, mtu);
    set(b, link, mtu);
  }
  void tell() {
    for (auto& [id, body] : bodies) {
      body.unknown.clear();
      std::vector<wire::LinkMtu> told;
      for (const wire::Adjacency& a : body.adjacencies) {
        auto it = mtus.find({id, a.link});
        if (it != mtus.end()) told.push_back({a.link, it->second});
      }
      wire::add_link_mtus(body, told);
      links.set(NodeId{id}, 0, body);
    }
  }
  PathMtuTable table(std::uint32_t root, bool alternates, const std::vector<LabelledPath>& paths = {}) {
    tell();
    Topology t = topology();
    Spf spf{NodeId{root}};
    spf.update(t);
    if (alternates) spf.update_alternates(t);
    return path_mtus(t, spf, links, paths);
  }
};

// The least over every shortest path from `at` to `to`, step by step.
std::uint16_t walk(const Topology& t, const LinkMtus& links, NodeId from, NodeId at, NodeId to) {
  if (at == to) return 0xffff;
  auto rest = distances_from(t, at);
  std::uint16_t least = 0xffff;
  if (at != from && !t.transit_allowed(t.index(at))) return 0xffff;
  for (const Edge& e : t.edges(t.index(at))) {
    NodeId next = t.node(e.to);
    auto beyond = distances_from(t, next);
    bool passes = next == to || t.transit_allowed(e.to);
    std::uint32_t left = next == to ? 0 : beyond[t.index(to)];
    if (!passes || left == kUnreachable || e.metric + left != rest[t.index(to)]) continue;
    least = std::min({least, links.of(at, e.link), walk(t, links, from, next, to)});
  }
  return least;
}

}  // namespace

TEST_CASE("PM1 path MTU: the least over every branch of equal cost, as found by walking all paths") {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    MtuNetwork net;
    static_cast<TestNetwork&>(net) = random_network(random, 9, 2);
    for (auto& [id, body] : net.bodies) {
      for (const wire::Adjacency& a : body.adjacencies) {
        if (random() % 2 == 0) net.set(id, a.link, static_cast<std::uint16_t>(1280 + random() % 400));
      }
    }
    PathMtuTable table = net.table(1, false);
    Topology t = net.topology();
    auto distances = distances_from(t, NodeId{1});
    for (std::uint32_t to = 2; to <= 9; ++to) {
      if (t.index(NodeId{to}) == Topology::kNone || distances[t.index(NodeId{to})] == kUnreachable) continue;
      CHECK(table.to(NodeId{to}) == walk(t, net.links, NodeId{1}, NodeId{1}, NodeId{to}));
    }
  }
}

TEST_CASE("PM2 path MTU: own alternates and where they lead count, with them in use or not") {
  MtuNetwork net;
  net.connect(1, 2, 1);
  net.connect(2, 4, 1);
  std::uint32_t other = net.connect(1, 3, 3);
  std::uint32_t far = net.connect(3, 4, 2);
  net.both(3, 4, far, 1300);
  CHECK(net.table(1, false).to(NodeId{4}) == 1400);
  CHECK(net.table(1, true).to(NodeId{4}) == 1300);
  CHECK(net.table(1, true).to(NodeId{2}) == 1300);  // by 3 and 4
  net.both(1, 3, other, 1290);
  CHECK(net.table(1, true).to(NodeId{4}) == 1290);
}

TEST_CASE("PM3 path MTU: explicit paths in use count, with the narrowest of parallel links") {
  MtuNetwork net;
  net.connect(1, 2, 1);
  net.connect(1, 3, 50);
  std::uint32_t one = net.connect(3, 2, 50);
  net.connect(3, 2, 50);
  net.both(3, 2, one, 1310);
  std::vector<NodeId> nodes{NodeId{1}, NodeId{3}, NodeId{2}};
  CHECK(net.table(1, false).to(NodeId{2}) == 1400);
  CHECK(net.table(1, false, {{NodeId{2}, &nodes}}).to(NodeId{2}) == 1310);
}

TEST_CASE("PM4 path MTU: with links that tell nothing no path is looked at, and all carry 1,400") {
  MtuNetwork net;
  net.connect(1, 2, 1);
  PathMtuTable table = net.table(1, true);
  CHECK(table.by_node.empty());
  CHECK(table.to(NodeId{2}) == 1400);
  CHECK(table.to(NodeId{999}) == 1400);
}

TEST_CASE("PM5 path MTU: what a link carries is told and taken back by fragment, larger ones too") {
  LinkMtus links;
  wire::NodeBody body;
  wire::add_link_mtus(body, {{5, 8900}});
  CHECK(links.set(NodeId{1}, 3, body));
  CHECK_FALSE(links.set(NodeId{1}, 3, body));
  CHECK(links.of(NodeId{1}, 5) == 8900);
  CHECK_FALSE(links.all_untold());
  CHECK(links.remove(NodeId{1}, 3));
  CHECK_FALSE(links.remove(NodeId{1}, 3));
  CHECK(links.of(NodeId{1}, 5) == 1400);
  CHECK(links.all_untold());
}
