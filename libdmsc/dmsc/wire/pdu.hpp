// Control PDUs of the link-state protocol (docs/protocol.md, "Control PDUs"). One PDU is one UDP
// datagram:
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  +---------------+---------------+-------------------------------+
//  |  version (0)  |     type      |  length of the whole datagram |
//  +---------------+---------------+-------------------------------+
//  |            key id             |          reserved (0)         |
//  +-------------------------------+-------------------------------+
//  |                         sender (32)                           |
//  +---------------------------------------------------------------+
//  |              the sender's own id of this link (32)            |
//  +---------------------------------------------------------------+
//  |                 the sender's session id (64)                  |
//  +---------------------------------------------------------------+
//  |       counter (64), rising by one per datagram on the link    |
//  +---------------------------------------------------------------+
//  |                             body                              |
//  +---------------------------------------------------------------+
//  |              HMAC-SHA-256 over all before (256)               |
//  +---------------------------------------------------------------+
//
// Nothing but the key id is read before the HMAC has been checked. Decoders check every bound and
// name what is wrong; encoders trust their caller. Views returned point into the datagram.
#pragma once
#include <array>
#include <vector>

#include "dmsc/crypto/hmac_key.hpp"
#include "dmsc/wire/lsa.hpp"

namespace dmsc::wire {

inline constexpr std::uint8_t kControlVersion = 0;
inline constexpr std::size_t kPduHeaderBytes = 32;
inline constexpr std::size_t kPduTrailerBytes = 32;
inline constexpr std::size_t kPduOverhead = kPduHeaderBytes + kPduTrailerBytes;

enum class PduType : std::uint8_t {
  hello = 1,
  keepalive = 2,
  update = 3,
  ack = 4,
  digest = 5,
  request = 6,
  mtu_probe = 7,
  goodbye = 8,
  announcement = 9,  // to the group, never on a link
};
const char* to_string(PduType type);

struct PduHeader {
  PduType type = PduType::hello;
  std::uint16_t key_id = 0;
  NodeId sender;
  std::uint32_t link = 0;
  SessionId session;
  std::uint64_t counter = 0;
};

// The key id a datagram names; the only field that may be read before its HMAC is checked.
Result<std::uint16_t> pdu_key_id(ByteView datagram);

struct OpenedPdu {
  PduHeader header;
  ByteView body;
};
// Checks the HMAC under `key` first (unauthenticated), then version, type and length.
Result<OpenedPdu> open_pdu(ByteView datagram, const crypto::HmacKey& key);
// Header, body, HMAC. `body` is at most 65,535 - kPduOverhead bytes.
Bytes seal_pdu(const PduHeader& header, ByteView body, const crypto::HmacKey& key);

// The parts of the two above, for who makes or checks the HMAC elsewhere.
bool pdu_tag_good(ByteView datagram, const crypto::HmacKey& key);  // false also if it is too short
Result<OpenedPdu> parse_pdu(ByteView datagram);                  // the HMAC is taken as checked
// Without the HMAC. Replaces what `datagram` holds, in the memory it has; its last kPduTrailerBytes are
// left for the caller to set.
void frame_pdu(const PduHeader& header, ByteView body, Bytes& datagram);

// ---- hello --------------------------------------------------------------------------------------

enum class HelloState : std::uint8_t { down = 0, init = 1, two_way = 2, up = 3 };
inline constexpr std::uint8_t kHelloStarting = 1;  // the sender is not synchronised yet
inline constexpr std::uint8_t kHelloDraining = 2;  // the sender drains this link: raise its metric

struct Hello {
  DomainId domain;
  std::uint64_t nonce = 0;         // the sender's challenge; new after every loss of the adjacency
  SessionId echo_session;          // whom the sender hears, zero = nobody
  std::uint64_t echo_nonce = 0;    // that neighbour's challenge
  HelloState state = HelloState::down;
  std::uint8_t flags = 0;          // kHello*
  std::uint8_t multiplier = 6;     // keepalives that may be missed
  std::uint32_t interval_us = 50000;
  std::uint16_t window = 0;        // LSAs the sender takes before it must have acknowledged them
  std::uint32_t pending = 0;       // LSAs queued or unacknowledged towards the receiver
  std::uint32_t lsa_count = 0;     // with `digest`: the verified database and tombstones
  U128 digest;
  std::uint16_t data_mtu = 0;
  std::vector<std::uint16_t> worker_ports;  // at most 255
  std::string name;                         // 1-255 bytes
  friend bool operator==(const Hello&, const Hello&) = default;
};
Bytes encode(const Hello& hello);
Result<Hello> decode_hello(ByteView body);

// ---- keepalive (STAMP, RFC 8762: four timestamps) -------------------------------------------------

inline constexpr std::uint8_t kKeepalivePoll = 1;   // answer at once
inline constexpr std::uint8_t kKeepaliveFinal = 2;  // the answer

struct Keepalive {
  std::uint8_t flags = 0;
  std::uint32_t sequence = 0;       // per adjacency, to count losses
  std::uint64_t sent = 0;           // sender's clock, ns: T3 (its own T1)
  std::uint64_t echo_sent = 0;      // `sent` of the last keepalive heard: T1; 0 = none yet
  std::uint64_t echo_received = 0;  // when that one came, sender's clock, ns: T2
  friend bool operator==(const Keepalive&, const Keepalive&) = default;
};
inline constexpr std::size_t kKeepaliveBytes = 32;
// A plain array: the most frequent body there is.
std::array<std::uint8_t, kKeepaliveBytes> encode(const Keepalive& keepalive);
Result<Keepalive> decode_keepalive(ByteView body);

// ---- update ---------------------------------------------------------------------------------------

// Bytes that precede each LSA in an update: its remaining lifetime, seconds.
inline constexpr std::size_t kUpdateEntryOverhead = 4;
struct UpdateEntry {
  std::uint32_t remaining = 0;
  ByteView raw;
};
Result<std::vector<UpdateEntry>> decode_update(ByteView body);

// ---- acknowledgement ------------------------------------------------------------------------------

// One copy of one LSA: what acknowledgements and digest exchanges name.
struct LsaRef {
  LsaKey key;
  LsaVersion version;
  std::uint64_t hash = 0;  // first 64 bits of Lsa::hash
  friend auto operator<=>(const LsaRef&, const LsaRef&) = default;
};
inline constexpr std::size_t kLsaRefBytes = 32;
LsaRef ref_of(const Lsa& lsa);
Bytes encode_acks(const std::vector<LsaRef>& acks);
Result<std::vector<LsaRef>> decode_acks(ByteView body);

// ---- digest ranges and requests -------------------------------------------------------------------

// Keys as numbers, in key order: origin 32 | type 8 | fragment 16, so that ranges are intervals.
constexpr std::uint64_t key_number(const LsaKey& key) {
  return static_cast<std::uint64_t>(key.origin.value) << 24 |
         static_cast<std::uint64_t>(key.type) << 16 | key.fragment;
}
constexpr LsaKey key_of(std::uint64_t number) {
  return {NodeId{static_cast<std::uint32_t>(number >> 24)},
          static_cast<LsaType>(number >> 16 & 0xff), static_cast<std::uint16_t>(number)};
}
inline constexpr std::uint64_t kMaxKeyNumber = (1ULL << 56) - 1;

// What the sender holds with lo <= key number <= hi: either its sum, or every LSA.
struct DigestRange {
  std::uint64_t lo = 0, hi = kMaxKeyNumber;
  bool listed = false;
  std::uint32_t count = 0;    // !listed
  U128 sum;                   // !listed: modular sum of the first 128 bits of each Lsa::hash
  std::vector<LsaRef> refs;   // listed: complete, in key order
  friend bool operator==(const DigestRange&, const DigestRange&) = default;
};
inline constexpr std::size_t kRangeSumBytes = 36, kRangeListOverhead = 18;
Bytes encode(const std::vector<DigestRange>& ranges);
Result<std::vector<DigestRange>> decode_digest(ByteView body);

// "Send me your copy of these."
Bytes encode_request(const std::vector<LsaKey>& keys);
Result<std::vector<LsaKey>> decode_request(ByteView body);

// ---- announcement (multicast discovery) ----------------------------------------------------------

// "Who hears this on the same interface: reach me there."
struct Announcement {
  DomainId domain;
  std::uint32_t hold_ms = 0;   // forget the sender this long after the last one
  Bytes address;               // 4 or 16 bytes: the sender's own on this interface
  std::uint16_t port = 0;      // of its control socket
  std::string name;            // 1-255 bytes
  friend bool operator==(const Announcement&, const Announcement&) = default;
};
Bytes encode(const Announcement& announcement);
Result<Announcement> decode_announcement(ByteView body);

// ---- MTU probe (RFC 8899) and goodbye ---------------------------------------------------------------

struct MtuProbe {
  bool reply = false;
  std::uint32_t id = 0;
  std::uint16_t size = 0;  // of the probe datagram: padding fills a probe up to it, a reply has none
  friend bool operator==(const MtuProbe&, const MtuProbe&) = default;
};
Bytes encode(const MtuProbe& probe);
Result<MtuProbe> decode_mtu_probe(ByteView body);

struct Goodbye {
  std::string reason;  // for the neighbour's log, at most 255 bytes
  friend bool operator==(const Goodbye&, const Goodbye&) = default;
};
Bytes encode(const Goodbye& goodbye);
Result<Goodbye> decode_goodbye(ByteView body);

}  // namespace dmsc::wire
