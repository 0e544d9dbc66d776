// The domain of the draft's Figure 2 as LSDB events: routers 1-3, gateways 4-7, pools A and B whose
// instance at gateway g is number 1. Every link has metric 10.
#pragma once
#include "scscd/domain_view.hpp"
#include "tests/unit/trust/domain.hpp"

namespace dmsc::test {

inline constexpr std::uint32_t kSr1 = 1, kSr2 = 2, kSr3 = 3, kSg1 = 4, kSg2 = 5, kSg3 = 6, kSg4 = 7;

struct Figure2 {
  Domain domain;
  std::map<std::uint32_t, std::vector<std::uint32_t>> links{
      {1, {2, 3, 4, 5, 6}}, {2, {1, 3, 4, 5, 7}}, {3, {1, 2, 6, 7}},
      {4, {1, 2}},          {5, {1, 2}},          {6, {1, 3}},          {7, {2, 3}}};

  static std::string name_of(std::uint32_t n) {
    return n <= 3 ? "sr-" + std::to_string(n) : "sg-" + std::to_string(n - 3);
  }

  wire::LsaPtr node_lsa(std::uint32_t n) const {
    wire::NodeBody body;
    body.name = name_of(n);
    body.role = n <= 3 ? wire::NodeRole::router : wire::NodeRole::gateway;
    body.no_transit = n > 3;
    for (std::uint32_t peer : links.at(n)) {
      wire::Adjacency a;
      a.neighbour = NodeId{peer};
      a.link = peer;
      a.neighbour_link = n;
      a.metric = 10;
      a.flags = wire::kAdjacencyUsable;
      body.adjacencies.push_back(a);
    }
    return domain.lsa(n, wire::LsaType::node, wire::encode(body), key_of(static_cast<std::uint8_t>(n)));
  }

  wire::LsaPtr prefix_lsa(std::uint32_t n) const {
    std::string i = std::to_string(n - 3);
    wire::PrefixBody body;
    for (std::string text : {std::string("A"), std::string("B"), "A/" + i, "B/" + i}) {
      body.entries.push_back({*Name::parse(text), false, 0, {{InstanceId{1}, 100}}});
    }
    return domain.lsa(n, wire::LsaType::prefix, wire::encode(body),
                      key_of(static_cast<std::uint8_t>(n)));
  }

  std::vector<wire::LsaPtr> grants(std::uint32_t n) const {
    std::vector<wire::LsaPtr> out;
    std::uint16_t fragment = 0;
    for (const char* pool : {"A", "B"}) {
      wire::Grant g = domain.grant(n, (std::string(pool) + "/" + std::to_string(n - 3)).c_str());
      g.header.serial = n * 10 + fragment;
      g.pools = {name(pool)};
      out.push_back(domain.grant_lsa(n, g, fragment++));
    }
    return out;
  }

  // The whole LSDB as one snapshot of `feed`.
  void feed(scscd::DomainView& view, std::uint32_t feed) const {
    using Event = scscd::DomainView::Event;
    auto give = [&](const wire::LsaPtr& lsa) {
      return view.apply(NodeId{feed}, Event::snapshot, lsa->raw).ok();
    };
    for (const auto& [n, peers] : links) {
      give(node_lsa(n));  // before its identity: has to wait
      if (n > 3) {
        give(prefix_lsa(n));
        for (const auto& grant : grants(n)) give(grant);
      }
      give(domain.identity_lsa(n));
    }
    (void)view.apply(NodeId{feed}, Event::snapshot_end, {});
  }

  scscd::DomainView view() const {
    scscd::DomainView v(domain.id, domain.empty_store());
    v.set_now(Time{});
    v.heard_time(Time{}, domain.now);
    v.learn_object(sign(domain.authority(1), domain.root_key));
    feed(v, kSr1);
    return v;
  }
};

}  // namespace dmsc::test
