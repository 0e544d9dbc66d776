// Routes at 1,000,000 prefixes from 10,000 gateways: prefix changes, loading, a lost link, SPF and
// look-ups for explain, from a verified LSA in the route keeper to the FIB.
#include <benchmark/benchmark.h>

#include <chrono>
#include <map>

#include "dmsc/node/route_keeper.hpp"
#include "tests/bench/domain.hpp"

namespace {

using namespace dmsc;

constexpr std::uint32_t kSide = 100, kPrefixesPerNode = 100, kChanges = 1000;

class Router {
 public:
  explicit Router(std::uint32_t side)
      : domain(side),
        trust(domain.store()),
        fib(crypto::Key16{7}, reclaimer),
        routes(NodeId{1}, trust, fib, {nullptr, nullptr, [this](const wire::LsaKey& key) {
                                         auto it = lsdb.find(key);
                                         return it == lsdb.end() ? nullptr : it->second;
                                       }}) {
    for (std::uint32_t id = 1; id <= domain.nodes(); ++id) {
      trust.learn(*domain.identity(id));
      trust.learn(*domain.grant(id));
      install(domain.node(id));
    }
    routes.link_up(LinkId{1}, NodeId{2}, 10);
    routes.link_up(LinkId{3}, NodeId{1 + side}, 10);
    settle();
  }
  void install(const wire::LsaPtr& lsa) {
    lsdb[lsa->key] = lsa;
    routes.lsa_installed(now, bench::kNow, *lsa);
  }
  void install(const std::vector<wire::LsaPtr>& lsas) {
    store(lsas);
    route(lsas);
  }
  // The LSDB's part, which is over when an LSA is verified and installed.
  void store(const std::vector<wire::LsaPtr>& lsas) {
    for (const wire::LsaPtr& lsa : lsas) lsdb[lsa->key] = lsa;
  }
  // From there to the FIB, as a node does it: 32 at a time.
  void route(std::span<const wire::LsaPtr> lsas) {
    constexpr std::size_t kForeseen = 32;
    for (std::size_t i = 0; i < lsas.size(); ++i) {
      if (i % kForeseen == 0) routes.foresee(lsas.subspan(i, std::min(kForeseen, lsas.size() - i)));
      routes.lsa_installed(now, bench::kNow, *lsas[i]);
    }
  }
  void settle() {
    for (int i = 0; i < 2; ++i) {
      now += seconds(10);
      routes.tick(now);
    }
  }

  bench::Domain domain;
  trust::TrustStore trust;
  forwarding::ImmediateReclaimer reclaimer;
  forwarding::Fib fib;
  std::map<wire::LsaKey, wire::LsaPtr> lsdb;
  node::RouteKeeper routes;
  Time now{};
};

Router& million() {
  static Router router(kSide);
  static bool filled = [] {
    for (std::uint32_t id = 1; id <= router.domain.nodes(); ++id) {
      router.install(router.domain.prefixes(id, bench::Domain::entries(id, 0, kPrefixesPerNode)));
    }
    return true;
  }();
  benchmark::DoNotOptimize(filled);
  return router;
}

// Runs `work` as the iteration, and `prepare` before it unmeasured.
template <class Prepare, class Work>
void measure(benchmark::State& state, Prepare prepare, Work work) {
  for (auto _ : state) {
    prepare();
    auto begin = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    state.SetIterationTime(took.count());
  }
}

// One gateway replaces 500 of its prefixes by 500 others: 1,000 changes in about 35 LSAs.
void changes_1000_one_gateway(benchmark::State& state) {
  Router& router = million();
  std::vector<std::vector<wire::LsaPtr>> versions;
  for (std::uint32_t half : {0U, kChanges / 2}) {
    versions.push_back(router.domain.prefixes(
        5000, bench::Domain::entries(5000, 10'000 + half, 10'000 + half + kChanges / 2)));
  }
  std::size_t at = 0;
  measure(
      state, [&] { router.store(versions[++at % 2]); }, [&] { router.route(versions[at % 2]); });
  state.counters["lsas"] = static_cast<double>(versions[0].size());
  state.counters["limit_ms"] = 2;
  std::uint64_t runs = router.routes.spf_runs();
  router.settle();
  if (router.routes.spf_runs() != runs) state.SkipWithError("a prefix-only change ran SPF");
  router.install(router.domain.prefixes(5000, bench::Domain::entries(5000, 0, kPrefixesPerNode)));
}

// A thousand gateways change one prefix each: 1,000 LSAs of about 28 prefixes.
void changes_1000_all_gateways(benchmark::State& state) {
  Router& router = million();
  std::vector<std::vector<wire::LsaPtr>> versions(2);
  for (std::uint32_t i = 0; i < kChanges; ++i) {
    std::uint32_t id = 1 + i * 10;
    wire::LsaPtr held = router.lsdb.at({NodeId{id}, wire::LsaType::prefix, 1});
    auto entries = bench::must(wire::decode_prefix_body(held->body())).entries;
    versions[1].push_back(router.domain.fragment(id, 1, entries));
    entries[entries.size() / 2] = bench::Domain::entry(id, 20'000);
    versions[0].push_back(router.domain.fragment(id, 1, entries));
  }
  std::size_t at = 1;
  measure(
      state, [&] { router.store(versions[++at % 2]); }, [&] { router.route(versions[at % 2]); });
  state.counters["limit_ms"] = 2;
  router.install(versions[1]);
}

// 100,000 prefixes of one gateway, one grant.
void load_100000(benchmark::State& state) {
  std::unique_ptr<Router> router;
  std::vector<wire::LsaPtr> lsas;
  measure(
      state,
      [&] {
        router = std::make_unique<Router>(10);
        if (lsas.empty())
          lsas = router->domain.prefixes(50, bench::Domain::entries(50, 0, 100'000));
      },
      [&] { router->install(lsas); });
  if (router->fib.prefix_count() != 100'000) state.SkipWithError("not all prefixes are in the FIB");
  state.counters["limit_ms"] = 500;
  state.counters["grant_checks"] = static_cast<double>(router->routes.prefixes().work().checks);
}

void link_down(benchmark::State& state, Router& router) {
  auto before = router.fib.work();
  std::uint64_t total = 0;
  measure(
      state, [&] { router.routes.link_up(LinkId{1}, NodeId{2}, 10); },
      [&] { router.routes.link_down(LinkId{1}); });
  auto after = router.fib.work();
  total = after.total() - before.total();
  router.routes.link_up(LinkId{1}, NodeId{2}, 10);
  state.counters["writes"] = static_cast<double>(total) / static_cast<double>(state.iterations());
  state.counters["limit_ms"] = 1;
}
void link_down_ten(benchmark::State& state) {
  static Router router(3);
  router.install(router.domain.prefixes(9, bench::Domain::entries(9, 0, 10)));
  link_down(state, router);
}
void link_down_million(benchmark::State& state) { link_down(state, million()); }

// A metric next to the root changes: SPF, alternates, RIB and FIB for 10,000 nodes.
void topology_change(benchmark::State& state) {
  Router& router = million();
  std::vector<wire::LsaPtr> versions{router.domain.node(1, 11), router.domain.node(1, 10)};
  auto before = router.fib.work();
  std::size_t at = 0;
  measure(
      state, [] {},
      [&] {
        router.install(versions[at++ % 2]);
        router.now += seconds(10);
        router.routes.tick(router.now);
      });
  auto after = router.fib.work();
  auto each = [&](std::uint64_t a, std::uint64_t b) {
    return static_cast<double>(a - b) / static_cast<double>(state.iterations());
  };
  state.counters["prefix_writes"] = each(after.prefixes, before.prefixes);
  state.counters["node_writes"] = each(after.nodes, before.nodes);
  router.install(versions[1]);
  router.settle();
}

// What `explain` looks up.
void explain_look_ups(benchmark::State& state) {
  Router& router = million();
  std::uint32_t id = 1;
  for (auto _ : state) {
    id = id % router.domain.nodes() + 1;
    Name name = bench::Domain::entry(id, 42).name;
    benchmark::DoNotOptimize(router.routes.rib().match(name));
    benchmark::DoNotOptimize(router.routes.prefixes().announcements(name, bench::kNow));
  }
  state.counters["limit_ms"] = 10;
}

BENCHMARK(changes_1000_one_gateway)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(changes_1000_all_gateways)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(link_down_ten)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(1000);
BENCHMARK(link_down_million)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(1000);
BENCHMARK(topology_change)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(explain_look_ups)->Unit(benchmark::kMillisecond);
BENCHMARK(load_100000)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);

}  // namespace

BENCHMARK_MAIN();
