// A FIB under real QSBR: readers never wait and never see a wrong answer while a writer changes
// what they look up. Here and not with the FIB's own tests, because it has threads: it runs under
// the thread sanitizer too.
#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "dmsc/dataplane/reclaimer.hpp"
#include "dmsc/forwarding/decision.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;

namespace {

constexpr std::uint32_t kNames = 4000, kKept = 64;

std::string name_of(std::uint32_t i) {
  return "org-" + std::to_string(i % 50) + "/svc-" + std::to_string(i);
}

// The egress of every instance of a name tells the name: a group of another prefix, or a freed one,
// shows.
NodeId egress_of(std::uint32_t i) { return NodeId{1 + i}; }

struct Tally {
  std::atomic<std::uint64_t> looked{0}, wrong{0};
};

// Look-ups as a worker makes them, a batch between two quiescent points.
void read(const forwarding::Fib& fib, const std::atomic<bool>& stop, std::uint32_t seed,
          Tally& tally) {
  QsbrReader self;
  std::mt19937 random(seed);
  while (!stop || tally.looked < 10'000) {
    std::string texts[32];
    std::string_view names[32];
    std::uint32_t ids[32];
    forwarding::Match found[32];
    for (int i = 0; i < 32; ++i) {
      ids[i] = i % 4 == 0 ? random() % kKept : random() % kNames;
      names[i] = texts[i] = name_of(ids[i]);
    }
    fib.match_batch(names, found);
    for (int i = 0; i < 32; ++i) {
      bool kept = ids[i] < kKept;
      if (!found[i] ? kept
                    : found[i].prefix != names[i] || found[i]->instances().size() != 1 ||
                          found[i]->instances()[0].egress != egress_of(ids[i])) {
        ++tally.wrong;
      }
      const forwarding::NodeRoute route = fib.node(egress_of(ids[i]));
      if (route && route.next_hops()[0].neighbour != egress_of(ids[i])) ++tally.wrong;
    }
    tally.looked += 32;
    self.offline();  // as at epoll_wait
    self.online();
  }
}

void change(forwarding::Fib& fib, std::mt19937& random) {
  std::uint32_t id = random() % kNames;
  forwarding::InstanceEntry instance{egress_of(id), InstanceId{1}, false, true, 1};
  switch (random() % 4) {
    case 0:
      if (id >= kKept) fib.remove_prefix(name_of(id));
      return;
    case 1:
      fib.set_node(egress_of(id), {{{1 + id % 7, egress_of(id)}}, std::nullopt, id});
      return;
    case 2:
      fib.remove_node(egress_of(id));
      return;
    default:
      fib.set_prefix({Name::parse(name_of(id)).value(), true, {instance}});
  }
}

void race(std::uint32_t updates) {
  QsbrReclaimer reclaimer;
  forwarding::Fib fib(crypto::Key16{5}, reclaimer);
  for (std::uint32_t id = 0; id < kKept; ++id) {
    fib.set_prefix(
        {Name::parse(name_of(id)).value(), true, {{egress_of(id), InstanceId{1}, false, true, 1}}});
  }
  std::atomic<bool> stop{false};
  Tally tally;
  std::thread a([&] { read(fib, stop, 1, tally); }), b([&] { read(fib, stop, 2, tally); });
  std::mt19937 random(3);
  for (std::uint32_t i = 0; i < updates; ++i) change(fib, random);
  stop = true;
  a.join();
  b.join();
  CHECK(tally.wrong == 0);
  CHECK(tally.looked >= 10'000);
  reclaimer.flush();
}

}  // namespace

TEST_CASE("F3 fib: two readers see no wrong answer during 100,000 updates") { race(100'000); }
TEST_CASE("F3 fib: two readers see no wrong answer during 1,000,000 updates", "[.][million]") {
  race(1'000'000);
}
