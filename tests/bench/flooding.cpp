// LSAs flooded over two hops by three engines: HMAC, window, acknowledgements, install, forward. One item
// is one LSA installed at one node. `flood` takes every signature for good, `flood_verified` checks
// them. Beside them in the same run: a bare relay without window, acknowledgement or packing (one
// datagram an LSA, HMAC, decode, std::map), and Ed25519 verification alone. `mass_change` is one neighbour
// of 257 telling that it lost 256 links: from its first datagram to the last one for the others.
// `verifier` checks signatures as a node does, on threads of its own.
#include <benchmark/benchmark.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <map>

#include "dmsc/linkstate/engine.hpp"
#include "dmsc/node/verifier.hpp"

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
  if (!verify) state.counters["limit"] = 50000;  // at least, a second
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

// ---- one change, many neighbours -------------------------------------------------------------------

constexpr std::uint32_t kNeighbours = 257;

// Unsigned: the hub is told that they verify.
wire::LsaPtr unsigned_lsa(const wire::LsaKey& key, std::uint64_t sequence, ByteView body) {
  ByteWriter w;
  w.u8(0).u8(static_cast<std::uint8_t>(key.type)).u16(key.fragment).u32(key.origin.value);
  w.u64(1).u64(sequence).u32(3600).u16(0).bytes16(body).bytes(Bytes(wire::kLsaSignatureBytes, 3));
  return *wire::decode_lsa(w.view());
}

class Hub {
 public:
  Hub() : hub_(config_of(1), now_) {
    for (std::uint32_t n = 1; n <= kNeighbours; ++n) {
      hub_.add_link(now_, {.id = LinkId{n}, .name = "to-" + std::to_string(n)});
      leaves_.emplace_back(config_of(1 + n), now_);
      leaves_.back().add_link(now_, {.id = LinkId{1}, .name = "hub"});
    }
    for (int round = 0; round < 400; ++round) step();
  }

  // Node LSAs of 257 adjacencies, then of what is left of them.
  void announce(std::uint64_t sequence, std::size_t adjacencies) {
    for (std::uint16_t fragment = 0; fragment < kFragments; ++fragment) {
      wire::NodeBody body;
      if (fragment == 0) body.name = "loser";
      std::size_t here = std::min<std::size_t>(adjacencies, 17);
      adjacencies -= here;
      for (std::size_t i = 0; i < here; ++i) {
        body.adjacencies.push_back({NodeId{300 + static_cast<std::uint32_t>(i)}, 1, 1, 10});
      }
      leaves_[0].inject(now_, unsigned_lsa({NodeId{2000}, wire::LsaType::node, fragment}, sequence,
                                           wire::encode(body)));
    }
    approve();
  }
  // What the first leaf has for the hub.
  std::vector<Bytes> told() { return std::exchange(told_, {}); }
  // The measured part. Returns how many datagrams left.
  std::size_t forward(const std::vector<Bytes>& datagrams) {
    std::size_t sent = 0;
    for (const Bytes& d : datagrams) hub_.receive(now_, LinkId{1}, d);
    for (bool more = true; more;) {
      more = false;
      for (linkstate::Output& o : hub_.poll()) {
        if (auto* wanted = std::get_if<linkstate::VerifyWanted>(&o)) {
          hub_.verdict(now_, wanted->ticket, true);
          more = true;
        } else if (std::holds_alternative<linkstate::Transmit>(o)) {
          ++sent;
          out_.push_back(std::move(std::get<linkstate::Transmit>(o)));
        }
      }
    }
    return sent;
  }
  void step() {
    now_ += milliseconds(2);
    hub_.tick(now_);
    forward({});
    for (std::size_t n = 0; n < kNeighbours; ++n) leaves_[n].tick(now_);
    for (auto& t : std::exchange(out_, {})) {
      leaves_[t.link.value - 1].receive(now_, LinkId{1}, t.datagram);
    }
    for (std::size_t n = 0; n < kNeighbours; ++n) {
      for (linkstate::Output& o : leaves_[n].poll()) {
        if (auto* t = std::get_if<linkstate::Transmit>(&o)) {
          hub_.receive(now_, LinkId{static_cast<std::uint32_t>(n + 1)}, t->datagram);
        } else if (auto* wanted = std::get_if<linkstate::VerifyWanted>(&o)) {
          leaves_[n].verdict(now_, wanted->ticket, true);
        }
      }
    }
  }
  const linkstate::EngineCounters& counters() const { return hub_.counters(); }

 private:
  static constexpr std::uint16_t kFragments = 16;
  // Takes the first leaf's outputs until it is silent.
  void approve() {
    for (auto outputs = leaves_[0].poll(); !outputs.empty(); outputs = leaves_[0].poll()) {
      for (linkstate::Output& o : outputs) {
        if (auto* t = std::get_if<linkstate::Transmit>(&o)) told_.push_back(std::move(t->datagram));
        if (auto* w = std::get_if<linkstate::VerifyWanted>(&o)) {
          leaves_[0].verdict(now_, w->ticket, true);
        }
      }
    }
  }
  std::vector<Bytes> told_;
  Time now_{seconds(1)};
  Engine hub_;
  std::deque<Engine> leaves_;
  std::vector<linkstate::Transmit> out_;
};

void mass_change(benchmark::State& state) {
  Hub hub;
  std::uint64_t sequence = 0;
  std::size_t sent = 0;
  for (auto _ : state) {
    hub.announce(++sequence, 257);
    hub.forward(hub.told());
    for (int i = 0; i < 60; ++i) hub.step();
    hub.announce(++sequence, 1);
    std::vector<Bytes> told = hub.told();
    auto begin = std::chrono::steady_clock::now();
    sent = hub.forward(told);
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    for (int i = 0; i < 60; ++i) hub.step();
  }
  const linkstate::EngineCounters& c = hub.counters();
  state.counters["limit_ms"] = 10;
  state.counters["datagrams"] = static_cast<double>(sent);
  state.counters["sent_per_encoded"] =
      static_cast<double>(c.lsas_out) / static_cast<double>(c.lsas_encoded);
}

// ---- signatures off the flooding path ----------------------------------------------------------------

void verifier(benchmark::State& state) {
  crypto::SigningKey root_key(filled(200)), key(filled(1));
  DomainTime from{1'800'000'000}, until{1'900'000'000};
  Bytes root = *trust::issue_root("bench.dmsc", root_key, from, until);
  auto trust = *trust::TrustStore::create(DomainId{1}, root);
  Bytes certificate = *trust::issue_certificate(
      {"bench.dmsc", "sg", "n1", NodeId{1}, key.public_key(), 1, from, until}, root_key,
      *trust::parse_certificate(root));
  trust.learn(**wire::make_lsa({NodeId{1}, wire::LsaType::identity, 0}, {1, 1}, 3600, false,
                               wire::encode(wire::IdentityBody{certificate, {}}), key));
  std::vector<wire::LsaPtr> lsas;
  for (std::uint16_t i = 0; i < kLsas; ++i) {
    lsas.push_back(*wire::make_lsa({NodeId{1}, wire::LsaType::prefix, i}, {1, i}, 3600, false,
                                   wire::encode_object_body(bodies()[i]), key));
  }
  for (auto _ : state) {
    boost::asio::io_context io;
    auto work = boost::asio::make_work_guard(io);
    std::size_t good = 0;
    node::Verifier v(io, trust, 1, [&](const std::vector<node::Verifier::Answer>& answers) {
      for (const auto& a : answers) good += a.verdict == trust::Verdict::valid ? 1 : 0;
    });
    for (std::size_t i = 0; i < kLsas; ++i) v.ask({i + 1, lsas[i]});
    v.run();
    while (v.pending() != 0) io.run_one_for(std::chrono::milliseconds(50));
    if (good != kLsas) state.SkipWithError("a good signature did not verify");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kLsas));
  state.counters["limit"] = 10000;
}

BENCHMARK(bare_relay)->Unit(benchmark::kMillisecond);
BENCHMARK(flood)->Unit(benchmark::kMillisecond);
BENCHMARK(ed25519_verify);
BENCHMARK(flood_verified)->Unit(benchmark::kMillisecond);
BENCHMARK(mass_change)->UseManualTime()->Iterations(20)->Unit(benchmark::kMillisecond);
BENCHMARK(verifier)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  crypto::init();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
