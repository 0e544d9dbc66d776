// One seed: builds its world, runs it, judges it.
#pragma once
#include "tests/sim/oracle.hpp"
#include "tests/sim/scenario.hpp"
#include "tests/sim/walks.hpp"

namespace dmsc::sim {

struct Outcome {
  std::string wrong;            // empty: every invariant held
  std::size_t nodes = 0;
  std::uint64_t packets = 0, events = 0, fingerprint = 0;
  double converged = 0;         // seconds from the last fault until every invariant held
  LoopTally loops;
};

// The invariants must hold at some instant at most `limit` after now; loss goes on, so a single instant
// may find an update in flight. Empty, or what is wrong at the end.
std::string settle(World& world, Duration limit);
Outcome run_seed(Pki& pki, std::uint64_t seed, const Options& options);

}  // namespace dmsc::sim
