// soak_forgery: millions of replayed, cut, flipped and forged packets against a live engine; each must be
// refused, change nothing and raise one counter (docs/protocol.md, LS-S7).
//
//   soak_forgery [--seeds 10000000] [--seed 1]     seeds: cases, so that tools/soak may split them
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/rigs/forgery_rig.hpp"

int main(int argc, char** argv) {
  using namespace dmsc;
  std::uint64_t cases = 10'000'000, seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string option = argv[i];
    (option == "--seed" ? seed : cases) = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (argc % 2 == 0 || cases == 0) {
    std::fprintf(stderr, "usage: soak_forgery [--seeds CASES] [--seed S]\n");
    return 2;
  }
  crypto::init();
  constexpr std::uint64_t kPerDomain = 1'000'000;  // then a domain with another history
  std::size_t accepted = 0;
  std::array<std::uint64_t, rigs::kForgeries> count{};
  for (std::uint64_t done = 0; done < cases; done += kPerDomain) {
    rigs::ForgeryRig rig(seed + done);
    for (const std::string& wrong : rig.run(std::min(kPerDomain, cases - done))) {
      std::printf("%s\n", wrong.c_str());
      ++accepted;
    }
    for (std::size_t kind = 0; kind < count.size(); ++kind) count[kind] += rig.count()[kind];
    std::printf("%llu cases\n", static_cast<unsigned long long>(std::min(cases, done + kPerDomain)));
    std::fflush(stdout);
  }
  for (std::size_t kind = 0; kind < count.size(); ++kind) {
    std::printf("{\"case\": \"%s packets refused\", \"value\": %llu, \"unit\": \"cases\", "
                "\"merge\": \"sum\"}\n", to_string(static_cast<rigs::Forgery>(kind)),
                static_cast<unsigned long long>(count[kind]));
  }
  std::printf("{\"case\": \"forgeries not refused cleanly\", \"value\": %zu, \"unit\": \"cases\", "
              "\"at_most\": 0, \"merge\": \"sum\"}\n", accepted);
  return accepted == 0 ? 0 : 1;
}
