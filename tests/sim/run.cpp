#include "tests/sim/run.hpp"

namespace dmsc::sim {
namespace {

// Sums over the processes alive at the end: what the traffic consisted of.
void print_counters(World& world) {
  linkstate::EngineCounters sum;
  std::uint64_t spf = 0;
  for (const auto& node : world.nodes) {
    if (!node) continue;
    const auto& c = node->engine().counters();
    spf += node->spf_runs();
    sum.hellos_out += c.hellos_out;
    sum.keepalives_out += c.keepalives_out;
    sum.lsas_out += c.lsas_out;
    sum.lsas_duplicate += c.lsas_duplicate;
    sum.acks_out += c.acks_out;
    sum.packets_out += c.packets_out;
    sum.retransmissions += c.retransmissions;
    sum.digest_repairs += c.digest_repairs;
    sum.originated += c.originated;
    sum.verify_wanted += c.verify_wanted;
  }
  auto n = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
  std::printf("  sent: %llu packets, %llu hellos, %llu keepalives, %llu LSAs (%llu duplicates, %llu"
              " again), %llu acks; %llu originated, %llu repairs, %llu judged; %llu SPF runs\n",
              n(sum.packets_out), n(sum.hellos_out), n(sum.keepalives_out), n(sum.lsas_out),
              n(sum.lsas_duplicate), n(sum.retransmissions), n(sum.acks_out), n(sum.originated),
              n(sum.digest_repairs), n(sum.verify_wanted), n(spf));
  std::printf("  walked: %llu samples, %llu decisions\n", n(world.walks().samples()), n(world.walks().decisions()));
}

// What one node was given takes a new engine to the same database, without any key.
std::string check_replay(World& world) {
  std::size_t i = world.recorded();
  if (i >= world.nodes.size() || !world.nodes[i]) return {};
  auto replay = linkstate::Replay::open(world.tape().bytes);
  if (!replay) return "replay of n" + std::to_string(i + 1) + ": " + replay.error().message;
  for (;;) {
    auto step = replay->step();
    if (!step) return "replay of n" + std::to_string(i + 1) + ": " + step.error().message;
    if (!*step) break;
    if (!(*step)->diverged.empty()) {
      return "replay of n" + std::to_string(i + 1) + ": " + (*step)->diverged + " (" +
             linkstate::to_string((*step)->input.type) + ")";
    }
  }
  bool same = replay->engine().digest() == world.nodes[i]->engine().digest();
  return same ? "" : "replay of n" + std::to_string(i + 1) + " ends with another database";
}

}  // namespace

std::string settle(World& world, Duration limit) {
  Time end = world.now + limit;
  for (;;) {
    std::string wrong = check_invariants(world);
    if (wrong.empty() || world.now >= end) return wrong;
    world.run_until(world.now + milliseconds(100));
  }
}

Outcome run_seed(Pki& pki, std::uint64_t seed, const Options& options) {
  JudgeMemo memo;
  World world(pki, memo, seed, options);
  Time stop = build_scenario(world);
  if (options.minutes <= 10) world.record(seed % world.specs.size());
  Outcome out;
  out.nodes = world.specs.size();
  Rng walks(seed);
  while (world.now < stop && out.wrong.empty()) {
    world.run_until(std::min(stop, world.now + milliseconds(500)));
    out.wrong = check_walk_safety(world, walks);
  }
  Time quiet = world.now;
  if (out.wrong.empty()) out.wrong = settle(world, seconds(5));
  out.converged = std::chrono::duration<double>(world.now - quiet).count();
  if (out.wrong.empty()) {  // and it stays so
    world.run_until(world.now + seconds(8));
    out.wrong = settle(world, seconds(3));
  }
  if (out.wrong.empty()) out.wrong = check_replay(world);
  world.walks().finish();
  out.loops = world.walks().tally();
  out.packets = world.packets;
  out.events = world.events;
  out.fingerprint = world.fingerprint();
  if (options.verbose) print_counters(world);
  return out;
}

}  // namespace dmsc::sim
