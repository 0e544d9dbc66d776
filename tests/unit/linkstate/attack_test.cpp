// docs/protocol.md, "Limits": a node that floods delays itself. `tools/soak attack` has ten million names.
#include "tests/rigs/attack_rig.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using rigs::AttackRig;

TEST_CASE("LS-C5 a million bogus names in a second delay others' changes by less than 50 ms and take 32 MB at most, routes included") {
  AttackRig rig({AttackRig::Mode::own_names, 1'000'000, 20'000});
  AttackRig::Outcome o = rig.run();
  INFO("quiet " << o.quiet_delay / microseconds(1) << " us, attacked " << o.attacked_delay / microseconds(1)
                << " us, memory " << o.memory_most << ", waiting " << o.waiting_most);
  CHECK(o.lsas_sent == 20'000);
  CHECK(o.attacked_delay - o.quiet_delay < milliseconds(50));
  CHECK(o.memory_most < 2 * 32'000'000);  // of three peers together
  CHECK(o.waiting_most <= 4352);
  CHECK(o.adjacencies_lost == 0);
  // Delayed, not refused; and told.
  CHECK(o.installed > 4096);
  CHECK(o.installed < 12'000);
  CHECK(o.refused_names > 4096 * 49);  // 50 in each fragment it may fill; nothing is kept of the names
  REQUIRE_FALSE(o.told.empty());
  CHECK(o.told[0].offender == NodeId{4});
  CHECK(o.told[0].limit == wire::Limit::rate);
}

TEST_CASE("LS-C5 a neighbour that names a million origins delays others' changes by less than 50 ms") {
  AttackRig rig({AttackRig::Mode::junk_origins, 1'000'000, 20'000});
  AttackRig::Outcome o = rig.run();
  INFO("quiet " << o.quiet_delay / microseconds(1) << " us, attacked " << o.attacked_delay / microseconds(1)
                << " us, memory " << o.memory_most << ", waiting " << o.waiting_most);
  CHECK(o.attacked_delay - o.quiet_delay < milliseconds(50));
  CHECK(o.memory_most < 32'000'000);
  CHECK(o.waiting_most <= 8192);
  CHECK(o.installed == 0);
  CHECK(o.adjacencies_lost == 0);
}
