// Service packets: the parser, every getter, the decision and the reply.
#include "dmsc/forwarding/decision.hpp"
#include "dmsc/forwarding/hop_auth.hpp"
#include "dmsc/wire/acked_exchanges.hpp"
#include "dmsc/wire/message.hpp"
#include "harness.hpp"

using namespace dmsc;
using forwarding::Fib;

namespace {

struct SmallFib {
  forwarding::ImmediateReclaimer reclaimer;
  Fib fib{crypto::Key16{1}, reclaimer};
  SmallFib() {
    fib.set_node(NodeId{1}, {{}, std::nullopt, 0});
    fib.set_node(NodeId{4}, {{{1, NodeId{2}}}, forwarding::NextHop{2, NodeId{3}}, 20});
    fib.set_node(NodeId{5}, {{{3, NodeId{2}}}, forwarding::NextHop{2, NodeId{3}}, 20});
    fib.set_link_alive(3, false);
    using forwarding::PrefixRoute;
    fib.set_prefix(PrefixRoute{
        Name::parse("B/4").value(), false, {{NodeId{4}, InstanceId{1}, false, true, 100}}});
    fib.set_prefix(PrefixRoute{
        Name::parse("B").value(), true, {{NodeId{5}, InstanceId{1}, false, true, 100}}});
    fib.set_label({PathLabel{7}, NodeId{4}, {2, NodeId{3}}});
  }
};

void check_decision(wire::ServicePacket packet, std::size_t size) {
  static const SmallFib small;
  NodeId egress = packet.egress();
  std::uint8_t limit = packet.hop_limit();
  forwarding::Verdict v = forwarding::decide(small.fib, NodeId{1}, packet);
  bool dropped = v.action == forwarding::Action::drop;
  fuzz::require(dropped == (v.reason != forwarding::DropReason::none), "a drop has a reason");
  fuzz::require(packet.egress() == egress, "the egress never changes");
  fuzz::require(packet.datagram().size() == size, "no size changes");
  if (v.action == forwarding::Action::forward) {
    fuzz::require(packet.hop_limit() + 1 == limit, "a forwarder takes one hop");
  }
  fuzz::require(wire::ServicePacket::parse(packet.datagram()).ok(), "a decided packet parses");
}

void check_reply(const wire::ServicePacket& packet) {
  auto raw = wire::build_service_packet(wire::reply_spec(packet, wire::PacketKind::response), {});
  if (!raw.ok()) return;  // both names and a full record may be too much for one header
  auto reply = wire::ServicePacket::parse(*raw);
  fuzz::require(reply.ok(), "a built reply parses");
  fuzz::require(reply->egress() == packet.ingress() && reply->destination() == packet.source() &&
                    reply->flow() == packet.flow(),
                "a reply goes back");
}

}  // namespace

void fuzz::one_input(ByteView data) {
  Bytes raw = to_bytes(data);
  (void)wire::ServicePacket::parse_for_error(raw);
  Result<wire::ServicePacket> parsed = wire::ServicePacket::parse(raw);
  if (!parsed.ok()) {
    require(!parsed.error().message.empty(), "an error says what is wrong");
    return;
  }
  wire::ServicePacket& packet = *parsed;
  for (int type = 0; type < 256; ++type) (void)packet.tlv(static_cast<wire::HeaderTlv>(type));
  (void)packet.instance();
  (void)packet.source_instance();
  (void)packet.recorded_hops();
  (void)wire::segment_of(packet);
  if (auto ack = packet.tlv(wire::HeaderTlv::ack)) (void)wire::decode_ack(*ack);
  (void)wire::decode_acked(packet.payload());
  check_reply(packet);
  check_decision(packet, data.size());
  crypto::Key16 key{9};
  forwarding::seal_hop(packet, key, 1, 2, 3);
  require(forwarding::check_hop(packet, key), "a sealed packet checks");
}

void fuzz::seeds(SeedWriter& out) {
  wire::ServicePacketSpec spec;
  spec.ingress = NodeId{1};
  spec.egress = NodeId{4};
  spec.destination = "B/4";
  spec.source = "A/1";
  spec.protocol = wire::PayloadProtocol::message;
  out(wire::build_service_packet(spec, as_bytes("hello")).value());
  spec.egress = NodeId{};
  spec.flags = wire::kFlagTrace;
  spec.record_slots = 8;
  spec.kind = wire::PacketKind::trace;
  Bytes stamps(16, 1), context(25, 2);
  spec.timestamps = stamps;
  spec.trace_context = context;
  out(wire::build_service_packet(spec, {}).value());
  spec = {};
  spec.kind = wire::PacketKind::error;
  spec.egress = NodeId{5};
  spec.ingress = NodeId{2};
  spec.label = PathLabel{7};
  spec.error.emplace(wire::ErrorCode::no_route, "no route to B/9");
  spec.quote = stamps;
  out(wire::build_service_packet(spec, {}).value());
  spec = {};
  spec.kind = wire::PacketKind::packet;
  spec.egress = NodeId{4};
  spec.ports.emplace(std::uint16_t{1}, std::uint16_t{2});
  spec.offset_total.emplace(5, 10);
  spec.deadline_ms = 100;
  spec.instance = InstanceId{1};
  wire::ByteRanges held;
  held.add(0, 5);
  held.add(8, 9);
  Bytes ack = wire::encode_ack(held);
  spec.ack = ack;
  out(wire::build_service_packet(spec, as_bytes("01234")).value());
}
