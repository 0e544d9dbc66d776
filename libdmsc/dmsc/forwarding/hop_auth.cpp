#include "dmsc/forwarding/hop_auth.hpp"

#include <algorithm>

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
std::uint64_t tag_of(const wire::ServicePacket& packet, const crypto::Key16& key) {
  wire::ServicePacket::HopTagInput input;
  std::size_t size = packet.hop_tag_input(input);
  return crypto::siphash24(key, ByteView(input.data(), size));
}
}  // namespace

void seal_hop(wire::ServicePacket& packet, const crypto::Key16& key, std::uint8_t key_id,
              std::uint8_t worker, std::uint64_t counter) {
  packet.set_hop_block(key_id, worker, counter, 0);
  packet.set_hop_block(key_id, worker, counter, tag_of(packet, key));
}

bool check_hop(const wire::ServicePacket& packet, const crypto::Key16& key) {
  std::uint64_t want = tag_of(packet, key), got = packet.hop_tag();
  ByteView a(reinterpret_cast<const std::uint8_t*>(&want), sizeof want);
  ByteView b(reinterpret_cast<const std::uint8_t*>(&got), sizeof got);
  return crypto::equal(a, b);
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
