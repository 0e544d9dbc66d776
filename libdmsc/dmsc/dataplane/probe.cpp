#include "dmsc/dataplane/probe.hpp"

namespace dmsc::dataplane {

Bytes encode(const ProbeAnswer& answer) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(answer.health.health)).u8(0).u16(answer.health.load_permille);
  for (NodeId node : answer.path) out.u32(node.value);
  return out.take();
}

Result<ProbeAnswer> decode_probe_answer(ByteView payload) {
  ByteReader in(payload);
  ProbeAnswer answer;
  std::uint8_t health = in.u8();
  in.u8();
  answer.health.load_permille = in.u16();
  if (!in.ok()) return make_error(Errc::truncated, "probe answer: shorter than 4 bytes");
  if (in.left() % 4 != 0) {
    return make_error(Errc::invalid, "probe answer: path of ", std::to_string(in.left()),
                      " bytes is not a list of node ids");
  }
  if (health > static_cast<std::uint8_t>(Health::failing)) {
    return make_error(Errc::invalid, "probe answer: unknown health ", std::to_string(health));
  }
  answer.health.health = static_cast<Health>(health);
  while (in.left() > 0) answer.path.push_back(NodeId{in.u32()});
  return answer;
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
