#include "dmsc/forwarding/hop_auth.hpp"

#include <algorithm>

#include "dmsc/crypto/siphash_many.hpp"

namespace dmsc::forwarding {

crypto::Key16 derive_hop_key(const crypto::Key32& link_key, DomainId domain, NodeId sender,
                             NodeId receiver, SessionId sender_session,
                             SessionId receiver_session) {
  ByteWriter salt;
  salt.u64(domain.value).u32(sender.value).u32(receiver.value);
  salt.u64(sender_session.value).u64(receiver_session.value);
  crypto::Key16 key{};
  Bytes okm = crypto::hkdf_sha256(link_key, salt.view(), "dmsc hop 0", key.size());
  std::copy(okm.begin(), okm.end(), key.begin());
  return key;
}

namespace {

constexpr std::size_t kTagAt = 40;  // behind it come the TLVs
constexpr std::size_t kBatch = 64;

// Bytes of H6: the header without the tag.
crypto::SipMessage covered(const std::uint8_t* header, const crypto::Key16* key) {
  std::size_t size = std::size_t{header[4]} * 4;
  return {key, ByteView(header, kTagAt),
          ByteView(header + wire::kServiceFixedBytes, size - wire::kServiceFixedBytes)};
}

std::uint64_t read_tag(const std::uint8_t* header) {
  std::uint64_t tag = 0;
  for (std::size_t i = 0; i < 8; ++i) tag = tag << 8 | header[kTagAt + i];
  return tag;
}
void write_tag(std::uint8_t* header, std::uint64_t tag) {
  for (std::size_t i = 8; i-- > 0; tag >>= 8) header[kTagAt + i] = static_cast<std::uint8_t>(tag);
}

// Calls use(i, tag) for each packet, in chunks that fit the stack.
template <class Packet, class Use>
void for_each_tag(std::span<Packet> packets, Use use) {
  crypto::SipMessage messages[kBatch];
  for (std::size_t from = 0; from < packets.size(); from += kBatch) {
    std::size_t n = std::min(kBatch, packets.size() - from);
    for (std::size_t i = 0; i < n; ++i) {
      messages[i] = covered(packets[from + i].header, packets[from + i].key);
    }
    crypto::siphash24_many({messages, n});
    for (std::size_t i = 0; i < n; ++i) use(packets[from + i], messages[i].hash);
  }
}

}  // namespace

void write_tags(std::span<const HopSeal> packets) {
  for_each_tag(packets, [](const HopSeal& p, std::uint64_t tag) { write_tag(p.header, tag); });
}

// Two numbers compare in constant time.
void check_tags(std::span<HopCheck> packets) {
  for_each_tag(packets, [](HopCheck& p, std::uint64_t tag) { p.good = tag == read_tag(p.header); });
}

void seal_hop(wire::ServicePacket& packet, const crypto::Key16& key, std::uint8_t key_id,
              std::uint8_t worker, std::uint64_t counter) {
  packet.set_hop_block(key_id, worker, counter, 0);
  HopSeal seal{packet.datagram().data(), &key};
  write_tags({&seal, 1});
}

bool check_hop(const wire::ServicePacket& packet, const crypto::Key16& key) {
  HopCheck check{packet.datagram().data(), &key};
  check_tags({&check, 1});
  return check.good;
}

// A ring of twice the window, so that words are cleared whole and never one that still counts
// (RFC 6479).
bool ReplayWindow::accept(std::uint64_t counter) {
  static_assert(kWords * 64 >= kSize + 64);
  if (any_ && counter <= highest_) {
    if (highest_ - counter >= kSize) return false;
  } else {
    std::uint64_t last = highest_ / 64, to = counter / 64;
    if (!any_ || to - last >= kWords) {
      std::fill(std::begin(bits_), std::end(bits_), 0);
    } else {
      for (std::uint64_t word = last + 1; word <= to; ++word) bits_[word % kWords] = 0;
    }
    highest_ = counter;
    any_ = true;
  }
  std::uint64_t& word = bits_[counter / 64 % kWords];
  std::uint64_t bit = std::uint64_t{1} << (counter % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  return true;
}

}  // namespace dmsc::forwarding
