// decide_batch() is decide() for many: held against it on random FIBs and packets.
#include "dmsc/forwarding/decision_batch.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <random>

#include "dmsc/forwarding/hop_auth.hpp"
#include "tests/unit/forwarding/fixtures.hpp"

using namespace dmsc;
using namespace dmsc::forwarding;

namespace {

constexpr NodeId kSelf{1};
constexpr PathLabel kLabel{0x100001}, kLost{0x100002};

// Nodes 1 to 9 over links 1 to 4, some of them dead, some with alternates; labels; names of all
// kinds.
struct RandomRouter : TestFib {
  explicit RandomRouter(std::mt19937& random) {
    fib.set_node(kSelf, {{}, std::nullopt, 0});
    for (std::uint32_t node = 2; node < 9; ++node) {
      NodeWays ways;
      for (std::uint32_t link = 1; link <= 4; ++link) {
        if (random() % 2 == 0) ways.next_hops.push_back(hop(link, 100 + link));
      }
      if (random() % 2 == 0) ways.alternate = hop(1 + random() % 4, 200);
      ways.distance = random() % 40;
      fib.set_node(NodeId{node}, ways);
    }
    for (std::uint32_t link = 1; link <= 4; ++link) fib.set_link_alive(link, random() % 4 != 0);
    fib.set_label({kLabel, NodeId{2 + static_cast<std::uint32_t>(random() % 3)}, hop(2, 102)});
    for (const char* text : {"A", "A/1", "A/1/x", "B", "B/2"}) {
      if (random() % 3 == 0) continue;
      fib.set_prefix(group(text, {instance(1 + random() % 9, 1), instance(1 + random() % 9, 2)},
                           random() % 2 == 0));
    }
  }
};

wire::ServicePacketSpec random_packet(std::mt19937& random) {
  static const char* const names[] = {"A", "A/1", "A/1/x/y", "B/2", "B/3", "nobody", ""};
  wire::ServicePacketSpec spec =
      packet_to(random() % 2 == 0 ? 0 : random() % 10, names[random() % 7]);
  spec.flow = random() % 3;
  spec.hop_limit =
      random() % 8 == 0 ? static_cast<std::uint8_t>(random() % 3) : wire::kDefaultHopLimit;
  if (random() % 3 == 0) spec.label = random() % 2 == 0 ? kLabel : kLost;
  if (random() % 4 == 0) spec.flags = static_cast<std::uint8_t>(random() % 16);
  if ((spec.flags & wire::kFlagTrace) != 0) spec.record_slots = 3;
  return spec;
}

bool same(const Verdict& a, const Verdict& b) {
  return a.action == b.action && a.reason == b.reason && a.next_hop == b.next_hop &&
         a.by_name == b.by_name && a.by_label == b.by_label && a.repaired == b.repaired;
}

}  // namespace

TEST_CASE("F18 decide: packets decided together get the verdicts and the changes they get alone") {
  std::mt19937 random(1);
  int forwarded = 0, by_name = 0, dropped = 0;
  for (int run = 0; run < 400; ++run) {
    RandomRouter router(random);
    std::vector<std::unique_ptr<TestPacket>> alone, together;
    std::vector<wire::ServicePacket*> packets;
    wire::ServicePacketSpec spec = random_packet(random);
    std::size_t count = 1 + random() % kDecideAtOnce;
    for (std::size_t i = 0; i < count; ++i) {
      if (random() % 3 == 0) spec = random_packet(random);
      spec.exchange = static_cast<std::uint32_t>(i);  // differs within a run, and decides nothing
      if (run % 2 == 0) spec.flow = random() % 5;       // decides only between several next hops
      alone.push_back(std::make_unique<TestPacket>(spec));
      together.push_back(std::make_unique<TestPacket>(spec));
      packets.push_back(&together.back()->packet);
    }
    std::vector<Verdict> verdicts(count);
    decide_batch(router.fib, kSelf, packets, verdicts);
    for (std::size_t i = 0; i < count; ++i) {
      Verdict wanted = decide(router.fib, kSelf, alone[i]->packet);
      REQUIRE(same(verdicts[i], wanted));
      REQUIRE(together[i]->raw == alone[i]->raw);
      forwarded += wanted.action == Action::forward ? 1 : 0;
      by_name += wanted.by_name ? 1 : 0;
      dropped += wanted.action == Action::drop ? 1 : 0;
    }
  }
  CHECK(forwarded > 1000);
  CHECK(by_name > 1000);
  CHECK(dropped > 1000);
}

TEST_CASE(
    "A2 hop authentication: tags of many packets are those of each, and one bad tag spoils no "
    "other") {
  std::mt19937 random(3);
  std::vector<crypto::Key16> keys(4);
  for (auto& key : keys) {
    for (auto& b : key) b = static_cast<std::uint8_t>(random());
  }
  std::vector<std::unique_ptr<TestPacket>> packets;
  std::vector<HopSeal> seals;
  std::vector<HopCheck> checks;
  for (std::size_t i = 0; i < 150; ++i) {
    wire::ServicePacketSpec spec = packet_to(2, i % 40 < 30 ? "shop/cart" : "B/4");
    packets.push_back(std::make_unique<TestPacket>(spec));
    wire::ServicePacket& p = packets.back()->packet;
    p.set_hop_block(1, 2, i, 0);
    const crypto::Key16& key = keys[i < 75 ? 0 : i % 4];
    seals.push_back({p.datagram().data(), &key});
    checks.push_back({p.datagram().data(), &key});
  }
  write_tags(seals);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    TestPacket copy(packet_to(2, i % 40 < 30 ? "shop/cart" : "B/4"));
    seal_hop(copy.packet, *seals[i].key, 1, 2, i);
    REQUIRE(copy.raw == packets[i]->raw);
    REQUIRE(check_hop(packets[i]->packet, *seals[i].key));
  }
  packets[13]->raw[2] ^= 1;
  check_tags(checks);
  for (std::size_t i = 0; i < packets.size(); ++i) REQUIRE(checks[i].good == (i != 13));
}
