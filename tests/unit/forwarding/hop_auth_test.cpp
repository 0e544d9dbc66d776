// Rules A1-A3 of docs/protocol.md, "Hop authentication".
#include "dmsc/forwarding/hop_auth.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>

using namespace dmsc;
using namespace dmsc::forwarding;

namespace {
crypto::Key16 key_of(std::uint32_t sender, std::uint32_t receiver, std::uint64_t session_a = 1,
                     std::uint64_t session_b = 2, std::uint8_t secret = 3) {
  crypto::Key32 link{};
  link[0] = secret;
  return derive_hop_key(link, DomainId{7}, NodeId{sender}, NodeId{receiver}, SessionId{session_a},
                        SessionId{session_b});
}
}  // namespace

TEST_CASE("A1 hop authentication: each direction, session and secret has its own key") {
  std::set<crypto::Key16> keys{key_of(1, 2),         key_of(2, 1),       key_of(1, 3),
                               key_of(1, 2, 9),      key_of(1, 2, 1, 9), key_of(1, 2, 2, 1),
                               key_of(1, 2, 1, 2, 4)};
  CHECK(keys.size() == 7);
  CHECK(key_of(1, 2) == key_of(1, 2));
  CHECK(to_hex(key_of(1, 2)) == "720303bf9c85dadb51115d4c73537563");
}

TEST_CASE("R45 A2 hop authentication: any changed header bit is found") {
  wire::ServicePacketSpec spec;
  spec.egress = NodeId{4};
  spec.ingress = NodeId{1};
  spec.destination = "B/4";
  Bytes raw = wire::build_service_packet(spec, as_bytes("payload")).value();
  wire::ServicePacket packet = wire::ServicePacket::parse(raw).value();
  seal_hop(packet, key_of(1, 2), 3, 1, 99);
  CHECK(packet.hop_key_id() == 3);
  CHECK(packet.hop_worker() == 1);
  CHECK(packet.hop_counter() == 99);
  CHECK(check_hop(packet, key_of(1, 2)));
  CHECK_FALSE(check_hop(packet, key_of(2, 1)));
  std::size_t tried = 0;
  for (std::size_t bit = 0; bit < packet.header_size() * 8; ++bit) {
    Bytes changed = raw;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    Result<wire::ServicePacket> p = wire::ServicePacket::parse(changed);
    if (!p.ok()) continue;
    ++tried;
    CHECK_FALSE(check_hop(*p, key_of(1, 2)));
  }
  CHECK(tried > 200);
}

TEST_CASE("A3 replay window: a counter is accepted once, old ones never") {
  ReplayWindow window;
  CHECK(window.accept(5000));
  CHECK_FALSE(window.accept(5000));
  CHECK(window.accept(5000 - 1023));
  CHECK_FALSE(window.accept(5000 - 1023));
  CHECK_FALSE(window.accept(5000 - 1024));
  CHECK(window.accept(5001));
  CHECK_FALSE(window.accept(5001 - 1024));
  CHECK(window.accept(1'000'000'000));
  CHECK_FALSE(window.accept(5002));
  CHECK(window.accept(1'000'000'000 - 1000));
  ReplayWindow zero;
  CHECK(zero.accept(0));
  CHECK_FALSE(zero.accept(0));
}

TEST_CASE("A3 replay window: agrees with a plain set on random arrivals") {
  std::mt19937_64 random(1);
  for (int run = 0; run < 20; ++run) {
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t base = random() % 100000, highest = 0;
    for (int i = 0; i < 5000; ++i) {
      base += random() % (i % 500 == 0 ? 3000 : 3);
      std::uint64_t counter = base + random() % 64 - std::min<std::uint64_t>(base, random() % 1500);
      bool fresh = seen.empty() || counter > highest ||
                   (highest - counter < 1024 && seen.count(counter) == 0);
      REQUIRE(window.accept(counter) == fresh);
      seen.insert(counter);
      highest = std::max(highest, counter);
    }
  }
}
