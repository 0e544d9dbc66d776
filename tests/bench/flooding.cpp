// LSAs flooded over two hops by three engines: HMAC, window, acknowledgements, install, forward. One item
// is one LSA installed at one node. `flood` takes every signature for good, `flood_verified` checks
// them. Beside them in the same run: a bare relay without window, acknowledgement or packing (one
// datagram an LSA, HMAC, decode, std::map), and Ed25519 verification alone.
#include <benchmark/benchmark.h>

#include <map>

#include "dmsc/linkstate/engine.hpp"

namespace {

using namespace dmsc;
using linkstate::Engine;

constexpr std::size_t kLsas = 2000;
constexpr std::size_t kNodes = 3;

crypto::Key32 filled(std::uint8_t byte) {
  crypto::Key32 out;
  out.fill(byte);
  return out;
}

linkstate::EngineConfig config_of(std::uint32_t id) {
  linkstate::EngineConfig c{.self = NodeId{id},
                            .name = "n" + std::to_string(id),
                            .domain = DomainId{1},
                            .session = SessionId{100 + id},
                            .clock_seconds = 1'000'000,
                            .random_seed = id,
                            .signer = crypto::SigningKey(filled(static_cast<std::uint8_t>(id))),
                            .certificate = Bytes(100, 1)};
  c.keys.add(1, filled(9));
  c.keys.set_active(1);
  return c;
}

// Bodies like grants: distinct and of a grant's size.
const std::vector<Bytes>& bodies() {
  static const std::vector<Bytes> made = [] {
    std::vector<Bytes> out;
    for (std::size_t i = 0; i < kLsas; ++i) {
      ByteWriter w;
      w.u64(i).bytes(Bytes(150, 7));
      out.push_back(w.take());
    }
    return out;
  }();
  return made;
}

// A line of engines in one process; link 1 leads left, link 2 right.
class Line {
 public:
  explicit Line(bool verify) : verify_(verify) {
    for (std::uint32_t i = 0; i < kNodes; ++i) engines_.emplace_back(config_of(i + 1), now_);
    for (std::size_t i = 0; i < kNodes; ++i) {
      if (i > 0) engines_[i].add_link(now_, {.id = LinkId{1}, .name = "left"});
      if (i + 1 < kNodes) engines_[i].add_link(now_, {.id = LinkId{2}, .name = "right"});
    }
    advance_until([&] { return engines_[0].synchronised() && installed() >= 2 * kNodes; });
  }

  void originate() { engines_[0].set_grants(now_, bodies()); }
  std::size_t installed() const { return engines_.back().lsa_count(); }
  void flood() {
    std::size_t target = installed() + kLsas;
    advance_until([&] { return installed() >= target; });
  }

 private:
  template <class Done>
  void advance_until(Done done) {
    while (!done()) {
      while (step()) {
      }
      Time next = now_ + milliseconds(1);
      for (Engine& engine : engines_) {
        if (auto due = engine.next_deadline()) next = std::min(next, *due);
      }
      now_ = std::max(next, now_ + microseconds(10));
      for (Engine& engine : engines_) engine.tick(now_);
    }
  }

  bool step() {
    bool any = false;
    for (std::size_t i = 0; i < kNodes; ++i) {
      for (linkstate::Output& output : engines_[i].poll()) {
        any = handle(i, output) || any;
      }
    }
    return any;
  }

  bool handle(std::size_t node, linkstate::Output& output) {
    if (auto* sent = std::get_if<linkstate::Transmit>(&output)) {
      bool right = sent->link == LinkId{2};
      engines_[right ? node + 1 : node - 1].receive(now_, LinkId{right ? 1U : 2U}, sent->datagram);
      return true;
    }
    if (auto* wanted = std::get_if<linkstate::VerifyWanted>(&output)) {
      engines_[node].verdict(now_, wanted->ticket, !verify_ || verify(*wanted->lsa));
      return true;
    }
    return false;
  }

  static bool verify(const wire::Lsa& lsa) {
    crypto::SigningKey key(filled(static_cast<std::uint8_t>(lsa.key.origin.value)));
    return crypto::verify(key.public_key(), lsa.signed_bytes(), lsa.signature());
  }

  bool verify_;
  Time now_{seconds(1)};
  std::vector<Engine> engines_;
};

void run(benchmark::State& state, bool verify) {
  for (auto _ : state) {
    state.PauseTiming();
    Line line(verify);
    line.originate();  // signing is not flooding
    state.ResumeTiming();
    line.flood();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kLsas * (kNodes - 1)));
}

void flood(benchmark::State& state) { run(state, false); }
void flood_verified(benchmark::State& state) { run(state, true); }

std::vector<wire::LsaPtr> signed_lsas() {
  crypto::SigningKey key(filled(1));
  std::vector<wire::LsaPtr> out;
  for (std::uint16_t i = 0; i < kLsas; ++i) {
    out.push_back(*wire::make_lsa({NodeId{1}, wire::LsaType::grant, i}, {1, i}, 3600, false,
                                  wire::encode_object_body(bodies()[i]), key));
  }
  return out;
}

void bare_relay(benchmark::State& state) {
  std::vector<wire::LsaPtr> lsas = signed_lsas();
  crypto::Key32 key = filled(9);
  for (auto _ : state) {
    for (std::size_t hop = 1; hop < kNodes; ++hop) {
      std::map<wire::LsaKey, wire::LsaPtr> database;
      for (const wire::LsaPtr& lsa : lsas) {
        Bytes datagram = lsa->raw;
        crypto::Hash32 tag = crypto::hmac_sha256(key, datagram);
        if (!crypto::equal(tag, crypto::hmac_sha256(key, datagram))) state.SkipWithError("tag");
        auto decoded = wire::decode_lsa(datagram);
        database[(*decoded)->key] = *decoded;
      }
      benchmark::DoNotOptimize(database);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kLsas * (kNodes - 1)));
}

void ed25519_verify(benchmark::State& state) {
  std::vector<wire::LsaPtr> lsas = signed_lsas();
  crypto::PublicKey key = crypto::SigningKey(filled(1)).public_key();
  std::size_t at = 0;
  for (auto _ : state) {
    const wire::Lsa& lsa = *lsas[at++ % kLsas];
    benchmark::DoNotOptimize(crypto::verify(key, lsa.signed_bytes(), lsa.signature()));
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(bare_relay)->Unit(benchmark::kMillisecond);
BENCHMARK(flood)->Unit(benchmark::kMillisecond);
BENCHMARK(ed25519_verify);
BENCHMARK(flood_verified)->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  crypto::init();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
