// Memory of 1,000,000 prefixes from 10,000 nodes: LSDB, trust, routes and FIB, counted by the
// allocator. One grant per node, identities included, every prefix with an instance of its own.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <map>
#include <new>

#include "dmsc/linkstate/lsdb.hpp"
#include "dmsc/node/route_keeper.hpp"
#include "tests/bench/domain.hpp"

namespace {

std::size_t live_bytes = 0;  // with the heap's own overhead; this program has one thread

void* counted(std::size_t size) {
  void* p = std::malloc(size);
  if (p == nullptr) throw std::bad_alloc();
  live_bytes += malloc_usable_size(p) + sizeof(std::size_t);
  return p;
}
void uncount(void* p) {
  if (p == nullptr) return;
  live_bytes -= malloc_usable_size(p) + sizeof(std::size_t);
  std::free(p);
}
void* counted_aligned(std::size_t size, std::align_val_t align) {
  void* p = std::aligned_alloc(static_cast<std::size_t>(align), size);
  if (p == nullptr) throw std::bad_alloc();
  live_bytes += malloc_usable_size(p) + sizeof(std::size_t);
  return p;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, std::align_val_t align) {
  return counted_aligned(size, align);
}
void* operator new[](std::size_t size, std::align_val_t align) {
  return counted_aligned(size, align);
}
void operator delete(void* p) noexcept { uncount(p); }
void operator delete[](void* p) noexcept { uncount(p); }
void operator delete(void* p, std::size_t) noexcept { uncount(p); }
void operator delete[](void* p, std::size_t) noexcept { uncount(p); }
void operator delete(void* p, std::align_val_t) noexcept { uncount(p); }
void operator delete[](void* p, std::align_val_t) noexcept { uncount(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { uncount(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { uncount(p); }

namespace {

using namespace dmsc;

constexpr std::uint32_t kSide = 100, kPrefixesPerNode = 100;

struct Sizes {
  double lsdb = 0, trust = 0, topology = 0, rib = 0, keeper = 0, fib = 0, total = 0;
  double lsas = 0, wire_bytes = 0, prefixes = 0, groups = 0;
};

class Filled {
 public:
  Filled() {
    bench::Domain domain(kSide);
    auto grown = [at = live_bytes, this]() mutable {
      double out = static_cast<double>(live_bytes - at);
      at = live_bytes;
      sizes.total += out;
      return out;
    };
    trust_.emplace(domain.store());
    grown();
    for (std::uint32_t id = 1; id <= domain.nodes(); ++id) {
      install(*domain.identity(id));
      install(*domain.grant(id));
      install(*domain.node(id));
      for (const auto& lsa : domain.prefixes(id, domain.entries(id, 0, kPrefixesPerNode))) {
        install(*lsa);
      }
    }
    sizes.lsdb = grown();
    for_each([this](const wire::Lsa& lsa) { trust_->learn(lsa); });
    sizes.trust = grown();
    fib_ = std::make_unique<forwarding::Fib>(crypto::Key16{7}, reclaimer_);
    routes_ = std::make_unique<node::RouteKeeper>(
        NodeId{1}, *trust_, *fib_,
        node::RouteKeeper::Hooks{nullptr, nullptr, [this](const wire::LsaKey& key) {
                                   return read(lsdb_.find(wire::key_number(key)));
                                 }});
    for_each([this](const wire::Lsa& lsa) {
      if (lsa.key.type == wire::LsaType::node) routes_->lsa_installed(now_, bench::kNow, lsa);
    });
    now_ += seconds(20);
    routes_->tick(now_);
    double with_nodes = grown();
    for_each([this](const wire::Lsa& lsa) {
      if (lsa.key.type == wire::LsaType::prefix) routes_->lsa_installed(now_, bench::kNow, lsa);
    });
    double with_prefixes = grown();
    sizes.rib = static_cast<double>(routes_->rib().memory().total());
    sizes.keeper = static_cast<double>(routes_->prefixes().bytes());
    sizes.fib = static_cast<double>(fib_->memory().total());
    sizes.topology = with_nodes + with_prefixes - sizes.rib - sizes.keeper - sizes.fib;
    sizes.lsas = static_cast<double>(lsdb_.size());
    sizes.prefixes = static_cast<double>(fib_->prefix_count());
    sizes.groups = static_cast<double>(routes_->rib().group_count());
  }
  Sizes sizes;

 private:
  void install(const wire::Lsa& lsa) {
    sizes.wire_bytes += static_cast<double>(lsa.raw.size());
    // As it arrives: decoded from a datagram, so that it holds no room to spare.
    put(lsdb_, must(wire::decode_lsa(lsa.raw)));
  }
  template <class T>
  static T must(Result<T> result) {
    return bench::must(std::move(result));
  }
  template <class Db>
  static void put(Db& db, const wire::LsaPtr& lsa) {
    if constexpr (requires { db.install(Time{}, *lsa, 3600U); }) {
      db.install(Time{}, *lsa, 3600U);
    } else {
      db.install(Time{}, lsa, 3600U);
    }
  }
  template <class Entry>
  wire::LsaPtr read(const Entry* entry) {
    if (entry == nullptr) return nullptr;
    return read_from(lsdb_, *entry);
  }
  template <class Db, class Entry>
  static wire::LsaPtr read_from(const Db& db, const Entry& entry) {
    if constexpr (requires { db.load(entry); }) {
      return db.load(entry);
    } else {
      return entry.lsa;
    }
  }
  template <class Use>
  void for_each(Use use) {
    visit(lsdb_, use);
  }
  template <class Db, class Use>
  void visit(const Db& db, Use& use) {
    if constexpr (requires { db.entries(); }) {
      for (const auto& [key, entry] : db.entries()) use(*read_from(db, entry));
    } else {
      db.visit([&](const auto& entry) { use(*read_from(db, entry)); });
    }
  }

  linkstate::Lsdb lsdb_;
  std::optional<trust::TrustStore> trust_;
  forwarding::ImmediateReclaimer reclaimer_;
  std::unique_ptr<forwarding::Fib> fib_;
  std::unique_ptr<node::RouteKeeper> routes_;
  Time now_{};
};

const Sizes& sizes() {
  static const Sizes filled = Filled().sizes;
  return filled;
}

// `MB` and its limit are what tools/bench reads; the rest is for people.
void show(benchmark::State& state, double bytes, double limit_mb) {
  for (auto _ : state) benchmark::DoNotOptimize(bytes);
  state.counters["MB"] = bytes / 1e6;
  if (limit_mb > 0) state.counters["limit"] = limit_mb;
  state.counters["bytes_per_prefix"] = bytes / sizes().prefixes;
}

void lsdb(benchmark::State& state) {
  show(state, sizes().lsdb, 120);
  state.counters["lsas"] = sizes().lsas;
  state.counters["bytes_per_lsa"] = sizes().lsdb / sizes().lsas;
  state.counters["wire_MB"] = sizes().wire_bytes / 1e6;
}
void trust_store(benchmark::State& state) { show(state, sizes().trust, 0); }
void topology_and_spf(benchmark::State& state) { show(state, sizes().topology, 0); }
void rib(benchmark::State& state) {
  show(state, sizes().rib, 0);
  state.counters["groups"] = sizes().groups;
}
void prefix_keeper(benchmark::State& state) { show(state, sizes().keeper, 0); }
void fib(benchmark::State& state) { show(state, sizes().fib, 0); }
void all(benchmark::State& state) { show(state, sizes().total, 350); }

BENCHMARK(lsdb)->Iterations(1);
BENCHMARK(trust_store)->Iterations(1);
BENCHMARK(topology_and_spf)->Iterations(1);
BENCHMARK(rib)->Iterations(1);
BENCHMARK(prefix_keeper)->Iterations(1);
BENCHMARK(fib)->Iterations(1);
BENCHMARK(all)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
