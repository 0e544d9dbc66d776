// The link-state database with a million prefixes of 10,000 nodes: what it takes in memory, how fast it
// changes, digests of ranges. `million_prefixes` and `ten_thousand_nodes` give megabytes: node LSAs and
// identities, and in the former a grant each and 100 prefixes. Beside range digests by the tree, a walk.
#include <benchmark/benchmark.h>

#include <map>

#include "dmsc/linkstate/lsdb.hpp"
#include "dmsc/trust/certificate.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace {

using namespace dmsc;
using linkstate::Lsdb;

constexpr std::uint32_t kNodes = 10000, kPrefixesEach = 100;
constexpr std::size_t kFragment = 1024;
constexpr DomainTime kNow{1'800'000'000};

crypto::Key32 filled(std::uint64_t number) {
  ByteWriter w;
  w.u64(number);
  return crypto::sha256(w.view());
}

// The signature is as random as a real one and costs nothing.
wire::LsaPtr lsa_of(const wire::LsaKey& key, ByteView body) {
  ByteWriter w;
  w.u8(0).u8(static_cast<std::uint8_t>(key.type)).u16(key.fragment).u32(key.origin.value);
  w.u64(kNow.seconds).u64(1).u32(3600).u16(0).bytes16(body);
  crypto::Hash32 a = crypto::sha256(w.view()), b = crypto::sha256(a);
  w.bytes(a).bytes(b);
  return *wire::decode_lsa(w.view());
}

const Bytes& certificate_of(std::uint32_t node) {
  static std::map<std::uint32_t, Bytes> made;
  static const crypto::SigningKey root_key(filled(1));
  static const trust::Certificate root = *trust::parse_certificate(
      *trust::issue_root("example.dmsc", root_key, kNow + 0, kNow + 86400 * 365));
  Bytes& out = made[node];
  if (out.empty()) {
    trust::CertificateRequest request{"example.dmsc", "sg", "gateway-" + std::to_string(node),
                                      NodeId{node}, crypto::SigningKey(filled(node)).public_key(),
                                      1000 + node, kNow + 0, kNow + 86400 * 30};
    out = *trust::issue_certificate(request, root_key, root);
  }
  return out;
}

void add_node(std::vector<wire::LsaPtr>& out, std::uint32_t n) {
  wire::NodeBody body;
  body.name = "gateway-" + std::to_string(n);
  body.role = wire::NodeRole::gateway;
  for (std::uint32_t i = 1; i <= 4; ++i) {  // as in a grid
    wire::Adjacency a{NodeId{(n * 7 + i * 101) % kNodes + 1}, i, 5 - i, 10, 480 + n % 40, 20 + n % 9};
    a.capacity_bps = 10'000'000'000;
    a.flags = wire::kAdjacencyUsable;
    body.adjacencies.push_back(a);
  }
  out.push_back(lsa_of({NodeId{n}, wire::LsaType::node, 0}, wire::encode(body)));
  out.push_back(lsa_of({NodeId{n}, wire::LsaType::identity, 0},
                       wire::encode(wire::IdentityBody{certificate_of(n), {}})));
}

void add_service(std::vector<wire::LsaPtr>& out, std::uint32_t n) {
  static const crypto::SigningKey issuer(filled(2));
  wire::Grant grant;
  grant.header = {DomainId{1}, 1, n, kNow};
  grant.node = NodeId{n};
  grant.identity = "unit:shop-" + std::to_string(n) + ".service";
  grant.subtree = *Name::parse("shop-" + std::to_string(n));
  grant.depth = 3;
  grant.valid_until = kNow + 86400;
  out.push_back(lsa_of({NodeId{n}, wire::LsaType::grant, 0},
                       wire::encode_object_body(wire::sign(grant, issuer))));
  wire::PrefixBody body;
  std::size_t room = kFragment;
  std::uint16_t fragment = 0;
  auto close = [&] {
    out.push_back(lsa_of({NodeId{n}, wire::LsaType::prefix, fragment++}, wire::encode(body)));
    body.entries.clear();
    room = kFragment;
  };
  for (std::uint32_t p = 0; p < kPrefixesEach; ++p) {
    std::string name = "shop-" + std::to_string(n) + "/section-" + std::to_string(p / 10) + "/item-" +
                       std::to_string(p);
    wire::PrefixEntry entry{*Name::parse(name), false, 0, {{InstanceId{1}, 100}}};
    if (wire::encoded_size(entry) > room) close();
    room -= wire::encoded_size(entry);
    body.entries.push_back(std::move(entry));
  }
  close();
}

const std::vector<wire::LsaPtr>& domain(bool services) {
  static std::map<bool, std::vector<wire::LsaPtr>> made;
  std::vector<wire::LsaPtr>& out = made[services];
  if (out.empty()) {
    for (std::uint32_t n = 1; n <= kNodes; ++n) {
      add_node(out, n);
      if (services) add_service(out, n);
    }
  }
  return out;
}

Lsdb filled_database(bool services) {
  Lsdb lsdb(7, wire::encode(wire::IdentityBody{certificate_of(1), {}}));
  for (const wire::LsaPtr& lsa : domain(services)) lsdb.install(Time{}, *lsa, 3600);
  return lsdb;
}

// The time means nothing: the figure is MB, and `limit` the most that is good enough.
void memory(benchmark::State& state, bool services, double limit) {
  Lsdb lsdb = filled_database(services);
  Lsdb::Memory m = lsdb.memory();
  for (auto _ : state) state.SetIterationTime(1);
  state.counters["MB"] = static_cast<double>(m.held_bytes) / 1e6;
  state.counters["limit"] = limit;
  state.counters["wire_mb"] = static_cast<double>(m.wire_bytes) / 1e6;
  state.counters["lsas"] = static_cast<double>(m.lsas);
  state.counters["bytes_per_lsa"] = static_cast<double>(m.held_bytes) / static_cast<double>(m.lsas);
}
void million_prefixes(benchmark::State& state) { memory(state, true, 120); }
void ten_thousand_nodes(benchmark::State& state) { memory(state, false, 12); }

void lsdb_install(benchmark::State& state) {
  Lsdb lsdb = filled_database(true);
  const auto& lsas = domain(true);
  std::size_t at = 0;
  for (auto _ : state) {
    lsdb.install(Time{}, *lsas[at], 3600);
    at = (at + 7919) % lsas.size();
  }
  state.SetItemsProcessed(state.iterations());
}

void lsdb_range_digest(benchmark::State& state) {
  Lsdb lsdb = filled_database(true);
  std::uint64_t at = 0;
  for (auto _ : state) {
    at = at * 6364136223846793005ULL + 1442695040888963407ULL;
    std::uint64_t lo = (at >> 40) % kNodes << 24;
    benchmark::DoNotOptimize(lsdb.range(lo, lo + (1000ULL << 24)));
  }
  state.SetItemsProcessed(state.iterations());
}

// What range digests cost without the tree: a walk.
void walked_range_digest(benchmark::State& state) {
  std::map<std::uint64_t, wire::LsaPtr> lsdb;
  for (const wire::LsaPtr& lsa : domain(true)) lsdb[wire::key_number(lsa->key)] = lsa;
  std::uint64_t at = 0;
  for (auto _ : state) {
    at = at * 6364136223846793005ULL + 1442695040888963407ULL;
    std::uint64_t lo = (at >> 40) % kNodes << 24;
    U128 sum;
    auto end = lsdb.upper_bound(lo + (1000ULL << 24));
    for (auto it = lsdb.lower_bound(lo); it != end; ++it) sum += linkstate::digest_item(*it->second);
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(million_prefixes)->Iterations(1)->UseManualTime();
BENCHMARK(ten_thousand_nodes)->Iterations(1)->UseManualTime();
BENCHMARK(lsdb_install);
BENCHMARK(walked_range_digest);
BENCHMARK(lsdb_range_digest);

}  // namespace

int main(int argc, char** argv) {
  crypto::init();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
