// Name look-up in the FIB: 1,000,000 prefixes of 2-5 components, one look-up in ten a miss, names
// in random order. Beside it, on the same names in the same run, longest match over a
// std::unordered_map as one would first write it. Also what a prefix takes in memory, the slowest of a hundred
// single look-ups, and names that an attacker chose.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dmsc/forwarding/fib.hpp"
#include "dmsc/name/name_hash.hpp"

namespace {

using namespace dmsc;

constexpr std::size_t kPrefixes = 1'000'000, kQueries = 1 << 20;

std::string random_component(std::mt19937_64& random) {
  static constexpr char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
  std::string out;
  for (std::size_t n = 3 + random() % 8; n-- > 0;) out += letters[random() % 37];
  return out;
}

// Names as services have them: few heads, many tails.
std::string random_name(std::mt19937_64& random) {
  std::string text = "org-" + std::to_string(random() % 1000);
  for (std::size_t n = 1 + random() % 4; n-- > 0;) text += "/" + random_component(random);
  return text;
}

struct Workload {
  std::vector<std::string> prefixes, queries;
  Workload() {
    std::mt19937_64 random(1);
    std::unordered_set<std::string> seen;
    while (prefixes.size() < kPrefixes) {
      std::string name = random_name(random);
      if (seen.insert(name).second) prefixes.push_back(std::move(name));
    }
    while (queries.size() < kQueries) {
      if (random() % 10 != 0) {
        queries.push_back(prefixes[random() % kPrefixes]);
      } else if (std::string name = random_name(random); seen.count(name) == 0) {
        queries.push_back(std::move(name));
      }
    }
  }
};

const Workload& workload() {
  static const Workload w;
  return w;
}

forwarding::PrefixRoute group_of(const std::string& text) {
  forwarding::PrefixRoute group;
  group.prefix = Name::parse(text).value();
  group.covering = text.size() % 8 == 0;
  group.instances = {{NodeId{1}, InstanceId{1}, false, true, 100}};
  return group;
}

struct FilledFib {
  forwarding::ImmediateReclaimer reclaimer;
  forwarding::Fib fib{crypto::Key16{1, 2, 3, 4}, reclaimer};
  FilledFib() {
    for (const std::string& text : workload().prefixes) fib.set_prefix(group_of(text));
  }
};

const forwarding::Fib& filled_fib() {
  static const FilledFib f;
  return f.fib;
}

const std::unordered_map<std::string, forwarding::PrefixRoute>& filled_map() {
  static const auto map = [] {
    std::unordered_map<std::string, forwarding::PrefixRoute> out;
    for (const std::string& text : workload().prefixes) out.emplace(text, group_of(text));
    return out;
  }();
  return map;
}

const forwarding::PrefixRoute* map_match(std::string_view name) {
  const auto& map = filled_map();
  for (std::string at(name);;) {
    auto it = map.find(at);
    if (it != map.end() && (it->second.covering || at.size() == name.size())) return &it->second;
    std::size_t slash = at.rfind('/');
    if (slash == std::string::npos) return nullptr;
    at.resize(slash);
  }
}

template <class Match>
void look_up(benchmark::State& state, Match match) {
  const std::vector<std::string>& queries = workload().queries;
  std::size_t at = 0, hits = 0;
  for (auto _ : state) {
    auto group = match(queries[at++ % kQueries]);
    hits += group ? 1 : 0;
    benchmark::DoNotOptimize(group);
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["hits"] =
      benchmark::Counter(static_cast<double>(hits) / static_cast<double>(state.iterations()));
}

void fib_match(benchmark::State& state) {
  const forwarding::Fib& fib = filled_fib();
  look_up(state, [&](std::string_view name) { return fib.match(name); });
}

// As a worker does it: a batch of packets at a time.
void fib_match_batch32(benchmark::State& state) {
  const forwarding::Fib& fib = filled_fib();
  const std::vector<std::string>& queries = workload().queries;
  constexpr std::size_t kBatch = 32;
  std::string_view names[kBatch];
  forwarding::Match found[kBatch];
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::string_view& name : names) name = queries[at++ % kQueries];
    fib.match_batch(names, found);
    benchmark::DoNotOptimize(found);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

// Every look-up timed by itself; what the clock takes is taken off.
void fib_match_p99(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  const forwarding::Fib& fib = filled_fib();
  const std::vector<std::string>& queries = workload().queries;
  std::vector<double> took(100'000), clock(took.size());
  auto p = [](std::vector<double>& values, double share) {
    auto at = values.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(values.size()) * share);
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  std::size_t query = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < took.size(); ++i) {
      auto start = Clock::now();
      auto group = fib.match(queries[query++ % kQueries]);
      benchmark::DoNotOptimize(group);
      took[i] = seconds(Clock::now() - start);
      start = Clock::now();
      clock[i] = seconds(Clock::now() - start);
    }
    state.SetIterationTime(p(took, 0.99) - p(clock, 0.5));
  }
}

void fib_bytes_per_prefix(benchmark::State& state) {
  const forwarding::Fib& fib = filled_fib();
  for (auto _ : state) benchmark::DoNotOptimize(fib.memory());
  state.counters["bytes"] =
      benchmark::Counter(static_cast<double>(fib.memory().prefixes) / static_cast<double>(fib.prefix_count()));
}

void match_batches(benchmark::State& state, const forwarding::Fib& fib, const std::vector<std::string>& queries) {
  constexpr std::size_t kBatch = 32;
  std::string_view names[kBatch];
  forwarding::Match found[kBatch];
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::string_view& name : names) name = queries[at++ % queries.size()];
    fib.match_batch(names, found);
    benchmark::DoNotOptimize(found);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

// Names that would all fall into one bucket if the attacker had the key, which is his guess: of 2^20 buckets he
// takes those names of which one in 4,096 lies where he wants it. He may choose them; they cost what others cost.
std::vector<std::string> chosen_names() {
  NameHasher<> guess(NameKey{});
  std::mt19937_64 random(3);
  std::vector<std::string> out;
  while (out.size() < 4096) {
    std::string name = random_name(random);
    if ((guess(name) & 0xfff) == 0) out.push_back(std::move(name));
  }
  return out;
}

void fib_chosen_names(benchmark::State& state) {
  static const std::vector<std::string> names = chosen_names();
  match_batches(state, filled_fib(), names);
}

// As many names that nobody chose, and nobody announced.
void fib_other_names(benchmark::State& state) {
  static const std::vector<std::string> names = [] {
    std::mt19937_64 random(4);
    std::vector<std::string> out;
    while (out.size() < 4096) out.push_back(random_name(random));
    return out;
  }();
  match_batches(state, filled_fib(), names);
}

// Besides the million, a thousand prefixes at each of the sixteen depths, all of which cover what is below them.
const forwarding::Fib& deep_fib() {
  struct Deep : FilledFib {
    Deep() {
      std::mt19937_64 random(5);
      for (int i = 0; i < 1000; ++i) {
        std::string text = "org-" + std::to_string(i);
        for (std::size_t depth = 1; depth <= kMaxNameComponents; ++depth) {
          forwarding::PrefixRoute group = group_of(text);
          group.covering = true;
          if (depth > 1) fib.set_prefix(group);  // not the first: it would serve all names
          text += "/d" + std::to_string(random() % 10);
        }
      }
    }
  };
  static const Deep deep;
  return deep.fib;
}

// Names of sixteen components, which begin as announced ones do and miss at every depth.
void fib_deep_names(benchmark::State& state) {
  static const std::vector<std::string> names = [] {
    std::mt19937_64 random(6);
    std::vector<std::string> out;
    while (out.size() < 4096) {
      std::string name = "org-" + std::to_string(random() % 1000);
      for (std::size_t n = 1; n < kMaxNameComponents; ++n) name += "/x" + std::to_string(random() % 10);
      out.push_back(std::move(name));
    }
    return out;
  }();
  match_batches(state, deep_fib(), names);
}

void fib_deep_other_names(benchmark::State& state) {
  static const std::vector<std::string> names = [] {
    std::mt19937_64 random(4);
    std::vector<std::string> out;
    while (out.size() < 4096) out.push_back(random_name(random));
    return out;
  }();
  match_batches(state, deep_fib(), names);
}

void unordered_map_match(benchmark::State& state) {
  filled_map();
  look_up(state, [](std::string_view name) { return map_match(name); });
}

void fib_update(benchmark::State& state) {
  forwarding::ImmediateReclaimer reclaimer;
  forwarding::Fib fib(crypto::Key16{}, reclaimer);
  const std::vector<std::string>& prefixes = workload().prefixes;
  for (const std::string& text : prefixes) fib.set_prefix(group_of(text));
  std::size_t at = 0;
  for (auto _ : state) fib.set_prefix(group_of(prefixes[(at += 7919) % kPrefixes]));
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(unordered_map_match);
BENCHMARK(fib_match);
BENCHMARK(fib_match_batch32);
BENCHMARK(fib_match_p99)->UseManualTime()->Iterations(5);
BENCHMARK(fib_bytes_per_prefix)->Iterations(1);
BENCHMARK(fib_chosen_names);
BENCHMARK(fib_other_names);
BENCHMARK(fib_deep_names);
BENCHMARK(fib_deep_other_names);
BENCHMARK(fib_update);

}  // namespace

BENCHMARK_MAIN();
