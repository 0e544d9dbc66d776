// sim: the network simulator (docs/architecture.md, "Simulator"). Runs seeds of random networks with
// random faults on the real pure rooms and checks, after quiet, what must hold.
//
//   sim                          200 seeds of one virtual minute, 20 of them with 200 nodes
//   sim --seeds 1000 --seed 7    seeds 7 .. 1006
//   sim --seed 42 --seeds 1 --verbose   replays one
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim/oracle.hpp"
#include "tests/sim/scenario.hpp"

namespace {

using namespace dmsc;
using namespace dmsc::sim;

struct Command {
  std::uint64_t seed = 1, seeds = 200;
  bool large = true;  // every tenth seed has 200 nodes, unless --nodes is given
  Options options;
};

constexpr const char* kUsage =
    "usage: sim [--seeds N] [--seed S] [--nodes N] [--minutes M] [--loss P] [--dup P]\n"
    "           [--reorder P] [--corrupt P] [--verbose]\n"
    "  --seeds N     how many seeds to run (200)\n"
    "  --seed S      the first one (1)\n"
    "  --nodes N     nodes in each network, 5-1000 (by the seed: 5-40, every tenth seed 200)\n"
    "  --minutes M   virtual minutes per seed, at least 0.5 (1)\n"
    "  --loss P ...  share of packets 0-0.5 (by the seed)\n"
    "  --verbose     print every fault\n";

[[noreturn]] void usage(const std::string& error) {
  std::fprintf(stderr, "sim: %s\n%s", error.c_str(), kUsage);
  std::exit(2);
}

double number(const char* option, const char* text, double low, double high) {
  char* end = nullptr;
  double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= low && value <= high)) {
    usage(std::string(option) + ": '" + text + "' is not a number from " + std::to_string(low) +
          " to " + std::to_string(high));
  }
  return value;
}

Command parse(int argc, char** argv) {
  Command c;
  for (int i = 1; i < argc; ++i) {
    std::string option = argv[i];
    if (option == "--verbose") {
      c.options.verbose = true;
      continue;
    }
    if (option == "--help") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (i + 1 >= argc) usage(option + ": unknown, or its value is missing");
    const char* value = argv[++i];
    if (option == "--seeds") {
      c.seeds = static_cast<std::uint64_t>(number("--seeds", value, 1, 1e9));
    } else if (option == "--seed") {
      c.seed = static_cast<std::uint64_t>(number("--seed", value, 0, 1e15));
    } else if (option == "--nodes") {
      c.options.nodes = static_cast<std::size_t>(number("--nodes", value, 5, 1000));
    } else if (option == "--minutes") {
      c.options.minutes = number("--minutes", value, 0.5, 1e5);
    } else if (option == "--loss") {
      c.options.loss = number("--loss", value, 0, 0.5);
    } else if (option == "--dup") {
      c.options.duplicate = number("--dup", value, 0, 0.5);
    } else if (option == "--reorder") {
      c.options.reorder = number("--reorder", value, 0, 0.5);
    } else if (option == "--corrupt") {
      c.options.corrupt = number("--corrupt", value, 0, 0.5);
    } else {
      usage(option + ": unknown option");
    }
  }
  return c;
}

struct Outcome {
  std::string wrong;
  std::size_t nodes = 0;
  std::uint64_t packets = 0;
  double converged = 0;  // seconds from the last fault until every invariant held
};

// The invariants must hold at some instant at most `limit` after now; loss goes on, so a single
// instant may find an update in flight.
std::string settle(World& world, Duration limit) {
  Time end = world.now + limit;
  for (;;) {
    std::string wrong = check_invariants(world);
    if (wrong.empty() || world.now >= end) return wrong;
    world.run_until(world.now + milliseconds(100));
  }
}

// Sums over the processes alive at the end: what the traffic consisted of.
void print_counters(const World& world) {
  linkstate::EngineCounters sum;
  for (const auto& node : world.nodes) {
    if (!node) continue;
    const auto& c = node->engine().counters();
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
              " again), %llu acks; %llu originated, %llu repairs, %llu judged\n",
              n(sum.packets_out), n(sum.hellos_out), n(sum.keepalives_out), n(sum.lsas_out),
              n(sum.lsas_duplicate), n(sum.retransmissions), n(sum.acks_out), n(sum.originated),
              n(sum.digest_repairs), n(sum.verify_wanted));
}

Outcome run(Pki& pki, JudgeMemo& memo, std::uint64_t seed, const Options& options) {
  memo.clear();
  World world(pki, memo, seed, options);
  Time stop = build_scenario(world);
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
  out.packets = world.packets;
  if (options.verbose) print_counters(world);
  return out;
}

void print_replay(const Command& c, std::uint64_t seed, std::size_t nodes) {
  std::printf("  replay: sim --seeds 1 --seed %llu --minutes %g",
              static_cast<unsigned long long>(seed), c.options.minutes);
  if (c.options.nodes != 0 || nodes != 0) std::printf(" --nodes %zu", nodes);
  if (c.options.loss >= 0) std::printf(" --loss %g", c.options.loss);
  if (c.options.duplicate >= 0) std::printf(" --dup %g", c.options.duplicate);
  if (c.options.reorder >= 0) std::printf(" --reorder %g", c.options.reorder);
  if (c.options.corrupt >= 0) std::printf(" --corrupt %g", c.options.corrupt);
  std::printf(" --verbose\n");
}

}  // namespace

int main(int argc, char** argv) {
  Command command = parse(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  crypto::init();
  Pki pki;
  JudgeMemo memo;
  std::uint64_t failed = 0, packets = 0;
  double slowest = 0;
  for (std::uint64_t seed = command.seed; seed < command.seed + command.seeds; ++seed) {
    Options options = command.options;
    bool large = options.nodes == 0 && command.seeds > 1 && seed % 10 == 0;
    if (large) options.nodes = 200;
    Outcome out = run(pki, memo, seed, options);
    packets += out.packets;
    slowest = std::max(slowest, out.converged);
    if (out.wrong.empty()) {
      if (options.verbose) {
        std::printf("seed %llu: ok, %zu nodes, %llu packets, converged in %.1f s\n",
                    static_cast<unsigned long long>(seed), out.nodes,
                    static_cast<unsigned long long>(out.packets), out.converged);
      }
      continue;
    }
    ++failed;
    std::printf("seed %llu: FAILED: %s\n", static_cast<unsigned long long>(seed), out.wrong.c_str());
    print_replay(command, seed, options.nodes);
  }
  std::printf("%llu seeds, %llu failed, %llu packets, slowest convergence %.1f virtual seconds\n",
              static_cast<unsigned long long>(command.seeds), static_cast<unsigned long long>(failed),
              static_cast<unsigned long long>(packets), slowest);
  return failed == 0 ? 0 : 1;
}
