// Acknowledgements: of responses, and those that come of requests.
#include "sgd/ingress_call.hpp"

namespace dmsc::sgd {

using wire::HeaderTlv;
using wire::PacketKind;
using wire::PayloadProtocol;

std::optional<Bytes> IngressCalls::make_ack(const wire::ServicePacket& response,
                                            const wire::ByteRanges& held) {
  wire::ServicePacketSpec spec = wire::reply_spec(response, PacketKind::request);
  spec.flags = wire::kFlagEstablished;
  spec.ingress = config_.self;
  spec.protocol = PayloadProtocol::control;
  spec.recorded = {};
  spec.record_slots = 0;
  Bytes ack = wire::encode_ack(held);
  spec.ack = ack;
  auto packet = wire::build_service_packet(spec, {});
  if (!packet) return std::nullopt;
  ++counters_.acks_out;
  return std::move(*packet);
}

void IngressCalls::send_ack(const wire::ServicePacket& response, const wire::ByteRanges& held) {
  if (auto packet = make_ack(response, held)) packets_.push_back(std::move(*packet));
}

void IngressCalls::send_late_ack(Time now, const wire::ServicePacket& response,
                                 std::uint32_t total) {
  auto packet = make_ack(response, whole_message(total));
  if (!packet) return;
  if (late_acks_.empty()) late_acks_at_ = now + kLateAck;
  late_acks_.push_back(std::move(*packet));
  if (late_acks_.size() >= kMostLateAcks) flush_late_acks();
}

void IngressCalls::flush_late_acks() {
  for (Bytes& packet : late_acks_) packets_.push_back(std::move(packet));
  late_acks_.clear();
}

void IngressCalls::send_due_ack(Time now, Call& call) {
  if (!call.ack_at || now < *call.ack_at || !call.response) return;
  call.ack_at.reset();
  call.unacked_segments = 0;
  if (auto header = wire::ServicePacket::parse(call.ack_template)) {
    send_ack(*header, call.response->held());
  }
}

void IngressCalls::on_ack(Time now, Call& call, const wire::ServicePacket& packet) {
  ++counters_.acks_in;
  auto value = packet.tlv(HeaderTlv::ack);
  auto held = value ? wire::decode_ack(*value) : Result<wire::ByteRanges>(Error{});
  if (!held) {
    ++counters_.malformed;
    return;
  }
  RoundTrip& rtt = round_trips_[call.pin.egress];
  if (call.request.payload.empty()) {
    call.sender->acknowledge_all(now, rtt);
  } else {
    call.sender->acknowledge(now, *held, rtt);
  }
  service(now, call);
}

}  // namespace dmsc::sgd
