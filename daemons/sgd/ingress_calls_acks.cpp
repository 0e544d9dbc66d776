// Acknowledgements: of responses, and those that come of requests.
#include "dmsc/wire/acked_exchanges.hpp"
#include "sgd/ingress_call.hpp"

namespace dmsc::sgd {

using wire::HeaderTlv;
using wire::PacketKind;
using wire::PayloadProtocol;

void IngressCalls::send_ack(const wire::ServicePacket& response, const wire::ByteRanges& held,
                            ByteView others) {
  wire::ServicePacketSpec spec = wire::reply_spec(response, PacketKind::request);
  spec.flags = wire::kFlagEstablished;
  spec.ingress = config_.self;
  spec.protocol = PayloadProtocol::control;
  spec.recorded = {};
  spec.record_slots = 0;
  Bytes ack = wire::encode_ack(held);
  spec.ack = ack;
  auto packet = wire::build_service_packet(spec, others);
  if (!packet) return;
  ++counters_.acks_out;
  packets_.push_back(std::move(*packet));
}

// One packet for many: sealing, sending and opening each would delay the calls that meet them.
void IngressCalls::send_late_ack(Time now, const wire::ServicePacket& response,
                                 std::uint32_t total) {
  static_assert((kMostLateAcks - 1) * wire::kAckedExchangeBytes <= wire::kMinSegmentBytes);
  LateAcks& late = late_acks_[response.ingress()];
  if (late.response.empty()) {
    auto header = response.datagram().first(response.header_size());
    late.response.assign(header.begin(), header.end());
    late.response[6] = late.response[7] = 0;  // payload length: the header alone is kept
    late.total = total;
  } else {
    wire::append_acked(late.others, {response.exchange(), response.flow()});
  }
  if (late_count_++ == 0) late_acks_at_ = now + kLateAck;
  if (late_count_ >= kMostLateAcks) flush_late_acks();
}

void IngressCalls::flush_late_acks() {
  for (auto& [egress, late] : late_acks_) {
    auto response = wire::ServicePacket::parse(late.response);
    if (response) send_ack(*response, whole_message(late.total), late.others);
  }
  late_acks_.clear();
  late_count_ = 0;
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
