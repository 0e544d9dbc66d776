// Frames of the sealing handshake (docs/protocol.md, "Sealing"): the payload of one-way packets
// with payload protocol `handshake`, between the two gateways that are about to share keys.
//
//   0  version 8 | type 8 | zero 16
//   4  zero 12 | association 20
//   8  cookie 128
//  24  a DTLS datagram, in type `dtls` only
#pragma once
#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"

namespace dmsc::wire {

inline constexpr std::size_t kHandshakeFixedBytes = 24;
inline constexpr std::size_t kHandshakeDatagramMax = 1200;
inline constexpr std::uint32_t kMaxAssociation = (1U << 20) - 1;
using HandshakeCookie = std::array<std::uint8_t, 16>;

enum class HandshakeType : std::uint8_t {
  hello = 1,   // initiator: asks for a cookie; as long as its answer, so that nothing is amplified
  cookie = 2,  // responder: whoever shows this cookie receives what is sent to that node
  dtls = 3,    // either way; the initiator's carry the cookie
};

struct HandshakeFrame {
  HandshakeType type = HandshakeType::hello;
  std::uint32_t association = 0;  // at most kMaxAssociation
  HandshakeCookie cookie{};
  ByteView datagram;  // of the decoded bytes
};

Bytes encode_handshake(const HandshakeFrame& frame);
// Errors say which field: another version or type (unsupported), too short (truncated), an empty or
// too long datagram, reserved bits set, or bytes behind a frame that has no datagram (invalid).
Result<HandshakeFrame> decode_handshake(ByteView payload);

}  // namespace dmsc::wire
