// Sealing and opening one packet, as a worker does it: seal_packet() and open_packet() of a message
// packet of Figure 2 with 64 and 1,200 bytes of payload. Beside it, in the same run, the AEAD alone
// on as many bytes; and a whole DTLS handshake between two gateways, both ends' work.
#include <benchmark/benchmark.h>

#include "dmsc/dataplane/dtls_handshake.hpp"
#include "dmsc/dataplane/seal_association.hpp"
#include "tests/unit/trust/domain.hpp"

namespace {

using namespace dmsc;
using crypto::AeadAlgorithm;

Bytes packet(std::size_t payload) {
  wire::ServicePacketSpec spec;
  spec.protocol = wire::PayloadProtocol::message;
  spec.flow = 1;
  spec.egress = NodeId{4};
  spec.ingress = NodeId{1};
  spec.destination = "B/4";
  spec.source = "A/1";
  spec.instance = spec.source_instance = InstanceId{9};
  return *wire::build_service_packet(spec, Bytes(payload, 1));
}

std::unique_ptr<dataplane::SealAssociation> association(AeadAlgorithm algorithm, bool first) {
  dataplane::SealSecrets secrets;
  secrets.algorithm = algorithm;
  secrets.send.fill(first ? 1 : 2);
  secrets.receive.fill(first ? 2 : 1);
  return std::make_unique<dataplane::SealAssociation>(NodeId{first ? 4U : 1U}, 1, secrets, 1);
}

void seal(benchmark::State& state, AeadAlgorithm algorithm) {
  auto keys = association(algorithm, true);
  Bytes plain = packet(static_cast<std::size_t>(state.range(0))), out(plain.size() + 64);
  for (auto _ : state) {
    auto view = wire::ServicePacket::parse(plain);
    if (keys->seal(0, Time{}, *view, out) == 0) return state.SkipWithError("not sealed");
  }
}

// Sealed packets are made outside the measured time, as many as one key allows at once.
void open(benchmark::State& state, AeadAlgorithm algorithm) {
  auto sender = association(algorithm, true), receiver = association(algorithm, false);
  Bytes plain = packet(static_cast<std::size_t>(state.range(0)));
  std::vector<Bytes> sealed(1024);
  std::size_t next = sealed.size();
  for (auto _ : state) {
    if (next == sealed.size()) {
      state.PauseTiming();
      for (Bytes& bytes : sealed) {
        bytes.resize(plain.size() + forwarding::kSealOverhead);
        auto view = wire::ServicePacket::parse(plain);
        sender->seal(0, Time{}, *view, bytes);
      }
      next = 0;
      state.ResumeTiming();
    }
    auto view = wire::ServicePacket::parse(sealed[next++]);
    auto stamp = forwarding::seal_stamp(*view);
    if (receiver->open(0, Time{}, *view, *stamp) != dataplane::SealAssociation::Opened::good) {
      return state.SkipWithError("not opened");
    }
  }
}

void aead(benchmark::State& state, AeadAlgorithm algorithm) {
  auto key = crypto::AeadSealer::create(algorithm, Bytes(crypto::key_bytes(algorithm), 1));
  const auto size = static_cast<std::size_t>(state.range(0));
  Bytes plain(size, 1), out(size + crypto::kAeadTagBytes), aad(60, 1);
  crypto::AeadNonce nonce{};
  for (auto _ : state) {
    ++nonce[0];
    if (!key->seal(nonce, aad, plain, out.data())) return state.SkipWithError("not sealed");
  }
}

void handshake(benchmark::State& state) {
  test::Domain domain;
  auto context = [&](std::uint32_t node) {
    auto key = static_cast<std::uint8_t>(node);
    return *dataplane::DtlsContext::create(
        {NodeId{node}, domain.id, test::key_of(key), domain.certificate(node, key, node),
         domain.root.der, false},
        [](NodeId, const trust::Certificate&) -> Status { return Ok{}; });
  };
  auto a = context(1), b = context(4);
  for (auto _ : state) {
    auto initiator = a->shake(dataplane::SealRole::initiator, NodeId{4}, 2);
    auto responder = b->shake(dataplane::SealRole::responder, NodeId{1}, 2);
    std::vector<Bytes> to_responder, to_initiator;
    (void)initiator->advance({}, to_responder);
    while (!initiator->done() && !(to_responder.empty() && to_initiator.empty())) {
      for (const Bytes& d : std::exchange(to_responder, {}))
        (void)responder->advance(d, to_initiator);
      for (const Bytes& d : std::exchange(to_initiator, {}))
        (void)initiator->advance(d, to_responder);
    }
    if (!initiator->done()) return state.SkipWithError("no end");
  }
}

void seal_aes(benchmark::State& s) { seal(s, AeadAlgorithm::aes_128_gcm); }
void open_aes(benchmark::State& s) { open(s, AeadAlgorithm::aes_128_gcm); }
void aead_aes(benchmark::State& s) { aead(s, AeadAlgorithm::aes_128_gcm); }
void seal_chacha(benchmark::State& s) { seal(s, AeadAlgorithm::chacha20_poly1305); }
void open_chacha(benchmark::State& s) { open(s, AeadAlgorithm::chacha20_poly1305); }
void aead_chacha(benchmark::State& s) { aead(s, AeadAlgorithm::chacha20_poly1305); }

BENCHMARK(seal_aes)->Arg(64)->Arg(1200);
BENCHMARK(open_aes)->Arg(64)->Arg(1200);
BENCHMARK(aead_aes)->Arg(64)->Arg(1200);
BENCHMARK(seal_chacha)->Arg(64)->Arg(1200);
BENCHMARK(open_chacha)->Arg(64)->Arg(1200);
BENCHMARK(aead_chacha)->Arg(64)->Arg(1200);
BENCHMARK(handshake)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
