// From Prefix LSAs and grants to the FIB: rules N5 and S20 of docs/protocol.md, and what a change
// costs.
#include <catch2/catch.hpp>
#include <random>

#include "dmsc/node/route_keeper.hpp"
#include "tests/unit/node/test_domain.hpp"

using namespace dmsc;
using namespace dmsc::node;
using Entries = std::vector<wire::PrefixEntry>;

namespace {

Name name(const std::string& text) { return *Name::parse(text); }

wire::PrefixEntry entry(const std::string& text, std::uint16_t instance = 1,
                        bool covering = false) {
  return {name(text), covering, 0, {{InstanceId{instance}, 100}}};
}

const test::Authority& authority() {
  static const test::Authority a;
  return a;
}

// Node 1 with a FIB, and gateways 2 and 3 behind its links 2 and 3.
struct Keeper {
  Keeper() {
    learn_object(authority().authority_object);
    for (std::uint32_t id : {1u, 2u, 3u}) learn_identity(id, id == 1 ? "sr" : "sg");
    wire::NodeBody self;
    self.name = "n1";
    for (std::uint32_t id : {2u, 3u}) {
      wire::Adjacency a{NodeId{id}, id, id, 10};
      a.flags = wire::kAdjacencyUsable;
      self.adjacencies.push_back(a);
      a.neighbour = NodeId{1};
      wire::NodeBody body;
      body.name = "n" + std::to_string(id);
      body.adjacencies.push_back(a);
      node(id, body);
      routes.link_up(LinkId{id}, NodeId{id}, 10);
    }
    node(1, self);
    settle();
  }
  void settle() {
    now += seconds(10);
    routes.tick(now);
    now += seconds(10);
    routes.tick(now);
  }
  void learn_object(const Bytes& object) { REQUIRE(trust.learn_object(object).ok()); }
  void learn_identity(std::uint32_t id, const std::string& role) {
    auto identity = authority().identity("n" + std::to_string(id), id, role);
    trust.learn(lsa({NodeId{id}, wire::LsaType::identity, 0},
                    wire::encode(wire::IdentityBody{identity.certificate, {}})));
  }
  const wire::Lsa& lsa(const wire::LsaKey& key, const Bytes& body) {
    lsdb[key] = *wire::make_lsa(key, {1, ++sequence}, 3600, false, body, authority().root_key);
    return *lsdb[key];
  }
  void node(std::uint32_t id, const wire::NodeBody& body) {
    routes.lsa_installed(now, domain_now,
                         lsa({NodeId{id}, wire::LsaType::node, 0}, wire::encode(body)));
  }
  void announce(std::uint32_t id, std::uint16_t fragment, const Entries& entries) {
    announce_raw(id, fragment, wire::encode(wire::PrefixBody{entries, {}}));
  }
  void announce_raw(std::uint32_t id, std::uint16_t fragment, const Bytes& body) {
    routes.lsa_installed(now, domain_now, lsa({NodeId{id}, wire::LsaType::prefix, fragment}, body));
  }
  void withdraw(std::uint32_t id, std::uint16_t fragment) {
    wire::LsaKey key{NodeId{id}, wire::LsaType::prefix, fragment};
    lsdb.erase(key);
    routes.lsa_removed(now, domain_now, key);
  }
  void limit(std::uint32_t prefixes, std::uint64_t serial,
             wire::LimitAction action = wire::LimitAction::block) {
    wire::DomainParameters p;
    p.header = {test::kDomain, 0, serial, test::kNow};
    p.max_prefixes_per_node = prefixes;
    p.max_instances_per_prefix = 2;
    p.actions.fill(action);
    learn_object(wire::sign(p, authority().root_key));
    routes.reconsider(now, domain_now);
  }
  std::string refusal(const std::string& text) {
    for (const auto& a : routes.prefixes().announcements(name(text), domain_now)) {
      if (!a.refusal.empty()) return a.refusal;
    }
    return "";
  }

  trust::TrustStore trust = *trust::TrustStore::create(test::kDomain, authority().root);
  forwarding::ImmediateReclaimer reclaimer;
  forwarding::Fib fib{crypto::Key16{}, reclaimer};
  std::map<wire::LsaKey, wire::LsaPtr> lsdb;
  RouteKeeper routes{NodeId{1}, trust, fib, {nullptr, nullptr, [this](const wire::LsaKey& key) {
                                               auto it = lsdb.find(key);
                                               return it == lsdb.end() ? nullptr : it->second;
                                             },
                                             [this](NodeId origin, std::size_t count) {
                                               over.emplace_back(origin.value, count);
                                             }}};
  std::vector<std::pair<std::uint32_t, std::size_t>> over;
  Time now{};
  DomainTime domain_now = test::kNow;
  std::uint64_t sequence = 0;
};

Entries many(const std::string& under, int count) {
  Entries out;
  for (int i = 0; i < count; ++i) {
    out.push_back(entry(under + "/" + std::to_string(i), static_cast<std::uint16_t>(i + 1)));
  }
  return out;
}

}  // namespace

TEST_CASE("S20 routes: a prefix-only change never runs SPF") {
  Keeper k;
  k.learn_object(authority().grant(2, "shop", 2));
  std::uint64_t runs = k.routes.spf_runs();
  CHECK(runs > 0);
  for (std::uint16_t f = 0; f < 20; ++f) k.announce(2, f, many("shop/" + std::to_string(f), 25));
  k.announce(2, 3, many("shop/x", 3));
  k.withdraw(2, 4);
  k.routes.reconsider(k.now, k.domain_now, NodeId{2});
  CHECK_FALSE(k.routes.backoff().due());
  k.settle();
  CHECK(k.routes.spf_runs() == runs);
  CHECK(k.fib.prefix_count() == 18 * 25 + 3);
}

TEST_CASE("R20 N5 routes: prefixes under one grant cost one check of it") {
  Keeper k;
  k.learn_object(authority().grant(2, "shop", 2));
  k.learn_object(authority().grant(2, "bank", 2, {"pool"}, 2));
  k.announce(2, 0, many("shop", 30));
  CHECK(k.routes.prefixes().work().checks == 1);
  CHECK(k.routes.prefixes().work().decided == 30);
  Entries mixed = many("bank", 15);
  for (const auto& e : many("shop/y", 15)) mixed.push_back(e);
  mixed.push_back(entry("pool"));
  mixed.push_back(entry("other"));
  k.announce(2, 1, mixed);
  CHECK(k.routes.prefixes().work().checks == 3);
  CHECK(k.fib.prefix_count() == 61);
  CHECK(k.refusal("other") == "no grant of n2 covers other");
  CHECK(k.refusal("pool").empty());
}

TEST_CASE("S20 routes: a new version of a fragment costs what it changes") {
  Keeper k;
  k.learn_object(authority().grant(2, "shop", 2));
  Entries entries = many("shop", 30);
  k.announce(2, 0, entries);
  auto before = k.fib.work();
  std::uint64_t decided = k.routes.prefixes().work().decided;
  k.announce(2, 0, entries);  // a refresh
  CHECK(k.fib.work().total() == before.total());
  entries[7].instances[0].capacity = 5;
  entries.erase(entries.begin() + 20);
  entries.push_back(entry("shop/new"));
  k.announce(2, 0, entries);
  CHECK(k.routes.prefixes().work().decided == decided + 2);
  CHECK(k.routes.prefixes().work().differences == 1);
  CHECK(k.fib.work().prefixes == before.prefixes + 3);
  CHECK(k.fib.work().nodes == before.nodes);
  CHECK(k.fib.match("shop/7")->instances()[0].weight == 5);
  CHECK_FALSE(k.fib.match("shop/20"));
  CHECK(k.fib.match("shop/new"));
}

TEST_CASE("S21 routes: losing a link costs the same with ten prefixes and with many") {
  std::vector<std::uint64_t> work;
  for (int fragments : {1, 600}) {
    Keeper k;
    k.learn_object(authority().grant(2, "shop", 2));
    for (int f = 0; f < fragments; ++f) {
      k.announce(2, static_cast<std::uint16_t>(f),
                 many("shop/" + std::to_string(f), fragments == 1 ? 10 : 40));
    }
    CHECK(k.fib.prefix_count() == static_cast<std::size_t>(fragments == 1 ? 10 : 600 * 40));
    auto before = k.fib.work();
    k.routes.link_down(LinkId{2});
    CHECK_FALSE(k.fib.link_alive(2));
    auto after = k.fib.work();
    CHECK(after.prefixes == before.prefixes);
    CHECK(after.groups == before.groups);
    work.push_back(after.total() - before.total());
    // And SPF after it: destinations, no prefix, no group of one gateway.
    wire::NodeBody body;
    body.name = "n2";
    k.node(2, body);
    k.settle();
    CHECK_FALSE(k.fib.node(NodeId{2}));
    CHECK(k.fib.work().prefixes == before.prefixes);
    CHECK(k.fib.work().weights == before.weights);
    work.push_back(k.fib.work().total() - before.total());
  }
  CHECK(work[0] == 1);
  CHECK(work[2] == work[0]);
  CHECK(work[3] == work[1]);
}

TEST_CASE(
    "N5 routes: over the domain's limit the first entries by fragment count, at every node alike") {
  Keeper k;
  k.learn_object(authority().grant(2, "shop", 2));
  k.limit(50, 1);
  for (std::uint16_t f : {4, 0, 2}) k.announce(2, f, many("shop/" + std::to_string(f), 20));
  CHECK(k.fib.prefix_count() == 50);
  CHECK(k.fib.match("shop/0/19"));
  CHECK(k.fib.match("shop/2/19"));
  CHECK(k.fib.match("shop/4/9"));
  CHECK_FALSE(k.fib.match("shop/4/10"));
  CHECK(k.refusal("shop/4/10") == "over the domain's limit of prefixes per node");
  k.announce(2, 2, many("shop/2", 15));
  CHECK(k.fib.match("shop/4/14"));
  CHECK_FALSE(k.fib.match("shop/4/15"));
  k.announce(2, 1, many("shop/1", 40));
  CHECK(k.fib.prefix_count() == 50);
  CHECK_FALSE(k.fib.match("shop/2/0"));
  k.withdraw(2, 1);
  CHECK(k.fib.match("shop/4/14"));
  k.limit(1000, 2);
  CHECK(k.fib.prefix_count() == 55);
  k.limit(10, 3);
  CHECK(k.fib.prefix_count() == 10);
  wire::PrefixEntry wide = entry("shop/0/0");
  wide.instances = {{InstanceId{1}, 1}, {InstanceId{2}, 2}, {InstanceId{3}, 3}};
  k.announce(2, 0, {wide});
  CHECK(k.fib.match("shop/0/0")->instances().size() == 2);
}

TEST_CASE("N5 LS-C7 routes: over the limit an origin is told of, and with `warn` nothing is cut") {
  Keeper k;
  k.learn_object(authority().grant(2, "shop", 2));
  k.limit(50, 1, wire::LimitAction::warn);
  for (std::uint16_t f : {0, 1, 2}) k.announce(2, f, many("shop/" + std::to_string(f), 20));
  CHECK(k.fib.prefix_count() == 60);
  using Told = std::vector<std::pair<std::uint32_t, std::size_t>>;
  CHECK(std::exchange(k.over, {}) == Told{{2, 60}});
  k.announce(2, 2, many("shop/2", 21));  // by difference
  CHECK(k.fib.prefix_count() == 61);
  CHECK(std::exchange(k.over, {}) == Told{{2, 61}});
  k.limit(50, 2, wire::LimitAction::isolate);
  CHECK(k.fib.prefix_count() == 50);
  CHECK_FALSE(std::exchange(k.over, {}).empty());
  k.announce(2, 2, many("shop/2", 10));
  CHECK(k.fib.prefix_count() == 50);
  CHECK(k.over.empty());
  for (std::uint16_t f : {0, 1}) k.announce(3, f, many("other/" + std::to_string(f), 40));  // refused names count for nothing
  CHECK(k.over.empty());
}

TEST_CASE("S20 routes: many LSAs looked up ahead come to the same as one after the other") {
  std::mt19937 random(11);
  Keeper plain, ahead;
  for (Keeper* k : {&plain, &ahead}) {
    for (std::uint32_t id : {2u, 3u}) k->learn_object(authority().grant(id, "shop", 3, {}, id));
    k->limit(150, 1);
  }
  std::map<std::pair<std::uint32_t, std::uint16_t>, Entries> said;
  for (int round = 0; round < 300; ++round) {
    std::vector<wire::LsaPtr> lsas;
    for (std::size_t n = 1 + random() % 12; n-- > 0;) {
      auto id = 2 + static_cast<std::uint32_t>(random() % 2);
      auto fragment = static_cast<std::uint16_t>(random() % 6);
      Entries& entries = said[{id, fragment}];
      switch (random() % 8) {
        case 0:
          entries = many("shop/" + std::to_string(fragment), static_cast<int>(random() % 40));
          break;
        case 1:  // a name of another fragment, or twice: not by difference
          entries.push_back(entry("shop/" + std::to_string(random() % 6) + "/1"));
          break;
        case 2:
          entries.push_back(entry("none/" + std::to_string(random() % 9)));  // no grant for that
          break;
        case 3:
          if (!entries.empty()) entries.erase(entries.begin());
          break;
        case 4:
          if (!entries.empty()) std::swap(entries.front(), entries.back());
          break;
        default:
          if (!entries.empty()) {
            entries[random() % entries.size()] =
                entry("shop/x/" + std::to_string(random() % 500),
                      static_cast<std::uint16_t>(1 + random() % 3), random() % 2 == 0);
          }
          break;
      }
      Bytes body = wire::encode(wire::PrefixBody{entries, {}});
      wire::LsaKey key{NodeId{id}, wire::LsaType::prefix, fragment};
      plain.lsa(key, body);
      plain.routes.lsa_installed(plain.now, plain.domain_now, *plain.lsdb[key]);
      ahead.lsa(key, body);
      lsas.push_back(ahead.lsdb[key]);
    }
    // The same fragment may be there twice; the database then has the last of them only.
    ahead.routes.foresee(lsas);
    for (const wire::LsaPtr& lsa : lsas) {
      if (random() % 10 == 0) {
        ahead.routes.reconsider(ahead.now, ahead.domain_now, lsa->key.origin);
      }
      if (random() % 10 == 0) ahead.routes.foresee(lsas);
      ahead.routes.lsa_installed(ahead.now, ahead.domain_now, *lsa);
    }
    std::map<std::string, std::vector<std::pair<std::uint32_t, std::uint16_t>>> tables[2];
    for (Keeper* k : {&plain, &ahead}) {
      k->fib.for_each_prefix([&](std::string_view prefix, const forwarding::InstanceGroup& g) {
        auto& row = tables[k == &ahead][std::string(prefix)];
        for (const auto& i : g.instances()) row.emplace_back(i.egress.value, i.id.value);
      });
    }
    REQUIRE(tables[0] == tables[1]);
    REQUIRE(plain.routes.prefixes().counts().used == ahead.routes.prefixes().counts().used);
    REQUIRE(plain.routes.prefixes().counts().entries == ahead.routes.prefixes().counts().entries);
  }
  CHECK(ahead.routes.prefixes().work().differences > 200);
}

TEST_CASE("R20 N5 routes: a grant that ends takes its prefixes out and leaves the others") {
  Keeper k;
  k.learn_object(authority().grant(2, "shop", 2, {}, 1, 100));
  k.learn_object(authority().grant(2, "bank", 2, {}, 2, 1000));
  k.learn_object(authority().grant(3, "shop", 2, {}, 3, 500));
  k.announce(2, 0, many("shop", 3));
  k.announce(2, 1, many("bank", 3));
  k.announce(3, 0, many("shop", 3));
  CHECK(k.routes.next_expiry() == test::kNow + 100);
  k.domain_now = test::kNow + 101;
  k.routes.end_grants(k.domain_now);
  CHECK(k.routes.rib().find(name("shop/1"))->choices.size() == 1);
  CHECK(k.fib.match("bank/1"));
  CHECK(k.routes.next_expiry() == test::kNow + 500);
  CHECK(k.refusal("shop/1").find("has expired") != std::string::npos);
  k.domain_now = test::kNow + 501;
  k.routes.end_grants(k.domain_now);
  CHECK_FALSE(k.fib.match("shop/1"));
  CHECK(k.routes.next_expiry() == test::kNow + 1000);
}

TEST_CASE(
    "N5 routes: a body that does not decode counts as empty, and its successor counts again") {
  Keeper k;
  k.learn_object(authority().grant(2, "shop", 2));
  k.announce(2, 0, many("shop", 5));
  Bytes bad = wire::encode(wire::PrefixBody{many("shop", 5), {}});
  ByteWriter w;
  w.bytes(bad).u16(1).u16(3).u8(0).u16(0);  // an entry cut short
  k.announce_raw(2, 0, w.take());
  CHECK(k.fib.prefix_count() == 0);
  k.announce(2, 0, many("shop", 6));
  CHECK(k.fib.prefix_count() == 6);
}

TEST_CASE("N5 routes: random versions, grants and limits leave what a fresh start would have") {
  std::mt19937 random(11);
  for (int seed = 0; seed < 4; ++seed) {
    Keeper live;
    std::map<std::pair<std::uint32_t, std::uint16_t>, Bytes> bodies;
    std::vector<Bytes> grants;
    std::uint64_t serial = 1;
    std::uint32_t limit = 100000;
    for (int step = 0; step < 150; ++step) {
      std::uint32_t id = 2 + random() % 2;
      std::uint16_t fragment = static_cast<std::uint16_t>(random() % 4);
      switch (random() % 10) {
        case 0:
          grants.push_back(authority().grant(
              id, random() % 2 == 0 ? "shop" : "shop/1", static_cast<std::uint8_t>(random() % 3),
              random() % 2 == 0 ? std::vector<std::string>{"p"} : std::vector<std::string>{},
              ++serial));
          live.learn_object(grants.back());
          live.routes.reconsider(live.now, live.domain_now, NodeId{id});
          break;
        case 1:
          limit = random() % 2 == 0 ? 100000 : 5 + random() % 30;
          live.limit(limit, ++serial);
          break;
        case 2:
          live.withdraw(id, fragment);
          bodies.erase({id, fragment});
          break;
        default: {
          // Mostly a small step from the version before.
          auto held = bodies.find({id, fragment});
          Entries entries;
          if (held != bodies.end()) entries = wire::decode_prefix_body(held->second)->entries;
          for (unsigned n = random() % 3; n-- > 0 && !entries.empty();) {
            entries.erase(entries.begin() + random() % entries.size());
          }
          for (unsigned n = random() % 4; n-- > 0;) {
            std::string text = random() % 6 == 0 ? "p" : "shop/" + std::to_string(random() % 3);
            if (text != "p" && random() % 2 == 0) text += "/" + std::to_string(random() % 9);
            entries.insert(entries.begin() + random() % (entries.size() + 1),
                           entry(text, static_cast<std::uint16_t>(1 + random() % 3)));
          }
          bodies[{id, fragment}] = wire::encode(wire::PrefixBody{entries, {}});
          live.announce_raw(id, fragment, bodies[{id, fragment}]);
        }
      }
      if (step % 10 != 9) continue;
      Keeper fresh;
      for (const Bytes& grant : grants) fresh.learn_object(grant);
      fresh.limit(limit, 1);
      live.limit(limit, ++serial);  // the same limit of instances
      for (const auto& [key, body] : bodies) fresh.announce_raw(key.first, key.second, body);
      REQUIRE(live.routes.rib().routes() == fresh.routes.rib().routes());
      REQUIRE(live.fib.prefix_count() == fresh.fib.prefix_count());
      REQUIRE(live.routes.prefixes().counts().used == fresh.routes.prefixes().counts().used);
      REQUIRE(live.routes.prefixes().counts().entries == fresh.routes.prefixes().counts().entries);
    }
  }
}
