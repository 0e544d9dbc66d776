// What a fuzz target is: `one_input` is fed anything; `seeds` writes well-formed inputs to start
// from, made with the project's own encoders, so that they never go stale. tests/fuzz/run builds
// and runs all targets; a program called with DMSC_FUZZ_SEEDS=DIR writes its seeds there and ends.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "dmsc/core/bytes.hpp"

namespace fuzz {

class SeedWriter {
 public:
  explicit SeedWriter(std::string folder) : folder_(std::move(folder)) {}
  void operator()(dmsc::ByteView seed) {
    std::ofstream out(folder_ + "/seed-" + std::to_string(count_++), std::ios::binary);
    out.write(reinterpret_cast<const char*>(seed.data()),
              static_cast<std::streamsize>(seed.size()));
    if (!out) std::abort();
  }
  // With a first byte in front, for targets that choose a decoder by it.
  void operator()(std::uint8_t selector, dmsc::ByteView seed) {
    dmsc::Bytes whole{selector};
    whole.insert(whole.end(), seed.begin(), seed.end());
    (*this)(whole);
  }

 private:
  std::string folder_;
  unsigned count_ = 0;
};

// A property that must hold whatever the input; the fuzzer reports its failure as a crash.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "property broken: %s\n", what);
  std::abort();
}

// Everything that decodes must encode to something that decodes to the same.
template <class T, class Decode>
void round_trip(const dmsc::Result<T>& decoded, Decode decode) {
  if (!decoded.ok()) {
    require(!decoded.error().message.empty(), "an error says what is wrong");
    return;
  }
  auto again = encode(*decoded);  // Bytes, or an array where the size is fixed
  auto twice = decode(dmsc::ByteView(again));
  require(twice.ok(), "what was encoded decodes");
  require(*twice == *decoded, "decode(encode(x)) == x");
}

void one_input(dmsc::ByteView data);
void seeds(SeedWriter& out);

}  // namespace fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* folder = std::getenv("DMSC_FUZZ_SEEDS")) {
    fuzz::SeedWriter out(folder);
    fuzz::seeds(out);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::one_input({data, size});
  return 0;
}
