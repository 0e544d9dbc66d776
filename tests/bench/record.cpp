// What recording costs a node's engine: two adjacent engines live through ten seconds of hellos,
// keepalives and a change of prefixes each second, with and without a record of every input of both. One
// item is one datagram received.
#include <benchmark/benchmark.h>

#include <deque>

#include "dmsc/linkstate/input_log.hpp"

namespace {

using namespace dmsc;
using linkstate::Engine;

struct Memory : linkstate::InputSink {
  Bytes bytes;
  void write(ByteView entry) override {
    if (bytes.size() > (1U << 20)) bytes.clear();  // as a file's buffer is handed over
    bytes.insert(bytes.end(), entry.begin(), entry.end());
  }
};

linkstate::EngineConfig config_of(std::uint32_t id, linkstate::InputSink* sink) {
  crypto::Key32 seed{};
  seed[0] = static_cast<std::uint8_t>(id);
  linkstate::EngineConfig c{.signer = crypto::SigningKey(seed)};
  c.self = NodeId{id};
  c.name = "n" + std::to_string(id);
  c.domain = DomainId{1};
  c.session = SessionId{100 + id};
  c.clock_seconds = 1'000'000;
  c.random_seed = id;
  c.certificate = Bytes(300, 1);
  c.keys.add(1, crypto::Key32{9});
  c.keys.set_active(1);
  c.record_to = sink;
  return c;
}

// Two engines and the wire between them, under virtual time.
class Pair {
 public:
  explicit Pair(bool record) {
    for (std::uint32_t i = 0; i < 2; ++i) {
      engines_.emplace_back(config_of(i + 1, record ? &tape_ : nullptr), now_);
      engines_.back().add_link(now_, {.id = LinkId{1}, .name = "wire"});
    }
  }
  std::int64_t run(Duration time) {
    Time end = now_ + time;
    for (int second = 0; now_ < end; ++second) {
      wire::PrefixEntry entry;
      entry.name = *Name::parse("a/" + std::to_string(second % 2));
      entry.instances.push_back({InstanceId{1}, 100});
      engines_[0].set_prefixes(now_, {entry});
      run_until(std::min(end, now_ + seconds(1)));
    }
    return received_;
  }

 private:
  void run_until(Time end) {
    for (;;) {
      exchange();
      Time next = end;
      for (Engine& e : engines_) next = std::min(next, e.next_deadline().value_or(end));
      now_ = std::max(next, now_);
      if (now_ >= end) return;
      for (Engine& e : engines_) e.tick(now_);
    }
  }
  void exchange() {
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < 2; ++i) {
        for (linkstate::Output& output : engines_[i].poll()) {
          if (auto* t = std::get_if<linkstate::Transmit>(&output)) {
            engines_[1 - i].receive(now_, LinkId{1}, t->datagram);
            ++received_;
          } else if (auto* v = std::get_if<linkstate::VerifyWanted>(&output)) {
            engines_[i].verdict(now_, v->ticket, true);
          }
          more = true;
        }
      }
    }
  }

  Memory tape_;
  std::deque<Engine> engines_;
  Time now_{seconds(1)};
  std::int64_t received_ = 0;
};

void live(benchmark::State& state, bool record) {
  std::int64_t items = 0;
  for (auto _ : state) items += Pair(record).run(seconds(10));
  state.SetItemsProcessed(items);
}

void unrecorded(benchmark::State& state) { live(state, false); }
void recorded(benchmark::State& state) { live(state, true); }
BENCHMARK(unrecorded);
BENCHMARK(recorded);

}  // namespace

BENCHMARK_MAIN();
