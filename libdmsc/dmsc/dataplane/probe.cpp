#include "dmsc/dataplane/probe.hpp"

#include <algorithm>

namespace dmsc::dataplane {

Bytes encode_probe_answer(const ProbeHealth& health, std::size_t size) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(health.health)).u8(0).u16(health.load_permille);
  Bytes bytes = out.take();
  bytes.resize(std::max(size, kProbeAnswerBytes));
  return bytes;
}

Result<ProbeHealth> decode_probe_answer(ByteView payload) {
  ByteReader in(payload);
  ProbeHealth health;
  std::uint8_t word = in.u8();
  in.u8();
  health.load_permille = in.u16();
  if (!in.ok()) return make_error(Errc::truncated, "probe answer: shorter than 4 bytes");
  if (word > static_cast<std::uint8_t>(Health::failing)) {
    return make_error(Errc::invalid, "probe answer: unknown health ", std::to_string(word));
  }
  health.health = static_cast<Health>(word);
  return health;
}

Bytes encode(const ProbeStamps& stamps) {
  ByteWriter out;
  out.u64(stamps.t1).u64(stamps.t2).u64(stamps.t3);
  return out.take();
}

std::optional<ProbeStamps> decode_probe_stamps(ByteView tlv) {
  ByteReader in(tlv);
  ProbeStamps stamps{in.u64(), in.u64(), in.u64()};
  return in.ok() ? std::optional(stamps) : std::nullopt;
}

}  // namespace dmsc::dataplane
