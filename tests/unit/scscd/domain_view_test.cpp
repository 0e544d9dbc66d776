#include <catch2/catch.hpp>

#include "tests/unit/scscd/figure2.hpp"

using namespace dmsc;
using namespace dmsc::test;
using Event = scscd::DomainView::Event;

TEST_CASE("scscd: the view is learnt from LSDB events alone, whatever their order") {
  auto view = Figure2().view();
  CHECK(view.nodes().size() == 7);
  CHECK(view.node_name(NodeId{kSg4}) == "sg-4");
  CHECK(view.instances(name("B")).size() == 4);
  CHECK(view.instances(name("B/4")).size() == 1);
  CHECK(view.spf_path(NodeId{kSg1}, NodeId{kSg4}) ==
        std::vector<NodeId>{NodeId{kSg1}, NodeId{kSr2}, NodeId{kSg4}});
  CHECK(view.distance(NodeId{kSg1}, NodeId{kSg4}) == 20);
}

TEST_CASE("scscd: an LSA with a wrong signature is refused, the view unchanged") {
  Figure2 f;
  auto view = f.view();
  Bytes raw = f.node_lsa(kSr1)->raw;
  raw[kSr1 + 40] ^= 1;
  CHECK_FALSE(view.apply(NodeId{kSr1}, Event::installed, raw).ok());
  CHECK_FALSE(view.apply(NodeId{kSr1}, Event::installed, Bytes{1, 2, 3}).ok());
  CHECK(view.nodes().size() == 7);
}

TEST_CASE("scscd: a prefix without a grant is nobody's instance") {
  Figure2 f;
  auto view = f.view();
  wire::PrefixBody body;
  body.entries.push_back({name("bank/vault"), false, 0, {{InstanceId{1}, 100}}});
  auto lsa = f.domain.lsa(kSg1, wire::LsaType::prefix, wire::encode(body), key_of(kSg1), 7);
  REQUIRE(view.apply(NodeId{kSr1}, Event::installed, lsa->raw).ok());
  CHECK(view.instances(name("bank/vault")).empty());
}

TEST_CASE("scscd: what the next snapshot of another feed lacks is gone") {
  Figure2 f;
  auto view = f.view();
  view.feed_lost(NodeId{kSr1});
  CHECK(view.nodes().size() == 7);
  Figure2 smaller = f;
  smaller.links.erase(kSg4);
  smaller.feed(view, kSr2);
  CHECK(view.nodes().size() == 6);
  CHECK(view.instances(name("B/4")).empty());
}

TEST_CASE("scscd: the best path avoids links without a cost and never crosses a gateway") {
  auto view = Figure2().view();
  auto bad = scscd::link_between(NodeId{kSr2}, NodeId{kSg4});
  auto cost = [&](scscd::LinkName link) {
    return link == bad ? std::optional<double>() : std::optional<double>(1);
  };
  auto path = view.best_path(NodeId{kSg1}, NodeId{kSg4}, cost);
  REQUIRE(path.size() == 4);
  CHECK(path[2] == NodeId{kSr3});
  CHECK(view.best_path(NodeId{kSg1}, NodeId{kSg4}, [](auto) { return std::optional<double>(); })
            .empty());
}
