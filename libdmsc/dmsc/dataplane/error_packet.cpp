#include "dmsc/dataplane/error_packet.hpp"

#include "dmsc/forwarding/seal.hpp"

namespace dmsc::dataplane {
namespace {
constexpr std::size_t kErrorTextMax = 200;
}  // namespace

Result<Bytes> build_error_packet(const wire::ServicePacket& packet, NodeId self,
                                 wire::ErrorCode code, std::string_view text) {
  wire::ServicePacketSpec spec = wire::reply_spec(packet, wire::PacketKind::error);
  spec.ingress = self;  // who reports: not necessarily whom the packet was for
  spec.protocol = wire::PayloadProtocol::none;
  spec.error = std::make_pair(code, text.substr(0, kErrorTextMax));
  const bool sealed = packet.tlv(wire::HeaderTlv::seal).has_value();
  spec.quote =
      packet.datagram().first(wire::kServiceFixedBytes + (sealed ? forwarding::kSealTlvBytes : 0));
  auto error = wire::build_service_packet(spec, {});
  if (error) return error;
  spec.source = spec.destination = {};
  spec.recorded = {};
  spec.record_slots = 0;
  spec.flags = wire::kFlagReply;
  return wire::build_service_packet(spec, {});
}

}  // namespace dmsc::dataplane
