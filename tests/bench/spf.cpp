// SPF on a 100 x 100 grid with random metrics and with unit metrics (where equal-cost paths are
// countless), beside a textbook Dijkstra on the same graph in the same run: std::priority_queue
// over adjacency maps, one predecessor, no equal-cost sets.
#include <benchmark/benchmark.h>

#include <map>
#include <queue>
#include <random>
#include <unordered_map>

#include "dmsc/routing/spf.hpp"

namespace {

using namespace dmsc;

constexpr std::uint32_t kSide = 100;

using Maps = std::unordered_map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>>;

struct Network {
  routing::Topology topology;
  Maps maps;

  explicit Network(std::uint32_t metrics) {
    std::mt19937 random(1);
    std::map<std::uint32_t, wire::NodeBody> bodies;
    std::uint32_t links = 0;
    auto connect = [&](std::uint32_t a, std::uint32_t b) {
      ++links;
      for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
        wire::Adjacency adjacency;
        adjacency.neighbour = NodeId{to};
        adjacency.link = adjacency.neighbour_link = links;
        adjacency.metric = 1 + static_cast<std::uint32_t>(random() % metrics);
        adjacency.flags = wire::kAdjacencyUsable;
        maps[from][to] = adjacency.metric;
        bodies[from].adjacencies.push_back(adjacency);
      }
    };
    for (std::uint32_t i = 0; i < kSide * kSide; ++i) {
      if (i % kSide != 0) connect(i, i + 1);
      if (i >= kSide) connect(i + 1 - kSide, i + 1);
    }
    for (const auto& [id, body] : bodies) topology.set(NodeId{id}, 0, body);
    topology.graph();
  }
};

const Network& network(std::int64_t metrics) {
  static std::map<std::int64_t, Network> held;
  return held.try_emplace(metrics, static_cast<std::uint32_t>(metrics)).first->second;
}

constexpr NodeId kRoot{kSide * kSide / 2 + kSide / 2};

void textbook_dijkstra(benchmark::State& state) {
  const Maps& maps = network(state.range(0)).maps;
  for (auto _ : state) {
    std::unordered_map<std::uint32_t, std::uint32_t> distance, parent;
    using Item = std::pair<std::uint32_t, std::uint32_t>;
    std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
    distance[kRoot.value] = 0;
    queue.emplace(0, kRoot.value);
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

void spf(benchmark::State& state) {
  const routing::Topology& topology = network(state.range(0)).topology;
  for (auto _ : state) benchmark::DoNotOptimize(routing::run_spf(topology, kRoot));
}

void spf_with_alternates(benchmark::State& state) {
  const routing::Topology& topology = network(state.range(0)).topology;
  for (auto _ : state) {
    routing::SpfResult result = routing::run_spf(topology, kRoot);
    routing::add_alternates(topology, result);
    benchmark::DoNotOptimize(result);
  }
}

// One link's metric changes: taking in the LSA, building the graph anew, SPF.
void change_and_spf(benchmark::State& state) {
  routing::Topology topology = network(state.range(0)).topology;
  wire::NodeBody body = *topology.attributes(NodeId{1});
  for (auto _ : state) {
    body.adjacencies[0].metric = body.adjacencies[0].metric % 7 + 1;
    topology.set(NodeId{1}, 0, body);
    benchmark::DoNotOptimize(routing::run_spf(topology, kRoot));
  }
}

// The argument is the largest metric.
BENCHMARK(textbook_dijkstra)->Arg(100)->Arg(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(spf)->Arg(100)->Arg(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(spf_with_alternates)->Arg(100)->Arg(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(change_and_spf)->Arg(100)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
