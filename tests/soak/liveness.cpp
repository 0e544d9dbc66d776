// soak_liveness: real engines in pairs, one link each, under random loss for virtual hours; counts
// adjacencies that went down although the link was there (docs/protocol.md, LS-V2).
//
//   soak_liveness --links 180 --hours 24 --loss 0.01 [--seed 1]
//
// Without --loss: 0.01 with no false down allowed, then 0.05 with at most one per link and day.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/rigs/liveness_rig.hpp"

namespace {

using namespace dmsc;

struct Command {
  std::uint64_t links = 180, seed = 1;
  double hours = 24, loss = -1;
};

struct Outcome {
  std::size_t downs = 0;
  std::uint64_t keepalives = 0, inputs = 0;
  double cpu_seconds = 0;
};

double cpu_now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

Outcome run(const Command& c, double loss) {
  Outcome out;
  double begin = cpu_now();
  for (std::uint64_t link = 0; link < c.links; ++link) {
    rigs::LivenessRig::Options options;
    options.seed = (c.seed + link) * 4099 + static_cast<std::uint64_t>(loss * 1000);
    options.loss = {loss, loss};
    rigs::LivenessRig rig(options);
    rig.run(seconds(static_cast<std::int64_t>(c.hours * 3600)));
    out.downs += rig.downs();
    for (int end = 0; end < 2; ++end) out.keepalives += rig.counters(end).keepalives_in;
    out.inputs += rig.inputs();
    for (const std::string& why : rig.reasons()) {
      std::printf("link %llu: %s\n", static_cast<unsigned long long>(link), why.c_str());
    }
    std::fflush(stdout);
  }
  out.cpu_seconds = cpu_now() - begin;
  return out;
}

// One end of a false down takes the other along: two events are one loss of the link.
void report(const Command& c, double loss, const Outcome& o) {
  double days = static_cast<double>(c.links) * c.hours / 24;
  double allowed = loss <= 0.01 ? 0 : 2 * days;
  std::printf("{\"case\": \"ends falsely down at %g %% loss\", \"value\": %zu, \"unit\": \"ends\", "
              "\"at_most\": %g, \"merge\": \"sum\"}\n", loss * 100, o.downs, allowed);
  std::printf("{\"case\": \"link-days at %g %% loss\", \"value\": %g, \"unit\": \"days\", "
              "\"merge\": \"sum\"}\n", loss * 100, days);
  std::printf("{\"case\": \"engine time per keepalive at %g %% loss\", \"value\": %.3f, "
              "\"unit\": \"us\"}\n", loss * 100,
              o.cpu_seconds * 1e6 / static_cast<double>(o.keepalives));
  std::fflush(stdout);
}

Command parse(int argc, char** argv) {
  Command c;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string option = argv[i];
    double value = std::strtod(argv[i + 1], nullptr);
    if (option == "--links" || option == "--seeds") {
      c.links = static_cast<std::uint64_t>(value);
    } else if (option == "--seed") {
      c.seed = static_cast<std::uint64_t>(value);
    } else if (option == "--hours") {
      c.hours = value;
    } else if (option == "--loss") {
      c.loss = value;
    } else {
      std::fprintf(stderr, "soak_liveness: %s: unknown\n", option.c_str());
      std::exit(2);
    }
  }
  if (argc % 2 == 0 || c.links < 1 || c.hours <= 0 || c.loss >= 1) {
    std::fprintf(stderr, "usage: soak_liveness [--links N] [--hours H] [--loss SHARE] [--seed S]\n");
    std::exit(2);
  }
  return c;
}

}  // namespace

int main(int argc, char** argv) {
  crypto::init();
  Command c = parse(argc, argv);
  bool failed = false;
  for (double loss : {0.01, 0.05}) {
    if (c.loss >= 0 && loss != 0.01) break;
    if (c.loss >= 0) loss = c.loss;
    Outcome o = run(c, loss);
    report(c, loss, o);
    failed = failed || (loss <= 0.01 && o.downs != 0);
  }
  return failed ? 1 : 0;
}
