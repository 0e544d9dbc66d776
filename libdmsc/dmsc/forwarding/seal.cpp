#include "dmsc/forwarding/seal.hpp"

#include <algorithm>
#include <cstring>

namespace dmsc::forwarding {

using wire::HeaderTlv;

namespace {

constexpr std::size_t kFlagsAt = 1, kHopLimitAt = 2, kHeaderWordsAt = 4, kPayloadLengthAt = 6;
constexpr std::size_t kHopBlockAt = 32;
constexpr std::uint8_t kSealedFlags = 0xf0;  // sealed, idempotent, reply, established
constexpr std::uint8_t kTypeAt = 0, kLengthAt = 1, kValueAt = 2;

struct Aad {
  std::array<std::uint8_t, wire::kServiceHeaderMax> bytes;
  std::size_t size = 0;
  ByteView view() const { return ByteView(bytes).first(size); }
};

// The header without the hop block; what a hop may change is zero. `record_at`: where the value of
// the record TLV stands in `header`, of `record_size` bytes.
void build_aad(ByteView header, std::size_t record_at, std::size_t record_size, Aad& out) {
  const std::size_t tlvs = header.size() - wire::kServiceFixedBytes;
  std::memcpy(out.bytes.data(), header.data(), kHopBlockAt);
  std::memcpy(out.bytes.data() + kHopBlockAt, header.data() + wire::kServiceFixedBytes, tlvs);
  out.size = kHopBlockAt + tlvs;
  out.bytes[kFlagsAt] &= kSealedFlags;
  out.bytes[kHopLimitAt] = 0;
  const std::size_t left_out = wire::kServiceFixedBytes - kHopBlockAt;
  if (record_size > 0) std::memset(out.bytes.data() + record_at - left_out, 0, record_size);
}

crypto::AeadNonce nonce_of(const crypto::AeadNonce& mask, std::uint64_t counter) {
  crypto::AeadNonce nonce = mask;
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[nonce.size() - 1 - i] ^= static_cast<std::uint8_t>(counter >> 8 * i);
  }
  return nonce;
}

// Where the record TLV's value stands, and its size; {0, 0} without one.
std::pair<std::size_t, std::size_t> record_of(const wire::ServicePacket& packet) {
  auto value = packet.tlv(HeaderTlv::record);
  if (!value) return {0, 0};
  return {static_cast<std::size_t>(value->data() - packet.datagram().data()), value->size()};
}

void store(std::uint8_t* at, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0; value >>= 8) at[i] = static_cast<std::uint8_t>(value);
}

SealStamp stamp_of(ByteView value) {
  ByteReader in(value);
  SealStamp stamp;
  stamp.key = decode_seal_key_id(in.u32());
  stamp.counter = in.u48();
  return stamp;
}

}  // namespace

std::uint32_t encode(const SealKeyId& id) {
  return id.association << 12 | std::uint32_t{id.worker} << 6 | id.group;
}

SealKeyId decode_seal_key_id(std::uint32_t value) {
  return {value >> 12, static_cast<std::uint8_t>(value >> 6 & 63),
          static_cast<std::uint8_t>(value & 63)};
}

std::uint8_t path_group(PathLabel label) {
  return label ? static_cast<std::uint8_t>(1 + label.value % (kSealGroups - 1)) : std::uint8_t{0};
}

std::optional<SealStamp> seal_stamp(const wire::ServicePacket& packet) {
  auto value = packet.tlv(HeaderTlv::seal);
  if (!value) return std::nullopt;
  return stamp_of(*value);
}

std::optional<SealStamp> quoted_seal_stamp(ByteView quote) {
  if (quote.size() < wire::kServiceFixedBytes + kSealTlvBytes) return std::nullopt;
  ByteView tlv = quote.subspan(wire::kServiceFixedBytes, kSealTlvBytes);
  if (tlv[kTypeAt] != static_cast<std::uint8_t>(HeaderTlv::seal) ||
      tlv[kLengthAt] != kSealTlvBytes - kValueAt) {
    return std::nullopt;
  }
  return stamp_of(tlv.subspan(kValueAt));
}

SealKey derive_seal_key(const crypto::Key32& direction_secret, crypto::AeadAlgorithm algorithm,
                        unsigned worker, unsigned group) {
  std::string info = "dmsc seal 0";
  info.push_back(static_cast<char>(worker));
  info.push_back(static_cast<char>(group));
  const std::size_t size = crypto::key_bytes(algorithm);
  Bytes okm = crypto::hkdf_sha256(direction_secret, {}, info, size + crypto::kAeadNonceBytes);
  SealKey out;
  std::copy(okm.begin() + static_cast<std::ptrdiff_t>(size), okm.end(), out.mask.begin());
  crypto::wipe(std::span(okm).subspan(size));
  okm.resize(size);
  out.key = std::move(okm);
  return out;
}

std::size_t seal_packet(const wire::ServicePacket& packet, const SealStamp& stamp,
                        const crypto::AeadNonce& mask, crypto::AeadSealer& key,
                        std::span<std::uint8_t> out) {
  const ByteView in = packet.datagram();
  const std::size_t old_header = packet.header_size(), header = old_header + kSealTlvBytes;
  const std::size_t plain = in.size() - old_header, payload = plain + crypto::kAeadTagBytes;
  if (header > wire::kServiceHeaderMax || payload > 0xffff || out.size() < header + payload)
    return 0;
  std::uint8_t* to = out.data();
  const auto [record, record_size] = record_of(packet);  // before the header is moved
  std::memmove(to, in.data(), wire::kServiceFixedBytes);
  std::uint8_t* tlv = to + wire::kServiceFixedBytes;
  tlv[kTypeAt] = static_cast<std::uint8_t>(HeaderTlv::seal);
  tlv[kLengthAt] = kSealTlvBytes - kValueAt;
  store(tlv + kValueAt, encode(stamp.key), 4);
  store(tlv + kValueAt + 4, stamp.counter, 6);
  std::memmove(tlv + kSealTlvBytes, in.data() + wire::kServiceFixedBytes,
               old_header - wire::kServiceFixedBytes);
  to[kFlagsAt] |= wire::kFlagSealed;
  to[kHeaderWordsAt] = static_cast<std::uint8_t>(header / 4);
  store(to + kPayloadLengthAt, payload, 2);
  Aad aad;
  build_aad(ByteView(to, header), record + kSealTlvBytes, record_size, aad);
  bool ok =
      key.seal(nonce_of(mask, stamp.counter), aad.view(), in.subspan(old_header), to + header);
  return ok ? header + payload : 0;
}

bool open_packet(wire::ServicePacket& packet, const SealStamp& stamp, const crypto::AeadNonce& mask,
                 crypto::AeadOpener& key) {
  auto [record, record_size] = record_of(packet);
  Aad aad;
  build_aad(packet.datagram().first(packet.header_size()), record, record_size, aad);
  if (!key.open(nonce_of(mask, stamp.counter), aad.view(), packet.payload())) return false;
  packet.drop_tail(crypto::kAeadTagBytes);
  return true;
}

bool SealWindow::fresh(std::uint64_t counter) const {
  if (!any_ || counter > highest_) return true;
  if (highest_ - counter >= kSize) return false;
  return (bits_[counter / 64 % kWords] >> counter % 64 & 1) == 0;
}

// Words are cleared whole and never one that still counts, hence the words beyond kSize.
bool SealWindow::accept(std::uint64_t counter) {
  static_assert(kWords * 64 >= kSize + 64);
  if (!fresh(counter)) return false;
  if (!any_ || counter > highest_) {
    const std::uint64_t last = highest_ / 64, to = counter / 64;
    if (!any_ || to - last >= kWords) {
      bits_.fill(0);
    } else {
      for (std::uint64_t word = last + 1; word <= to; ++word) bits_[word % kWords] = 0;
    }
    highest_ = counter;
    any_ = true;
  }
  bits_[counter / 64 % kWords] |= std::uint64_t{1} << counter % 64;
  return true;
}

}  // namespace dmsc::forwarding
