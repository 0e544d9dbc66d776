// The FIB against a naive reference: soak_fib [--seed FIRST] [--seeds COUNT], 100,000 random cases
// a seed.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/rigs/fib_reference.hpp"

int main(int argc, char** argv) {
  std::uint64_t first = 1, count = 100;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seed") == 0) first = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seeds") == 0) count = std::strtoull(argv[i + 1], nullptr, 10);
  }
  constexpr std::size_t kCases = 100'000;
  std::uint64_t wrong = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    dmsc::rigs::FibReference reference(seed);
    if (auto what = reference.run(kCases)) {
      ++wrong;
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), what->c_str());
    }
  }
  std::printf(
      "{\"case\": \"look-ups compared\", \"value\": %llu, \"unit\": \"cases\", \"merge\": "
      "\"sum\"}\n",
      static_cast<unsigned long long>(count * kCases));
  std::printf(
      "{\"case\": \"seeds with a wrong look-up\", \"value\": %llu, \"unit\": \"seeds\", "
      "\"at_most\": 0, "
      "\"merge\": \"sum\"}\n",
      static_cast<unsigned long long>(wrong));
  return wrong == 0 ? 0 : 1;
}
