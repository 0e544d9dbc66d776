// Handshake frames, and sealed packets: what any node may send to a gateway before it is known.
#include "dmsc/wire/handshake.hpp"

#include "dmsc/forwarding/seal.hpp"
#include "harness.hpp"

using namespace dmsc;

namespace {

void frame(ByteView payload) {
  auto decoded = wire::decode_handshake(payload);
  if (!decoded.ok()) {
    fuzz::require(!decoded.error().message.empty(), "an error says what is wrong");
    return;
  }
  fuzz::require(decoded->association <= wire::kMaxAssociation, "an association has 20 bits");
  fuzz::require(decoded->datagram.size() <= wire::kHandshakeDatagramMax, "datagrams are bounded");
  fuzz::require(wire::encode_handshake(*decoded) == to_bytes(payload), "encode(decode(x)) == x");
}

// A sealed packet that nobody sealed does not open, and does not crash; what is sealed where it stands opens.
void packet(ByteView bytes) {
  static const crypto::Key32 secret{1};
  static const auto derived =
      forwarding::derive_seal_key(secret, crypto::AeadAlgorithm::aes_128_gcm, 0, 0);
  static auto sealer = *crypto::AeadSealer::create(crypto::AeadAlgorithm::aes_128_gcm, derived.key);
  static auto opener = *crypto::AeadOpener::create(crypto::AeadAlgorithm::aes_128_gcm, derived.key);
  Bytes memory(forwarding::kSealTlvBytes);
  memory.insert(memory.end(), bytes.begin(), bytes.end());
  memory.resize(memory.size() + crypto::kAeadTagBytes);
  auto parsed =
      wire::ServicePacket::parse(std::span(memory).subspan(forwarding::kSealTlvBytes, bytes.size()));
  if (!parsed.ok()) return;
  if (auto stamp = forwarding::seal_stamp(*parsed)) {
    fuzz::require(!forwarding::open_packet(*parsed, *stamp, derived.mask, opener), "a forgery opens");
    return;
  }
  const Bytes plain = to_bytes(parsed->payload());
  const forwarding::SealStamp stamp{{7, 0, 0}, 9};
  std::size_t size = forwarding::seal_packet(*parsed, stamp, derived.mask, sealer, memory);
  if (size == 0) return;
  auto sealed = wire::ServicePacket::parse(std::span(memory).first(size));
  fuzz::require(sealed.ok(), "what is sealed is a packet");
  fuzz::require(forwarding::open_packet(*sealed, stamp, derived.mask, opener), "what is sealed opens");
  fuzz::require(to_bytes(sealed->payload()) == plain, "to what it was");
}

}  // namespace

void fuzz::one_input(ByteView data) {
  if (data.empty()) return;
  data[0] % 2 == 0 ? frame(data.subspan(1)) : packet(data.subspan(1));
}

void fuzz::seeds(SeedWriter& out) {
  wire::HandshakeFrame hello;
  hello.association = 12345;
  hello.cookie.fill(7);
  wire::HandshakeFrame cookie = hello, dtls = hello;
  cookie.type = wire::HandshakeType::cookie;
  dtls.type = wire::HandshakeType::dtls;
  const Bytes datagram(300, 0x16);
  dtls.datagram = datagram;
  for (const auto& f : {hello, cookie, dtls}) out(0, wire::encode_handshake(f));
  wire::ServicePacketSpec spec;
  spec.protocol = wire::PayloadProtocol::message;
  spec.egress = NodeId{4};
  spec.ingress = NodeId{1};
  spec.destination = "B/4";
  spec.source = "A/1";
  const Bytes plain = wire::build_service_packet(spec, as_bytes("a call")).value();
  out(1, plain);
  spec.flags = wire::kFlagTrace;
  spec.record_slots = 4;
  out(1, wire::build_service_packet(spec, as_bytes("a traced call")).value());
}
