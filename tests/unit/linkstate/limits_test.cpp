// docs/protocol.md, "Limits": what one origin may say, and what is done about one who says more.
#include "dmsc/linkstate/limits.hpp"

#include "dmsc/linkstate/auth.hpp"
#include "dmsc/wire/spa_lsa.hpp"
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;
using wire::Limit;
using wire::LimitAction;

namespace {

wire::LsaPtr lsa_of(wire::LsaKey key, std::uint32_t lifetime = 3600, ByteView body = {}) {
  return *wire::make_lsa(key, {1, 1}, lifetime, false, body, crypto::SigningKey(seed(1)));
}

std::optional<Limit> excess(wire::LsaType type, std::uint16_t fragment,
                            const wire::DomainParameters& limits = {}) {
  auto found = excess_of(*lsa_of({NodeId{3}, type, fragment}), limits);
  if (!found) return std::nullopt;
  return found->limit;
}

// The root's limits, as a gateway injects them.
void set_limits(Net& net, int node, std::uint64_t serial,
                const std::function<void(wire::DomainParameters&)>& change) {
  wire::DomainParameters p;
  p.header = {DomainId{7}, 0, serial, {1000}};
  change(p);
  net[node].engine.inject(net.now, *wire::make_spa_lsa(wire::sign(p, crypto::SigningKey(seed(200)))));
}

// The harness' judge knows no SPA LSAs: they carry their object's signature, not their own.
void trust_the_root(Net& net) {
  net.judge_override = [](const wire::Lsa& lsa, const Node&) -> std::optional<bool> {
    if (!is_issuer_origin(lsa.key.origin)) return std::nullopt;
    auto object = wire::decode_object_body(lsa.body());
    return object && wire::verify_object(*object, crypto::SigningKey(seed(200)).public_key());
  };
}

std::size_t prefix_count(Net& net, int at, std::uint32_t origin) {
  std::size_t count = 0;
  for (const LsdbEntryView& entry : net[at].engine.lsdb(net.now)) {
    const wire::Lsa& lsa = *entry.lsa;
    if (lsa.key.origin != NodeId{origin} || lsa.key.type != wire::LsaType::prefix || lsa.purge) continue;
    count += wire::decode_prefix_body(lsa.body())->entries.size();
  }
  return count;
}

std::vector<wire::PrefixEntry> numbered(int count) {
  std::vector<wire::PrefixEntry> out;
  for (int i = 0; i < count; ++i) out.push_back(prefix("s/" + std::to_string(i)));
  return out;
}

// Node 0 speaks as node `origin` (its own id by default) beyond what an engine would: a datagram of the
// session it has with node 1, with one LSA signed by node 0's key.
void say(Net& net, wire::LsaType type, std::uint16_t fragment, std::uint32_t lifetime = 3600,
         ByteView body = {}) {
  static std::uint64_t counter = 1ULL << 62;
  Node& liar = net[0];
  Bytes certificate = wire::encode(wire::IdentityBody{to_bytes(liar.config.signer.public_key()), {}});
  if (type == wire::LsaType::identity) body = certificate;
  auto lsa = *wire::make_lsa({liar.config.self, type, fragment}, {2'000'000'000, counter}, lifetime,
                             false, body, liar.config.signer);
  ByteWriter update;
  update.u32(lifetime).bytes(lsa->raw);
  ControlKeys keys(liar.config.keys, liar.config.domain);
  wire::PduHeader header{wire::PduType::update, keys.active_id(), liar.config.self, 1,
                         liar.config.session, ++counter};
  net[1].engine.receive(net.now, LinkId{1}, wire::seal_pdu(header, update.view(), *keys.active()));
  net.drain(1);
}

}  // namespace

TEST_CASE("LS-C1 whether an LSA is within the limits follows from it and the domain parameters alone") {
  wire::DomainParameters p;
  CHECK_FALSE(excess(wire::LsaType::prefix, 4095));
  CHECK_FALSE(excess(wire::LsaType::grant, 4095));
  CHECK_FALSE(excess(wire::LsaType::identity, 0));
  CHECK(excess(wire::LsaType::identity, 1) == Limit::lsa);
  CHECK_FALSE(excess(wire::LsaType::node, 60));
  CHECK(excess(wire::LsaType::node, 61) == Limit::neighbours);  // 1,024 adjacencies, 17 in a fragment
  CHECK_FALSE(excess(static_cast<wire::LsaType>(200), 15));
  CHECK(excess(static_cast<wire::LsaType>(200), 16) == Limit::lsa);
  CHECK(excess(wire::LsaType::revocation, 0) == Limit::lsa);  // no node may say such a thing
  p.max_prefixes_per_node = 100;
  CHECK_FALSE(excess(wire::LsaType::prefix, 99, p));
  CHECK(excess(wire::LsaType::prefix, 100, p) == Limit::prefixes);
  CHECK_FALSE(excess_of(*lsa_of({NodeId{3}, wire::LsaType::node, 0}, 86400), p));
  CHECK(excess_of(*lsa_of({NodeId{3}, wire::LsaType::node, 0}, 86401), p)->limit == Limit::lsa);
  CHECK_FALSE(excess_of(*lsa_of({issuer_origin(0), wire::LsaType::authority, 0}, 315360000), p));
}

TEST_CASE("LS-C1 names longer or deeper than the domain allows are over the limit") {
  wire::DomainParameters p;
  wire::PrefixBody body;
  body.entries = {prefix("a/b/c"), prefix(std::string(40, 'x'))};
  auto lsa = lsa_of({NodeId{3}, wire::LsaType::prefix, 0}, 3600, wire::encode(body));
  CHECK_FALSE(excess_of(*lsa, p));
  p.max_name_bytes = 40;
  CHECK_FALSE(excess_of(*lsa, p));
  p.max_name_bytes = 39;
  CHECK(excess_of(*lsa, p)->limit == Limit::names);
  p.max_name_bytes = 255;
  p.max_name_components = 2;
  CHECK(excess_of(*lsa, p)->detail == "a/b/c");
}

TEST_CASE("LS-C2 warn: told, and taken as well") {
  Net net = Net::line(3);
  trust_the_root(net);
  set_limits(net, 2, 1, [](wire::DomainParameters& p) { p.actions.fill(LimitAction::warn); });
  net.run(seconds(2));
  say(net, wire::LsaType::prefix, 4095);
  say(net, wire::LsaType::identity, 7);
  net.run(milliseconds(100));
  CHECK(net[2].engine.find({NodeId{1}, wire::LsaType::identity, 7}) != nullptr);
  CHECK(net[1].engine.counters().limit_warned == 1);
  REQUIRE(net[1].exceeded.size() == 1);
  CHECK(net[1].exceeded[0].offender == NodeId{1});
  CHECK(net[1].exceeded[0].action == LimitAction::warn);
}

TEST_CASE("LS-C2 block: not taken and not passed on; the offender is named, its neighbours stay") {
  Net net = Net::line(3);
  net.run(seconds(2));
  U128 before = net[1].engine.digest();
  for (std::uint16_t fragment = 1; fragment <= 50; ++fragment) {
    say(net, wire::LsaType::identity, fragment);
    say(net, static_cast<wire::LsaType>(99), static_cast<std::uint16_t>(16 + fragment));
    say(net, wire::LsaType::node, static_cast<std::uint16_t>(61 + fragment));
    say(net, wire::LsaType::prefix, fragment, 86401);
  }
  net.run(milliseconds(100));
  CHECK(net[1].engine.digest() == before);
  CHECK(net[2].engine.digest() == before);
  CHECK(net[1].engine.counters().limit_blocked == 200);
  CHECK(net[1].engine.counters().verify_failed == 0);
  REQUIRE(net[1].exceeded.size() == 2);  // one line in ten seconds for each limit
  CHECK(net[1].exceeded[0].offender == NodeId{1});
  CHECK(net[1].exceeded[0].limit == Limit::lsa);
  CHECK(net[1].exceeded[1].limit == Limit::neighbours);
  CHECK(net[1].state(1) == AdjacencyState::up);
  CHECK(net[2].exceeded.empty());
}

TEST_CASE("LS-C2 isolate: every neighbour of the offender drops it for a minute, then tries again") {
  Net net = Net::line(3);
  trust_the_root(net);
  set_limits(net, 2, 1, [](wire::DomainParameters& p) { p.actions.fill(LimitAction::isolate); });
  net.run(seconds(2));
  say(net, wire::LsaType::identity, 9);
  CHECK(net[1].state(1) == AdjacencyState::down);
  CHECK(net[1].view(1).last_down_reason == "isolated: over the limit of lsa");
  CHECK(net[1].engine.counters().limit_isolated == 1);
  net.run(seconds(58));
  CHECK(net[1].state(1) == AdjacencyState::down);
  CHECK(net[0].adjacency_log.back() == "down closed by peer: isolated: over the limit of lsa");
  CHECK(net[1].state(2) == AdjacencyState::up);
  net.run(seconds(4));
  CHECK(net[1].state(1) == AdjacencyState::up);
}

TEST_CASE("LS-C7 an origin over the exact count of prefixes meets the limit's action as any other") {
  for (LimitAction action : {LimitAction::warn, LimitAction::block, LimitAction::isolate}) {
    Net net = Net::line(3);
    trust_the_root(net);
    set_limits(net, 2, 1, [&](wire::DomainParameters& p) { p.actions.fill(action); });
    net.run(seconds(2));
    net[1].engine.too_many_prefixes(net.now, NodeId{1}, 100'001);
    net[1].engine.too_many_prefixes(net.now, NodeId{1}, 100'002);
    net[1].engine.too_many_prefixes(net.now, NodeId{2}, 100'003);  // it knows its own limit
    net.drain(1);
    net.run(milliseconds(100));
    REQUIRE(net[1].exceeded.size() == 1);  // once in ten seconds
    CHECK(net[1].exceeded[0].offender == NodeId{1});
    CHECK(net[1].exceeded[0].limit == Limit::prefixes);
    CHECK(net[1].exceeded[0].action == action);
    CHECK(net[1].exceeded[0].detail == "100001 prefixes, 100000 allowed");
    const auto c = net[1].engine.counters();
    CHECK(c.limit_warned == (action == LimitAction::warn ? 2 : 0));
    CHECK(c.limit_blocked == (action == LimitAction::block ? 2 : 0));
    CHECK((net[1].state(1) == AdjacencyState::up) == (action != LimitAction::isolate));
    CHECK(net[1].state(2) == AdjacencyState::up);
    if (action != LimitAction::isolate) continue;
    CHECK(net[1].view(1).last_down_reason == "isolated: over the limit of prefixes");
    net.run(seconds(58));
    CHECK(net[1].state(1) == AdjacencyState::down);
    net.run(seconds(4));
    CHECK(net[1].state(1) == AdjacencyState::up);
  }
}

TEST_CASE("LS-C2 nobody is blamed for what he did not sign") {
  Net net = Net::line(3);
  trust_the_root(net);
  set_limits(net, 2, 1, [](wire::DomainParameters& p) { p.actions.fill(LimitAction::isolate); });
  net.run(seconds(2));
  net[0].config.signer = crypto::SigningKey(seed(77));
  say(net, static_cast<wire::LsaType>(99), 99);
  say(net, wire::LsaType::node, 99);
  CHECK(net[1].exceeded.empty());
  CHECK(net[1].engine.counters().verify_failed == 2);
  CHECK(net[1].state(1) == AdjacencyState::up);
}

TEST_CASE("LS-C3 new limits of the root are applied alike to what is held, and lifted again") {
  Net net = Net::line(3);
  trust_the_root(net);
  net[0].engine.set_prefixes(net.now, numbered(400));
  net.run(seconds(2));
  REQUIRE(prefix_count(net, 2, 1) == 400);
  set_limits(net, 2, 1, [](wire::DomainParameters& p) { p.max_prefixes_per_node = 3; });
  net.until([&] { return prefix_count(net, 2, 1) == 3 && prefix_count(net, 1, 1) == 3; }, seconds(1));
  net.until([&] { return net.equal_databases(); }, seconds(1));
  CHECK(net[0].misbehaviour.back().find("prefixes over the limit: 397 are not announced") == 0);
  set_limits(net, 2, 2, [](wire::DomainParameters& p) { p.max_prefixes_per_node = 1000; });
  net.until([&] { return prefix_count(net, 2, 1) == 400; }, seconds(1));
  net.until([&] { return net.equal_databases(); }, seconds(1));
}

TEST_CASE("LS-C3 a node signs no LSA for longer than the domain allows") {
  Net net = Net::line(2);
  trust_the_root(net);
  net.run(seconds(2));
  set_limits(net, 0, 1, [](wire::DomainParameters& p) { p.max_lsa_lifetime = 600; });
  net.until([&] {
    auto lsa = net[1].engine.find({NodeId{1}, wire::LsaType::node, 0});
    return lsa != nullptr && lsa->lifetime == 600;
  }, seconds(1));
  net.run(seconds(2));
  CHECK(net.equal_databases());
  CHECK(net[1].engine.counters().limit_blocked == 0);
}

TEST_CASE("LS-C6 no more adjacencies come up than the domain allows a node") {
  Net net;
  for (int i = 0; i < 6; ++i) net.add();
  trust_the_root(net);
  set_limits(net, 0, 1, [](wire::DomainParameters& p) { p.max_adjacencies_per_node = 3; });
  for (int i = 1; i < 6; ++i) net.join(0, i);
  net.run(seconds(30));
  int up = 0;
  for (std::uint32_t link = 1; link <= 5; ++link) up += net[0].state(link) == AdjacencyState::up ? 1 : 0;
  CHECK(up == 3);
  CHECK(net[0].engine.counters().limit_blocked >= 2);
  REQUIRE_FALSE(net[0].exceeded.empty());
  CHECK(net[0].exceeded[0].limit == Limit::neighbours);
  CHECK(net[0].view(5).last_down_reason == "over the limit of neighbours");
  CHECK(net[0].view(5).held_for > Duration::zero());
  net[0].engine.remove_link(net.now, LinkId{1});
  net.until([&] {
    return net[0].state(4) == AdjacencyState::up || net[0].state(5) == AdjacencyState::up;
  }, seconds(12));
}
