#include "dmsc/wire/handshake.hpp"

namespace dmsc::wire {
namespace {
constexpr std::uint8_t kVersion = 0;
}  // namespace

Bytes encode_handshake(const HandshakeFrame& frame) {
  ByteWriter out(kHandshakeFixedBytes + frame.datagram.size());
  out.u8(kVersion).u8(static_cast<std::uint8_t>(frame.type)).u16(0).u32(frame.association);
  out.bytes(frame.cookie).bytes(frame.datagram);
  return out.take();
}

Result<HandshakeFrame> decode_handshake(ByteView payload) {
  auto bad = [](Errc code, std::string_view what) {
    return make_error(code, "handshake frame: ", what);
  };
  ByteReader in(payload);
  const unsigned version = in.u8(), type = in.u8(), zero = in.u16();
  HandshakeFrame frame;
  frame.association = in.u32();
  frame.cookie = in.array<16>();
  frame.datagram = in.rest();
  if (!in.ok())
    return bad(Errc::truncated, std::to_string(payload.size()) + " bytes, 24 are needed");
  if (version != kVersion) return bad(Errc::unsupported, "version " + std::to_string(version));
  if (type < 1 || type > 3) return bad(Errc::unsupported, "type " + std::to_string(type));
  if (zero != 0) return bad(Errc::invalid, "byte 2: reserved bits are set");
  if (frame.association > kMaxAssociation) return bad(Errc::invalid, "association over 2^20 - 1");
  frame.type = static_cast<HandshakeType>(type);
  const bool carries = frame.type == HandshakeType::dtls;
  if (carries == frame.datagram.empty() || frame.datagram.size() > kHandshakeDatagramMax) {
    return bad(Errc::invalid, "datagram of " + std::to_string(frame.datagram.size()) +
                                  " bytes in type " + std::to_string(type));
  }
  return frame;
}

}  // namespace dmsc::wire
