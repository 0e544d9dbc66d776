// sim: the network simulator (docs/architecture.md, "Simulator"). Runs seeds of random networks with
// random faults on the real pure rooms and checks, after quiet, what must hold; or a case with a name.
//
//   sim                          200 seeds of one virtual minute, 20 of them with 200 nodes
//   sim --seeds 1000 --seed 7    seeds 7 .. 1006
//   sim --seed 42 --seeds 1 --verbose   replays one
//   sim case link-up             what one case measures; sim case --list names them
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "tests/sim/cases.hpp"

namespace {

using namespace dmsc;
using namespace dmsc::sim;

struct Command {
  std::uint64_t seed = 1, seeds = 0;  // 0: 200, or one of a case
  std::vector<const Case*> cases;
  bool json = false;
  Options options;
};

constexpr double kLoopGoal = 20;              // ms, of 99 in 100 loops
constexpr std::uint64_t kSeedsOfAGoal = 100;  // so many make one

constexpr const char* kUsage =
    "usage: sim [case NAME...] [options]\n"
    "  case NAME...  run cases; `sim case --list` names them\n"
    "  --seeds N     how many seeds to run (200; of a case 1)\n"
    "  --seed S      the first one (1)\n"
    "  --nodes N     nodes in each network, 5-2000 (by the seed: 5-40, every tenth seed 200)\n"
    "  --minutes M   virtual minutes per seed, at least 0.5 (1)\n"
    "  --faults S    mean seconds between faults (by the size: 0.75, or 3)\n"
    "  --liveness MS keepalive interval of every link (by the size: 50, 100, 250; of cases 50)\n"
    "  --loss P, --dup P, --reorder P, --corrupt P   share of packets 0-0.5 (by the seed)\n"
    "  --tags T      link tags: stub (a checksum) or real (HMAC-SHA-256) (stub)\n"
    "  --no-walk     no packets walk during the run\n"
    "  --break M     with a fault in the code: no-digest, stuck-fib, deaf-to-withdrawals, any-origin,\n"
    "                deaf-to-mtus (case path-mtu)\n"
    "  --loops MS    tell the story of every circle outside LONG_WAIT that lasted longer\n"
    "  --log FILE    every event, one line each\n"
    "  --json        figures as lines of JSON\n"
    "  --verbose     print every fault\n";

[[noreturn]] void usage(const std::string& error) {
  std::fprintf(stderr, "sim: %s\n%s", error.c_str(), kUsage);
  std::exit(2);
}

double number(const std::string& option, const char* text, double low, double high) {
  char* end = nullptr;
  double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= low && value <= high)) {
    usage(option + ": '" + text + "' is not a number from " + std::to_string(low) + " to " +
          std::to_string(high));
  }
  return value;
}

Mutation mutation(const std::string& name) {
  static const std::map<std::string, Mutation> all = {{"no-digest", Mutation::no_digest},
                                                      {"stuck-fib", Mutation::stuck_fib},
                                                      {"deaf-to-withdrawals", Mutation::deaf_to_withdrawals},
                                                      {"any-origin", Mutation::any_origin},
                                                      {"deaf-to-mtus", Mutation::deaf_to_mtus}};
  auto it = all.find(name);
  if (it == all.end()) usage("--break: '" + name + "' is unknown");
  return it->second;
}

bool flag(Command& c, const std::string& option) {
  if (option == "--verbose") return c.options.verbose = true;
  if (option == "--json") return c.json = true;
  if (option == "--no-walk") return !(c.options.walk = false);
  if (option == "--help") {
    std::fputs(kUsage, stdout);
    std::exit(0);
  }
  return false;
}

void value(Command& c, const std::string& option, const char* text) {
  Options& o = c.options;
  if (option == "--seeds") {
    c.seeds = static_cast<std::uint64_t>(number(option, text, 1, 1e9));
  } else if (option == "--seed") {
    c.seed = static_cast<std::uint64_t>(number(option, text, 0, 1e15));
  } else if (option == "--nodes") {
    o.nodes = static_cast<std::size_t>(number(option, text, 5, 2000));
  } else if (option == "--minutes") {
    o.minutes = number(option, text, 0.5, 1e5);
  } else if (option == "--faults") {
    o.fault_gap = number(option, text, 0.01, 1e6);
  } else if (option == "--liveness") {
    o.liveness = milliseconds(static_cast<int>(number(option, text, 5, 60000)));
  } else if (option == "--loops") {
    o.trace_loops = microseconds(static_cast<int>(number(option, text, 0.001, 1e6) * 1000));
  } else if (option == "--loss") {
    o.loss = number(option, text, 0, 0.5);
  } else if (option == "--dup") {
    o.duplicate = number(option, text, 0, 0.5);
  } else if (option == "--reorder") {
    o.reorder = number(option, text, 0, 0.5);
  } else if (option == "--corrupt") {
    o.corrupt = number(option, text, 0, 0.5);
  } else if (option == "--tags") {
    if (std::strcmp(text, "stub") != 0 && std::strcmp(text, "real") != 0) usage("--tags: stub or real");
    o.tags = text[0] == 's' ? Tags::stub : Tags::real;
  } else if (option == "--break") {
    o.mutation = mutation(text);
  } else if (option == "--log") {
    o.log = std::fopen(text, "w");
    if (o.log == nullptr) usage(std::string("--log: cannot write ") + text);
  } else {
    usage(option + ": unknown option");
  }
}

Command parse(int argc, char** argv) {
  Command c;
  int i = 1;
  if (argc > 1 && std::strcmp(argv[1], "case") == 0) {
    for (i = 2; i < argc && argv[i][0] != '-'; ++i) {
      const Case* found = find_case(argv[i]);
      if (found == nullptr) usage(std::string("no case '") + argv[i] + "'");
      c.cases.push_back(found);
    }
    if (i < argc && std::strcmp(argv[i], "--list") == 0) {
      for (const Case& known : cases()) std::printf("%-20s %s\n", known.name, known.what);
      std::exit(0);
    }
    if (c.cases.empty()) usage("case: which?");
  }
  for (; i < argc; ++i) {
    std::string option = argv[i];
    if (flag(c, option)) continue;
    if (i + 1 >= argc) usage(option + ": unknown, or its value is missing");
    value(c, option, argv[++i]);
  }
  return c;
}

void print_replay(const Command& c, std::uint64_t seed, std::size_t nodes) {
  std::printf("  replay: sim --seeds 1 --seed %llu --minutes %g", static_cast<unsigned long long>(seed),
              c.options.minutes);
  if (nodes != 0) std::printf(" --nodes %zu", nodes);
  if (c.options.fault_gap > 0) std::printf(" --faults %g", c.options.fault_gap);
  if (c.options.liveness > Duration::zero()) {
    std::printf(" --liveness %lld", static_cast<long long>(c.options.liveness / milliseconds(1)));
  }
  if (c.options.loss >= 0) std::printf(" --loss %g", c.options.loss);
  if (c.options.duplicate >= 0) std::printf(" --dup %g", c.options.duplicate);
  if (c.options.reorder >= 0) std::printf(" --reorder %g", c.options.reorder);
  if (c.options.corrupt >= 0) std::printf(" --corrupt %g", c.options.corrupt);
  if (c.options.tags == Tags::real) std::printf(" --tags real");
  std::printf(" --verbose\n");
}

int run_cases(const Command& command, Pki& pki) {
  bool good = true;
  std::uint64_t seeds = std::max<std::uint64_t>(command.seeds, 1);
  for (const Case* c : command.cases) {
    for (std::uint64_t seed = command.seed; seed < command.seed + seeds; ++seed) {
      CaseContext context{pki, seed, command.options, {}};
      for (const Figure& figure : c->run(context)) {
        print(figure, command.json);
        good = good && figure.good();
      }
      if (context.wrong.empty()) continue;
      good = false;
      std::printf("case %s, seed %llu: FAILED: %s\n", c->name, static_cast<unsigned long long>(seed),
                  context.wrong.c_str());
    }
  }
  return good ? 0 : 1;
}

std::vector<Figure> loop_figures(const LoopTally& loops) {
  std::vector<Figure> out;
  auto add = [&](const std::string& name, LoopKind last, std::optional<double> goal) {
    Histogram h = loops.histogram(last);
    out.push_back({name, static_cast<double>(total(h)), "", {}, "sum"});
    out.push_back(quantile_figure(name + ": p50", h, 0.5, "ms"));
    out.push_back(quantile_figure(name + ": p99", h, 0.99, "ms", goal));
    out.push_back(quantile_figure(name + ": longest", h, 1, "ms"));
  };
  add("micro-loops (node, gateway)", LoopKind::waiting, {});
  add("micro-loops nobody waits for in LONG_WAIT", LoopKind::idle, {});
  add("micro-loops outside LONG_WAIT", LoopKind::outside, kLoopGoal);
  return out;
}

// True if every goal was met.
bool print_totals(const Command& c, std::uint64_t failed, std::uint64_t packets, double slowest,
                  const LoopTally& loops) {
  std::vector<Figure> figures{{"seeds failed", static_cast<double>(failed), "", 0, "sum"},
                              {"last fault to every invariant", slowest, "virtual s", 5}};
  for (Figure& figure : loop_figures(loops)) figures.push_back(std::move(figure));
  bool good = true;
  for (const Figure& figure : figures) {
    print(figure, c.json);
    good = good && figure.good();
  }
  std::printf("%llu seeds, %llu failed, %llu packets, slowest convergence %.1f virtual seconds\n",
              static_cast<unsigned long long>(c.seeds), static_cast<unsigned long long>(failed),
              static_cast<unsigned long long>(packets), slowest);
  return good;
}

int run_seeds(Command command, Pki& pki) {
  if (command.seeds == 0) command.seeds = 200;
  std::uint64_t failed = 0, packets = 0;
  double slowest = 0;
  LoopTally loops;
  for (std::uint64_t seed = command.seed; seed < command.seed + command.seeds; ++seed) {
    Options options = command.options;
    if (options.nodes == 0 && command.seeds > 1 && seed % 10 == 0) options.nodes = 200;
    Outcome out = run_seed(pki, seed, options);
    packets += out.packets;
    slowest = std::max(slowest, out.converged);
    loops.merge(out.loops);
    if (options.verbose || (command.seeds >= 1000 && seed % 100 == 0)) {
      std::printf("seed %llu: %zu nodes, %llu packets, converged in %.1f s, fingerprint %016llx\n",
                  static_cast<unsigned long long>(seed), out.nodes,
                  static_cast<unsigned long long>(out.packets), out.converged,
                  static_cast<unsigned long long>(out.fingerprint));
    }
    if (out.wrong.empty()) continue;
    ++failed;
    std::printf("seed %llu: FAILED: %s\n", static_cast<unsigned long long>(seed), out.wrong.c_str());
    print_replay(command, seed, options.nodes);
  }
  bool good = print_totals(command, failed, packets, slowest, loops);
  // A percentile of a few loops says nothing.
  return failed == 0 && (good || command.seeds < kSeedsOfAGoal) ? 0 : 1;
}

// Hundreds of nodes lie on more small pages than a processor remembers where they are: the heap is made of
// large ones. A wish, not a need.
void use_large_pages() {
  constexpr std::size_t kHeap = std::size_t{256} << 20, kLarge = std::size_t{2} << 20;
  mallopt(M_TOP_PAD, kHeap);
  mallopt(M_TRIM_THRESHOLD, 2 * kHeap);
  std::free(std::malloc(1 << 16));  // the heap grows
  auto end = reinterpret_cast<std::uintptr_t>(sbrk(0)) / kLarge * kLarge;
  madvise(reinterpret_cast<void*>(end - kHeap + kLarge), kHeap - kLarge, MADV_HUGEPAGE);
}

}  // namespace

int main(int argc, char** argv) {
  use_large_pages();
  Command command = parse(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  crypto::init();
  Pki pki;
  return command.cases.empty() ? run_seeds(command, pki) : run_cases(command, pki);
}
