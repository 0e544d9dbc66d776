// Sealing of payloads end to end, gateway to gateway (DESIGN section 6; docs/protocol.md,
// "Sealing"): a packet under a key to a sealed packet, and back. Who has which key is dataplane's.
//
//   fixed header | TLVs | payload            ─seal_packet─►
//   fixed header | seal TLV | TLVs | ciphertext | tag       ─open_packet─► ... | payload
//
// Associated data: all of the header that no hop changes.
#pragma once
#include "dmsc/crypto/aead.hpp"
#include "dmsc/wire/service_header.hpp"

namespace dmsc::forwarding {

inline constexpr std::size_t kSealTlvBytes = 12;  // with type and length
inline constexpr std::size_t kSealOverhead = kSealTlvBytes + crypto::kAeadTagBytes;

// One counter, one key, one replay window: association 20 | worker 6 | path group 6.
struct SealKeyId {
  std::uint32_t association =
      0;                    // chosen by the handshake's initiator, unique between two gateways
  std::uint8_t worker = 0;  // of the sender, 0-63
  std::uint8_t group = 0;   // path group, 0-63
  friend auto operator<=>(const SealKeyId&, const SealKeyId&) = default;
};
inline constexpr unsigned kSealWorkers = 64, kSealGroups = 64;
std::uint32_t encode(const SealKeyId& id);
SealKeyId decode_seal_key_id(std::uint32_t value);

// Packets of different paths overtake each other: 0 = shortest path, an explicit path 1 + label
// mod 63.
std::uint8_t path_group(PathLabel label);

struct SealStamp {
  SealKeyId key;
  std::uint64_t counter = 0;  // 48 bits
};
// Of a packet's seal TLV; nullopt if it has none.
std::optional<SealStamp> seal_stamp(const wire::ServicePacket& packet);
// Of the first TLV behind a quoted fixed header, as errors about sealed packets carry it.
std::optional<SealStamp> quoted_seal_stamp(ByteView quote);

// Key and nonce mask of one key id and direction:
// HKDF-SHA-256(direction secret, no salt, "dmsc seal 0" | worker 8 | group 8).
struct SealKey {
  Bytes key;
  crypto::AeadNonce mask{};
};
SealKey derive_seal_key(const crypto::Key32& direction_secret, crypto::AeadAlgorithm algorithm,
                        unsigned worker, unsigned group);

// Writes the sealed packet to `out`, which is elsewhere or begins kSealTlvBytes in front of the packet (so
// that the payload is sealed where it stands), and returns its size, packet size + kSealOverhead. 0 if it does
// not fit: `out` too small, header over 1,020 or payload over 65,535 bytes.
std::size_t seal_packet(const wire::ServicePacket& packet, const SealStamp& stamp,
                        const crypto::AeadNonce& mask, crypto::AeadSealer& key,
                        std::span<std::uint8_t> out);

// Opens in place. True: the packet's payload is the plain one. False: not what the ingress sealed;
// the payload is worthless.
bool open_packet(wire::ServicePacket& packet, const SealStamp& stamp, const crypto::AeadNonce& mask,
                 crypto::AeadOpener& key);

// Sliding window of 65,536 counters (RFC 6479), about 8 KiB.
class SealWindow {
 public:
  static constexpr std::uint64_t kSize = 65536;
  // True if accept() would take it. Asked before the tag is checked, to save that work.
  bool fresh(std::uint64_t counter) const;
  // Only after the tag was found good. False if seen before or kSize or more behind the highest.
  bool accept(std::uint64_t counter);

 private:
  static constexpr std::uint64_t kWords = kSize / 64 + 2;
  std::array<std::uint64_t, kWords> bits_{};
  std::uint64_t highest_ = 0;
  bool any_ = false;
};

}  // namespace dmsc::forwarding
