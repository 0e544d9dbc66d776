// Hop authentication of data packets: SipHash-2-4 over header and TLVs, one key per direction of an
// adjacency, replay window per (link, worker).
#pragma once
#include <span>

#include "dmsc/crypto/keys.hpp"
#include "dmsc/wire/service_header.hpp"

namespace dmsc::forwarding {

// HKDF(link key, domain, sender id, receiver id, both session ids), 16 bytes.
crypto::Key16 derive_hop_key(const crypto::Key32& link_key, DomainId domain, NodeId sender,
                             NodeId receiver, SessionId sender_session, SessionId receiver_session);

// Writes the hop block: key id, worker, counter (48 bits), tag. The last change before sending.
void seal_hop(wire::ServicePacket& packet, const crypto::Key16& key, std::uint8_t key_id,
              std::uint8_t worker, std::uint64_t counter);
// True if the tag is good under `key`; constant-time comparison.
bool check_hop(const wire::ServicePacket& packet, const crypto::Key16& key);

// The same for many packets at a time, which is several times as fast. `header` is the first byte of a packet that
// was parsed.
struct HopSeal {
  std::uint8_t* header = nullptr;  // key id, worker and counter are in place
  const crypto::Key16* key = nullptr;
};
struct HopCheck {
  const std::uint8_t* header = nullptr;
  const crypto::Key16* key = nullptr;
  bool good = false;  // filled in
};
void write_tags(std::span<const HopSeal> packets);
void check_tags(std::span<HopCheck> packets);

// Sliding window of 1,024 counters. accept() is called only after the tag was found good.
class ReplayWindow {
 public:
  bool accept(std::uint64_t counter);

 private:
  static constexpr std::size_t kSize = 1024, kWords = 32;
  std::uint64_t highest_ = 0;
  std::uint64_t bits_[kWords] = {};
  bool any_ = false;
};

}  // namespace dmsc::forwarding
