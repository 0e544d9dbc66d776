// Routers' route keepers joined in virtual time: adjacencies come and go, Node LSAs arrive at each
// node after a delay of their own, packets are walked through the FIBs. No sockets, no signatures.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "dmsc/forwarding/decision.hpp"
#include "dmsc/node/route_keeper.hpp"
#include "tests/unit/node/test_domain.hpp"

namespace dmsc::node::test {

class KeeperNetwork {
 public:
  using Edges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  // Nodes 1..routers are transit, the others gateways. All links have metric 10.
  KeeperNetwork(std::uint32_t count, std::uint32_t router_count, Edges edge_list,
                routing::SpfDelayConfig delays, std::uint32_t seed)
      : nodes(count),
        routers(router_count),
        edges(std::move(edge_list)),
        spf(delays),
        random(seed) {
    for (std::uint32_t id = 1; id <= count; ++id) {
      auto identity =
          authority.identity("n-" + std::to_string(id), id, id <= routers ? "sr" : "sg");
      wire::IdentityBody body{identity.certificate, {}};
      auto lsa = wire::make_lsa({NodeId{id}, wire::LsaType::identity, 0}, {1, 1}, 3600, false,
                                wire::encode(body), crypto::SigningKey(identity.key_seed));
      trust.learn(**lsa);
    }
    for (std::uint32_t id = 1; id <= count; ++id) start(id);
    for (auto [a, b] : edges) join(a, b);
    for (std::uint32_t id = 1; id <= count; ++id) advertise(id, Duration(0));
    run(now + seconds(10));
  }

  void start(std::uint32_t id) {
    auto& node = live[id] = std::make_unique<Live>();
    node->keeper = std::make_unique<RouteKeeper>(NodeId{id}, trust, node->fib,
                                                 RouteKeeper::Hooks{nullptr, [] {}}, spf);
  }
  // Dead at once; its neighbours notice after the hold time, each at its own moment.
  void kill(std::uint32_t id) {
    live[id].reset();
    for (std::uint32_t peer : neighbours(id)) {
      at(now + hold + within(milliseconds(50)), [this, id, peer] {
        up.erase({peer, id});
        live[peer]->keeper->link_down(LinkId{id});
        advertise(peer, Duration(0));
      });
    }
  }
  // The adjacency is up at both ends now; they tell the domain after kUpHold (LS "up hold").
  void join(std::uint32_t a, std::uint32_t b) {
    for (auto [self, peer] : {std::pair{a, b}, std::pair{b, a}}) {
      up.insert({self, peer});
      live[self]->keeper->link_up(LinkId{peer}, NodeId{peer}, 10);
      advertise(self, milliseconds(50));
    }
  }
  // What `from` holds reaches `to`, as database synchronisation does it.
  void synchronise(std::uint32_t from, std::uint32_t to) {
    for (const auto& [origin, lsa] : live[from]->held) deliver(to, lsa);
  }

  void run(Time end) {
    while (now < end) {
      now = std::min(end, next());
      while (!events.empty() && events.begin()->first <= now) {
        auto action = std::move(events.begin()->second);
        events.erase(events.begin());
        action();
      }
      for (auto& [id, node] : live) {
        if (node) node->keeper->tick(now);
      }
    }
  }

  // Does a packet with this flow id get from gateway to gateway now?
  bool walk(std::uint32_t from, std::uint32_t to, std::uint64_t flow) const {
    wire::ServicePacketSpec spec;
    spec.hop_limit = 32;
    spec.destination = "B/1";
    spec.ingress = NodeId{from};
    spec.egress = NodeId{to};
    spec.flow = flow;
    auto bytes = wire::build_service_packet(spec, {});
    auto packet = wire::ServicePacket::parse(*bytes);
    for (std::uint32_t at_node = from;;) {
      auto it = live.find(at_node);
      if (!it->second) return false;
      auto verdict = forwarding::decide(it->second->fib, NodeId{at_node}, *packet, at_node == from);
      if (verdict.action == forwarding::Action::deliver) return at_node == to;
      if (verdict.action != forwarding::Action::forward) return false;
      at_node = verdict.next_hop.link;  // a link's id is that of the node at its far end
    }
  }

  Duration within(Duration most) {
    return Duration(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most.count())));
  }
  void at(Time when, std::function<void()> action) { events.emplace(when, std::move(action)); }
  std::vector<std::uint32_t> neighbours(std::uint32_t id) const {
    std::vector<std::uint32_t> out;
    for (auto [a, b] : edges) {
      if (a == id) out.push_back(b);
      if (b == id) out.push_back(a);
    }
    return out;
  }

  struct Live {
    forwarding::ImmediateReclaimer reclaimer;
    forwarding::Fib fib{crypto::Key16{}, reclaimer};
    std::unique_ptr<RouteKeeper> keeper;
    std::map<std::uint32_t, wire::LsaPtr> held;
  };
  Authority authority;
  trust::TrustStore trust = *trust::TrustStore::create(kDomain, authority.root);
  std::uint32_t nodes, routers;
  Edges edges;
  routing::SpfDelayConfig spf;
  Duration hold = milliseconds(300), flood = milliseconds(20);  // flood: longest way of an LSA
  std::mt19937 random;
  Time now{};
  std::map<std::uint32_t, std::unique_ptr<Live>> live;

 private:
  Time next() const {
    std::optional<Time> soonest;
    auto sooner = [&](std::optional<Time> t) {
      if (t && (!soonest || *t < *soonest)) soonest = t;
    };
    if (!events.empty()) sooner(events.begin()->first);
    for (const auto& [id, node] : live) {
      if (node) sooner(node->keeper->next_deadline());
    }
    return std::max(soonest.value_or(Time::max()), now);
  }
  void advertise(std::uint32_t id, Duration after) {
    at(now + after, [this, id] {
      if (!live[id]) return;
      wire::NodeBody body;
      body.name = "n-" + std::to_string(id);
      body.no_transit = id > routers;
      for (std::uint32_t peer : neighbours(id)) {
        if (up.count({id, peer}) == 0) continue;
        wire::Adjacency a;
        a.neighbour = NodeId{peer};
        a.link = peer;
        a.neighbour_link = id;
        a.metric = 10;
        a.flags = wire::kAdjacencyUsable;
        body.adjacencies.push_back(a);
      }
      auto lsa = wire::make_lsa({NodeId{id}, wire::LsaType::node, 0}, {1, ++sequence}, 3600, false,
                                wire::encode(body), authority.root_key);
      deliver(id, *lsa);
      for (std::uint32_t to = 1; to <= nodes; ++to) {
        if (to == id) continue;
        at(now + milliseconds(1) + within(flood), [this, to, kept = *lsa] { deliver(to, kept); });
      }
    });
  }
  void deliver(std::uint32_t to, const wire::LsaPtr& lsa) {
    if (!live[to]) return;
    wire::LsaPtr& held = live[to]->held[lsa->key.origin.value];
    if (held && !(held->version < lsa->version)) return;
    held = lsa;
    live[to]->keeper->lsa_installed(now, kNow, *lsa);
  }
  std::set<std::pair<std::uint32_t, std::uint32_t>> up;
  std::multimap<Time, std::function<void()>> events;
  std::uint64_t sequence = 0;
};

}  // namespace dmsc::node::test
