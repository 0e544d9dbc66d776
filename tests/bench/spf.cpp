// SPF on grids with random metrics and with unit metrics (where equal-cost paths are countless):
// full runs beside a textbook Dijkstra on the same graph (std::priority_queue over adjacency maps,
// one predecessor, no equal-cost sets), repairs of one changed link beside full runs for the same
// changes, loop-free alternates of a root with 16 neighbours, and a storm of flaps.
#include <benchmark/benchmark.h>

#include <ctime>
#include <map>
#include <queue>
#include <unordered_map>

#include "dmsc/routing/spf_backoff.hpp"
#include "tests/bench/spf_network.hpp"

namespace {

using namespace dmsc;
using bench::Grid;
using routing::Spf;

std::uint32_t side_of(std::int64_t nodes) {
  std::uint32_t side = 1;
  while (std::int64_t{side} * side < nodes) ++side;
  return side;
}

const Grid& grid(std::int64_t nodes, std::uint32_t metrics) {
  static std::map<std::pair<std::int64_t, std::uint32_t>, Grid> held;
  return held.try_emplace({nodes, metrics}, side_of(nodes), metrics).first->second;
}

using Maps = std::unordered_map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>>;
Maps maps_of(const routing::Topology& topology) {
  Maps maps;
  for (std::uint32_t node = 0; node < topology.node_count(); ++node) {
    for (const routing::Edge& edge : topology.edges(node)) maps[node][edge.to] = edge.metric;
  }
  return maps;
}

void textbook(benchmark::State& state, std::uint32_t metrics) {
  const Grid& g = grid(state.range(0), metrics);
  const Maps maps = maps_of(g.topology());
  std::uint32_t root = g.topology().index(g.middle());
  for (auto _ : state) {
    std::unordered_map<std::uint32_t, std::uint32_t> distance, parent;
    using Item = std::pair<std::uint32_t, std::uint32_t>;
    std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
    distance[root] = 0;
    queue.emplace(0, root);
    while (!queue.empty()) {
      auto [d, at] = queue.top();
      queue.pop();
      if (d != distance[at]) continue;
      for (auto [to, metric] : maps.at(at)) {
        auto known = distance.find(to);
        if (known != distance.end() && known->second <= d + metric) continue;
        distance[to] = d + metric;
        parent[to] = at;
        queue.emplace(d + metric, to);
      }
    }
    benchmark::DoNotOptimize(distance);
    benchmark::DoNotOptimize(parent);
  }
}

void full(benchmark::State& state, std::uint32_t metrics) {
  const Grid& g = grid(state.range(0), metrics);
  Spf spf(g.middle());
  spf.update(g.topology());
  for (auto _ : state) {
    spf.forget();
    benchmark::DoNotOptimize(spf.update(g.topology()));
  }
  auto per_node = [&](std::size_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(g.nodes());
  };
  state.counters["topology_bytes_per_node"] = per_node(g.topology().bytes());
  state.counters["result_bytes_per_node"] = per_node(spf.result_bytes());
  state.counters["scratch_bytes"] = static_cast<double>(spf.scratch_bytes());
}

void textbook_dijkstra(benchmark::State& state) { textbook(state, 100); }
void textbook_dijkstra_unit(benchmark::State& state) { textbook(state, 1); }
void spf(benchmark::State& state) { full(state, 100); }
void spf_unit(benchmark::State& state) { full(state, 1); }

// ---- one changed link -----------------------------------------------------------------------

constexpr int kChanges = 4000;

// Processor time of this thread, in seconds: what else runs on the machine does not count.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Seconds for each of many random changes (a link goes, comes back, gets other metrics) from both
// its LSAs to the result, sorted. Only those that change a distance or next hop: half of the links
// are on no shortest path, and their changes cost a microsecond.
const std::vector<double>& change_times(std::int64_t nodes, bool repair) {
  static std::map<std::pair<std::int64_t, bool>, std::vector<double>> held;
  std::vector<double>& times = held[{nodes, repair}];
  if (!times.empty()) return times;
  Grid g(side_of(nodes), 100);
  Spf spf(g.middle());
  spf.update(g.topology());
  std::mt19937 random(7);
  auto timed = [&](auto change) {
    double begin = cpu_seconds();
    change();
    if (!repair) spf.forget();
    spf.update(g.topology());
    double took = cpu_seconds() - begin;
    if (!spf.changed().empty()) times.push_back(took);
  };
  for (int i = 0; i < kChanges / 4; ++i) {
    Grid::Link link = g.some_link(random);
    auto other = [&] { return 1 + static_cast<std::uint32_t>(random() % 100); };
    std::uint32_t there = other(), back = other();
    timed([&] { g.change(link, 0, 0); });
    timed([&] { g.restore(link); });
    timed([&] { g.change(link, there, back); });
    timed([&] { g.restore(link); });
  }
  std::sort(times.begin(), times.end());
  return times;
}

void percentile(benchmark::State& state, bool repair, std::size_t percent) {
  const std::vector<double>& times = change_times(state.range(0), repair);
  for (auto _ : state) state.SetIterationTime(times[times.size() * percent / 100]);
}
void full_median(benchmark::State& state) { percentile(state, false, 50); }
void full_p99(benchmark::State& state) { percentile(state, false, 99); }
void repair_median(benchmark::State& state) { percentile(state, true, 50); }
void repair_p99(benchmark::State& state) { percentile(state, true, 99); }

// ---- alternates -----------------------------------------------------------------------------

Grid with_16_neighbours(std::int64_t nodes) {
  Grid g(side_of(nodes), 100);
  std::mt19937 random(3);
  for (int i = 0; i < 12; ++i) {
    auto node = static_cast<std::uint32_t>(random() % g.nodes());
    g.join_middle(node, 500 + static_cast<std::uint32_t>(random() % 1000));
  }
  return g;
}

// Step 2 after one changed link: with the neighbours' trees repaired, and all computed anew.
void alternates(benchmark::State& state, bool keep) {
  Grid g = with_16_neighbours(state.range(0));
  Spf spf(g.middle());
  if (!keep) spf.set_alternates_budget(0);
  spf.update(g.topology());
  spf.update_alternates(g.topology());
  std::mt19937 random(5);
  for (auto _ : state) {
    state.PauseTiming();
    Grid::Link link = g.some_link(random);
    g.change(link, 1 + static_cast<std::uint32_t>(random() % 100), 50);
    spf.update(g.topology());
    state.ResumeTiming();
    benchmark::DoNotOptimize(spf.update_alternates(g.topology()));
  }
  state.counters["scratch_bytes"] = static_cast<double>(spf.scratch_bytes());
}
void alternates_repaired(benchmark::State& state) { alternates(state, true); }
void alternates_anew(benchmark::State& state) { alternates(state, false); }

// The longest a control thread is held up by step 2: one neighbour at a time.
void alternates_step(benchmark::State& state) {
  Grid g = with_16_neighbours(state.range(0));
  Spf spf(g.middle());
  spf.set_alternates_budget(0);
  spf.update(g.topology());
  for (auto _ : state) {
    if (spf.update_alternates(g.topology(), 1)) {
      state.PauseTiming();
      spf.forget();
      spf.update(g.topology());
      state.ResumeTiming();
    }
  }
}

// ---- flaps ----------------------------------------------------------------------------------

// A minute of 100 flaps a second: every 10 ms a link goes, 5 ms later it is back. `same` link, or
// any. The time is the processor's for LSAs, delay machine, SPF and alternates together.
void flaps(benchmark::State& state, bool same) {
  std::uint64_t runs = 0;
  for (auto _ : state) {
    Grid g(side_of(state.range(0)), 100);
    Spf spf(g.middle());
    spf.update(g.topology());
    routing::SpfBackoff backoff;
    std::mt19937 random(11);
    Grid::Link link = g.some_link(random);
    double begin = cpu_seconds();
    runs = 0;
    auto run_until = [&](Time now) {
      while (backoff.due() && *backoff.due() <= now) {
        Time at = *backoff.due();
        spf.update(g.topology());
        spf.update_alternates(g.topology());
        backoff.ran(at);
        ++runs;
      }
    };
    for (int i = 0; i < 6000; ++i) {
      Time down = Time{} + milliseconds(10 * i), up = down + milliseconds(5);
      if (!same) link = g.some_link(random);
      run_until(down);
      g.change(link, 0, 0);
      backoff.event(down, true);
      run_until(up);
      g.restore(link);
      backoff.event(up, false);
    }
    state.SetIterationTime(cpu_seconds() - begin);
  }
  state.counters["spf_runs"] = static_cast<double>(runs);
}
void flaps_of_one_link(benchmark::State& state) { flaps(state, true); }
void flaps_of_any_link(benchmark::State& state) { flaps(state, false); }

// The argument is the number of nodes.
BENCHMARK(textbook_dijkstra)->Arg(10000)->Arg(100000)->Unit(benchmark::kMicrosecond);
BENCHMARK(spf)->Arg(10000)->Arg(40000)->Arg(100000)->Arg(1000000)->Unit(benchmark::kMicrosecond);
BENCHMARK(textbook_dijkstra_unit)->Arg(1024)->Arg(10000)->Unit(benchmark::kMicrosecond);
BENCHMARK(spf_unit)->Arg(1024)->Arg(10000)->Unit(benchmark::kMicrosecond);
BENCHMARK(full_median)->Arg(10000)->UseManualTime()->Iterations(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(full_p99)->Arg(10000)->UseManualTime()->Iterations(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(repair_median)->Arg(10000)->UseManualTime()->Iterations(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(repair_p99)->Arg(10000)->UseManualTime()->Iterations(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(alternates_anew)->Arg(10000)->Unit(benchmark::kMicrosecond);
BENCHMARK(alternates_repaired)->Arg(10000)->Unit(benchmark::kMicrosecond);
BENCHMARK(alternates_step)->Arg(10000)->Unit(benchmark::kMicrosecond);
BENCHMARK(flaps_of_one_link)
    ->Arg(1000)
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(flaps_of_any_link)
    ->Arg(1000)
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
