// docs/protocol.md, "Flooding" (F1-F9), "Digest" (D1-D4), "Ageing" (G1-G4), "Restart" (R1-R3).
#include "tests/unit/linkstate/harness.hpp"

using namespace dmsc;
using namespace dmsc::linkstate;
using namespace dmsc::linkstate::test;

namespace {

wire::PduType type_of(const Packet& p) { return static_cast<wire::PduType>(p.datagram[1]); }

bool has_prefix(const Node& node, std::uint32_t origin, const std::string& name) {
  for (const auto& [key, lsa] : node.heard) {
    if (key.origin != NodeId{origin} || key.type != wire::LsaType::prefix) continue;
    auto body = wire::decode_prefix_body(lsa->body());
    for (const auto& entry : body->entries) {
      if (entry.name.text() == name) return true;
    }
  }
  return false;
}

std::vector<wire::PrefixEntry> many(int n) {
  std::vector<wire::PrefixEntry> out;
  for (int i = 0; i < n; ++i) out.push_back(prefix("svc/p" + std::to_string(i)));
  return out;
}

std::size_t prefix_fragments(const Node& node) {
  std::size_t n = 0;
  for (const auto& [key, lsa] : node.heard) n += key.type == wire::LsaType::prefix ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("LS-F1 every node of a line holds the same database") {
  Net net = Net::line(5);
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.run(seconds(2));
  CHECK(net.equal_databases());
  CHECK(has_prefix(net[4], 1, "A/1"));
  CHECK(net[4].engine.lsa_count() == 5 * 2 + 1);
  for (auto& n : net.nodes) {
    CHECK(n->engine.synchronised());
    CHECK(n->synchronised_events == 1);
  }
}

TEST_CASE("LS-F2 a change crosses five hops in flight time, not in timers") {
  Net net = Net::line(6);
  net.run(seconds(3));
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.until([&] { return has_prefix(net[5], 1, "A/1"); }, milliseconds(8));
}

TEST_CASE("LS-F3 a lost update is sent again until it is acknowledged") {
  Net net = Net::line(2);
  net.run(seconds(3));
  int lost = 0;
  net.deliver = [&](Packet& p) { return type_of(p) != wire::PduType::update || lost++ >= 3; };
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.until([&] { return has_prefix(net[1], 1, "A/1"); }, milliseconds(900));
  CHECK(net[0].engine.counters().retransmissions >= 3);
  net.run(seconds(1));
  CHECK(net[0].view().queued + net[0].view().unacknowledged == 0);
}

TEST_CASE("LS-F3 a lost acknowledgement costs a duplicate, never a second installation") {
  Net net = Net::line(2);
  net.run(seconds(3));
  int acks = 0;
  net.deliver = [&](Packet& p) { return type_of(p) != wire::PduType::ack || acks++ != 0; };
  auto installed = net[1].changes.size();
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.run(seconds(1));
  CHECK(net[1].changes.size() == installed + 1);
  CHECK(net[1].engine.counters().lsas_duplicate >= 1);
}

TEST_CASE("LS-F4 newest wins: what was queued for a slow neighbour is sent once, as it is then") {
  Net net = Net::line(2);
  net.run(seconds(3));
  bool cut = true;
  net.deliver = [&](Packet& p) {
    return !cut || (type_of(p) != wire::PduType::update && type_of(p) != wire::PduType::ack);
  };
  for (int i = 0; i < 40; ++i) {
    net[0].engine.set_prefixes(net.now, {prefix("A/1", static_cast<std::uint16_t>(1000 - i))});
    net.run(milliseconds(5));
  }
  CHECK(net[0].view().queued + net[0].view().unacknowledged <= 1);
  cut = false;
  auto before = net[1].changes.size();
  net.run(seconds(3));
  CHECK(net[1].changes.size() == before + 1);
}

TEST_CASE("LS-F5 many LSAs share a datagram and stay within the window") {
  Net net = Net::line(2);
  net.run(seconds(3));
  std::size_t largest = 0, updates = 0, peak = 0;
  net.deliver = [&](Packet& p) {
    largest = std::max(largest, p.datagram.size());
    updates += type_of(p) == wire::PduType::update ? 1 : 0;
    peak = std::max(peak, net[0].view().unacknowledged);
    return true;
  };
  std::vector<Bytes> grants;
  for (std::uint8_t i = 0; i < 200; ++i) grants.push_back(Bytes(40, i));
  net[0].engine.set_grants(net.now, grants);
  net.run(seconds(1));
  CHECK(net.equal_databases());
  CHECK(largest <= 1400);
  CHECK(updates < 40);
  CHECK(peak <= 512);
}

TEST_CASE("LS-F6 an LSA that does not verify is dropped, charged, and displaces nothing") {
  Net net = Net::line(3);
  net.run(seconds(2));
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.run(seconds(1));
  U128 before = net[2].engine.digest();
  // Node 1's key signs an LSA in node 0's name, and node 1 hands it on as if it had verified.
  auto forged = wire::make_lsa({NodeId{1}, wire::LsaType::prefix, 0}, {~0ULL >> 1, 1}, 3600, true, {},
                               crypto::SigningKey(seed(2)));
  REQUIRE(forged.ok());
  net.judge_override = [&](const wire::Lsa& lsa, const Node& n) -> std::optional<bool> {
    if (lsa.hash == (*forged)->hash && n.config.self == NodeId{2}) return true;
    return std::nullopt;
  };
  net[1].engine.inject(net.now, *forged);
  net.run(milliseconds(200));
  CHECK(net[2].engine.digest() == before);
  CHECK(has_prefix(net[2], 1, "A/1"));
  REQUIRE(!net[2].misbehaviour.empty());
  CHECK(net[2].misbehaviour[0] == "LSA that does not verify: prefix of node 1");
  // Its victim refuses it by its own key and is not made to outbid it.
  CHECK(net[0].misbehaviour[0] == "LSA in our name, not signed by us: prefix");
  CHECK(net[0].epoch == 1000);
}

TEST_CASE("LS-F7 an LSA whose origin is unknown waits, counts in no digest, and is judged later") {
  Net net = Net::line(2);
  net.run(seconds(2));
  crypto::SigningKey third(seed(30));
  auto node_lsa = wire::make_lsa({NodeId{30}, wire::LsaType::prefix, 0}, {1, 1}, 3600, false,
                                 wire::encode(wire::PrefixBody{{prefix("X/1")}, {}}), third);
  auto identity = wire::make_lsa({NodeId{30}, wire::LsaType::identity, 0}, {1, 1}, 3600, false,
                                 wire::encode(wire::IdentityBody{to_bytes(third.public_key()), {}}),
                                 third);
  U128 before = net[0].engine.digest();
  net[0].engine.inject(net.now, *node_lsa);
  net.run(seconds(1));
  CHECK(net[0].engine.digest() == before);
  CHECK(net[0].engine.find((*node_lsa)->key) == nullptr);
  bool listed = false;
  for (const auto& v : net[0].engine.lsdb(net.now)) {
    if (v.lsa->key == (*node_lsa)->key) listed = !v.verified;
  }
  CHECK(listed);
  net[0].engine.inject(net.now, *identity);
  net.run(seconds(1));
  CHECK(net[0].engine.find((*node_lsa)->key) != nullptr);
  CHECK(has_prefix(net[1], 30, "X/1"));
  CHECK(net.equal_databases());
}

TEST_CASE("LS-F8 SPA LSAs injected by several gateways are one and the same") {
  Net net = Net::line(4, seconds(5));
  net.run(seconds(2));
  auto lsa = wire::make_lsa({issuer_origin(0), wire::LsaType::authority, 0}, {5, 1}, 86400, false,
                            wire::encode_object_body(Bytes{1, 2, 3}), crypto::SigningKey(seed(200)));
  net[0].engine.inject(net.now, *lsa);
  net[3].engine.inject(net.now, *lsa);
  net.run(seconds(1));
  CHECK(net.equal_databases());
  CHECK(net[1].engine.find((*lsa)->key)->raw == (*lsa)->raw);
  net.run(minutes(90));  // no refresh, and still there
  CHECK(net[2].engine.find((*lsa)->key) != nullptr);
}

TEST_CASE("LS-F9 prefixes: one change re-floods one fragment") {
  Net net = Net::line(2);
  auto entries = many(500);
  net[0].engine.set_prefixes(net.now, entries);
  net.run(seconds(2));
  std::size_t fragments = prefix_fragments(net[1]);
  CHECK(fragments >= 9);
  CHECK(fragments <= 14);
  auto before = net[1].changes.size();
  entries[250].instances[0].capacity = 7;
  net[0].engine.set_prefixes(net.now, entries);
  net.run(seconds(1));
  CHECK(net[1].changes.size() == before + 1);
  entries.resize(4);
  net[0].engine.set_prefixes(net.now, entries);
  net.run(seconds(1));
  CHECK(prefix_fragments(net[1]) <= 4);  // empty fragments are purged, the others stay where they were
  CHECK(has_prefix(net[1], 1, "svc/p3"));
  CHECK_FALSE(has_prefix(net[1], 1, "svc/p300"));
}

TEST_CASE("LS-D1 hellos of equal databases move nothing") {
  Net net = Net::line(2);
  net[0].engine.set_prefixes(net.now, many(2000));
  net.run(seconds(10));
  std::uint64_t repairs = net[0].engine.counters().digest_repairs;
  int moved = 0;
  net.deliver = [&](Packet& p) {
    auto t = type_of(p);
    moved += t == wire::PduType::update || t == wire::PduType::digest || t == wire::PduType::request;
    return true;
  };
  net.run(seconds(30));
  CHECK(moved == 0);
  CHECK(net[0].engine.counters().digest_repairs == repairs);
}

TEST_CASE("LS-D2 databases that came to differ are repaired by what differs only") {
  Net net = Net::line(3);
  net[0].engine.set_prefixes(net.now, many(2000));
  net.run(seconds(3));
  // Node 1 forgets one LSA of node 0: its verdict is made false on a recheck.
  wire::LsaKey victim{NodeId{1}, wire::LsaType::prefix, 7};
  net.judge_override = [&](const wire::Lsa& lsa, const Node& n) -> std::optional<bool> {
    if (n.config.self == NodeId{2} && lsa.key == victim) return false;
    return std::nullopt;
  };
  net[1].engine.recheck(net.now, NodeId{1});
  net.run(milliseconds(1));
  REQUIRE(net[1].engine.find(victim) == nullptr);
  net.judge_override = {};
  std::size_t updates = 0, bytes = 0;
  net.deliver = [&](Packet& p) {
    auto t = type_of(p);
    updates += t == wire::PduType::update ? 1 : 0;
    bool always = t == wire::PduType::keepalive || t == wire::PduType::hello || t == wire::PduType::mtu_probe;
    if (!always) bytes += p.datagram.size();
    return true;
  };
  net.until([&] { return net.equal_databases(); }, seconds(4));
  net.run(seconds(2));
  CHECK(net[1].engine.find(victim) != nullptr);
  CHECK(updates <= 2);
  CHECK(bytes < 20000);
}

TEST_CASE("LS-D3 a new neighbour with an empty database gets all, with loss too") {
  Net net;
  net.add();
  net[0].engine.set_prefixes(net.now, many(3000));
  net.run(seconds(1));
  net.add();
  net.join(0, 1);
  int n = 0;
  net.deliver = [&](Packet&) { return ++n % 10 != 0; };
  net.until([&] { return net.equal_databases() && net[1].engine.synchronised(); }, seconds(10));
  CHECK(net[1].engine.lsa_count() == net[0].engine.lsa_count());
}

TEST_CASE("LS-D4 a partition heals: both halves learn what they missed") {
  Net net = Net::line(4);
  net.run(seconds(2));
  bool cut = true;
  net.deliver = [&](Packet& p) { return !cut || (p.from < 2) == (p.to < 2); };
  net.run(seconds(1));
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net[3].engine.set_prefixes(net.now, {prefix("B/1")});
  net.run(seconds(2));
  CHECK_FALSE(has_prefix(net[3], 1, "A/1"));
  cut = false;
  net.until([&] { return net.equal_databases() && has_prefix(net[3], 1, "A/1"); }, seconds(3));
  CHECK(has_prefix(net[0], 4, "B/1"));
}

TEST_CASE("LS-G1 LSAs are refreshed before they expire, without a change of content") {
  Net net = Net::line(2, seconds(5));
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.run(seconds(30));  // until the delay is measured
  net[1].changes.clear();
  net.run(minutes(65));
  CHECK(has_prefix(net[1], 1, "A/1"));
  for (const auto& c : net[1].changes) CHECK(c.kind == ChangeKind::refreshed);
  CHECK(net[1].changes.size() >= 6);
  CHECK(net[1].engine.counters().expired == 0);
}

TEST_CASE("LS-G2 what a dead node said is gone by its lifetime") {
  Net net = Net::line(3, seconds(5));
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.run(seconds(2));
  net[0].alive = false;
  net.run(seconds(3700));
  CHECK_FALSE(has_prefix(net[2], 1, "A/1"));
  CHECK(net[2].engine.find({NodeId{1}, wire::LsaType::node, 0}) == nullptr);
  CHECK(net[1].engine.digest() == net[2].engine.digest());
}

TEST_CASE("LS-G3 a purge removes everywhere, is kept, and cannot be undone by an old copy") {
  Net net = Net::line(3, seconds(5));
  net[0].engine.set_prefixes(net.now, {prefix("A/1")});
  net.run(seconds(2));
  wire::LsaPtr old = net[2].engine.find({NodeId{1}, wire::LsaType::prefix, 0});
  REQUIRE(old != nullptr);
  net[0].engine.set_prefixes(net.now, {});
  net.run(seconds(1));
  CHECK_FALSE(has_prefix(net[2], 1, "A/1"));
  std::size_t count = net[2].engine.lsa_count();
  net[2].engine.inject(net.now, old);
  net.run(seconds(1));
  CHECK_FALSE(has_prefix(net[2], 1, "A/1"));
  CHECK(net[2].engine.lsa_count() == count);
  net.run(seconds(3700));
  CHECK(net[2].engine.lsa_count() == count - 1);  // the tombstone itself has aged away
  CHECK(net.equal_databases());
}

TEST_CASE("LS-G4 no hop adds lifetime: copies never outlive first seen plus signed lifetime") {
  Net net = Net::line(4, seconds(5));
  net.run(seconds(2));
  for (const auto& v : net[3].engine.lsdb(net.now)) CHECK(v.remaining <= 3600);
  std::uint32_t near = 0, far = 0;
  net.run(seconds(100));
  wire::LsaKey key{NodeId{1}, wire::LsaType::identity, 0};
  for (const auto& v : net[0].engine.lsdb(net.now)) near = v.lsa->key == key ? v.remaining : near;
  for (const auto& v : net[3].engine.lsdb(net.now)) far = v.lsa->key == key ? v.remaining : far;
  CHECK(far <= near);
  CHECK(far + 4 >= near);
}

TEST_CASE("LS-E1 a node restarted with an older epoch owns its LSAs again within a second") {
  Net net = Net::line(3);
  net[0].engine.set_prefixes(net.now, {prefix("A/1"), prefix("A/2")});
  net.run(seconds(2));
  std::uint64_t before = net[0].epoch;
  net.restart(0, 0);  // no stored epoch, and a clock of 1970
  CHECK(net[0].engine.counters().originated == 1);
  net[0].engine.set_prefixes(net.now, {prefix("A/9")});
  net.until([&] { return has_prefix(net[2], 1, "A/9") && !has_prefix(net[2], 1, "A/1"); }, seconds(1));
  net.run(seconds(2));
  CHECK(net[0].epoch > before);
  CHECK(net.equal_databases());
}

TEST_CASE("LS-E2 what a restarted node no longer says is purged") {
  Net net = Net::line(3);
  net[0].engine.set_prefixes(net.now, many(200));
  net.run(seconds(2));
  CHECK(prefix_fragments(net[2]) > 3);
  net.restart(0, net[0].epoch);
  net.until([&] { return prefix_fragments(net[2]) == 0; }, seconds(2));
  net.run(seconds(2));
  CHECK(net.equal_databases());
}

TEST_CASE("LS-E3 a starting node says so until it is synchronised, then no more") {
  Net net = Net::line(2);
  net[0].engine.set_prefixes(net.now, many(3000));
  net.run(seconds(2));
  net.restart(1, net[1].epoch);
  bool seen_starting = false;
  net.until([&] {
    auto it = net[0].heard.find({NodeId{2}, wire::LsaType::node, 0});
    if (it == net[0].heard.end()) return false;
    auto body = wire::decode_node_body(it->second->body());
    seen_starting = seen_starting || body->overload;
    return seen_starting && !body->overload && !body->adjacencies.empty();
  });
  CHECK(net[1].engine.synchronised());
}
