// Rules H1-H8 of docs/protocol.md, "Service header".
#include "dmsc/wire/service_header.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::wire;

namespace {

ServicePacketSpec full_spec() {
  static const Bytes kTrace(25, 7), kStamps(16, 1);
  ServicePacketSpec spec;
  spec.flags = kFlagTrace | kFlagIdempotent;
  spec.traffic_class = 3;
  spec.protocol = PayloadProtocol::message;
  spec.label = PathLabel{0x00100002};
  spec.exchange = 0xdeadbeef;
  spec.flow = 0x1122334455667788ULL;
  spec.egress = NodeId{4};
  spec.ingress = NodeId{1};
  spec.destination = "B/4";
  spec.source = "A/1";
  spec.instance = InstanceId{2};
  spec.source_instance = InstanceId{9};
  spec.offset_total.emplace(10, 20);
  spec.deadline_ms = 2000;
  spec.ports.emplace(std::uint16_t{40000}, std::uint16_t{8080});
  spec.trace_context = kTrace;
  spec.timestamps = kStamps;
  spec.record_slots = 3;
  return spec;
}

Bytes build(const ServicePacketSpec& spec, std::string_view payload = "hello") {
  return build_service_packet(spec, as_bytes(payload)).value();
}

Bytes with_tlvs(const Bytes& tlvs) {
  ServicePacketSpec spec;
  spec.egress = NodeId{4};
  Bytes packet = build(spec, "");
  packet.insert(packet.end(), tlvs.begin(), tlvs.end());
  packet[4] = static_cast<std::uint8_t>(packet.size() / 4);
  return packet;
}

Errc code_of(Bytes packet) {
  Result<ServicePacket> parsed = ServicePacket::parse(packet);
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.error().message.find("service header") == 0);
  return parsed.error().code;
}

}  // namespace

TEST_CASE("H1 service header: every field built is read back") {
  Bytes packet = build(full_spec());
  ServicePacket p = ServicePacket::parse(packet).value();
  CHECK(p.kind() == PacketKind::request);
  CHECK(p.flags() == (kFlagTrace | kFlagIdempotent));
  CHECK(p.hop_limit() == kDefaultHopLimit);
  CHECK(p.traffic_class() == 3);
  CHECK(p.payload_protocol() == PayloadProtocol::message);
  CHECK(p.label() == PathLabel{0x00100002});
  CHECK(p.exchange() == 0xdeadbeef);
  CHECK(p.flow() == 0x1122334455667788ULL);
  CHECK(p.egress() == NodeId{4});
  CHECK(p.ingress() == NodeId{1});
  CHECK(p.destination() == "B/4");
  CHECK(p.source() == "A/1");
  CHECK(p.instance() == InstanceId{2});
  CHECK(p.source_instance() == InstanceId{9});
  CHECK(to_hex(*p.tlv(HeaderTlv::offset)) == "0000000a00000014");
  CHECK(to_hex(*p.tlv(HeaderTlv::deadline)) == "000007d0");
  CHECK(to_hex(*p.tlv(HeaderTlv::ports)) == "9c401f90");
  CHECK(p.tlv(HeaderTlv::trace_context)->size() == 25);
  CHECK(p.tlv(HeaderTlv::timestamps)->size() == 16);
  CHECK_FALSE(p.tlv(HeaderTlv::error).has_value());
  CHECK(as_text(p.payload()) == "hello");
}

TEST_CASE("H1 service header: golden packet") {
  ServicePacketSpec spec;
  spec.exchange = 0x01020304;
  spec.flow = 0x05;
  spec.egress = NodeId{4};
  spec.ingress = NodeId{1};
  spec.destination = "B/4";
  spec.source = "A/1";
  spec.protocol = PayloadProtocol::message;
  CHECK(to_hex(build(spec, "hi")) ==
        "01002000"
        "0f010002"
        "00000000"
        "01020304"
        "0000000000000005"
        "00000004"
        "00000001"
        "0000000000000000"
        "0000000000000000"
        "0103422f34"
        "0203412f31"
        "0000"
        "6869");
}

TEST_CASE("H2 service header: a packet cut anywhere is an error, never a crash") {
  Bytes packet = build(full_spec());
  for (std::size_t n = 0; n < packet.size(); ++n) {
    Bytes cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK_FALSE(ServicePacket::parse(cut).ok());
  }
  packet.push_back(0);
  CHECK(code_of(packet) == Errc::invalid);
}

TEST_CASE("H2 service header: version, kind, lengths and node ids are checked") {
  Bytes good = build(full_spec());
  auto changed = [&](std::size_t at, std::uint8_t v) {
    Bytes packet = good;
    packet[at] = v;
    return packet;
  };
  CHECK(code_of(changed(0, 0x11)) == Errc::unsupported);
  CHECK(code_of(changed(0, 0x00)) == Errc::unsupported);
  CHECK(code_of(changed(0, 0x08)) == Errc::unsupported);
  CHECK(code_of(changed(4, 11)) == Errc::invalid);
  CHECK(code_of(changed(4, 255)) == Errc::truncated);
  CHECK(code_of(changed(7, 4)) == Errc::invalid);
  CHECK(code_of(changed(7, 6)) == Errc::truncated);
  CHECK(code_of(changed(25, 0x20)) == Errc::invalid);
  CHECK(code_of(changed(28, 0x80)) == Errc::invalid);
}

TEST_CASE("H3 service header: unknown critical TLVs are refused, unknown others passed on") {
  Bytes even = with_tlvs({200, 1, 9, 0});
  Result<ServicePacket> parsed = ServicePacket::parse(even);
  REQUIRE(parsed.ok());
  CHECK(to_hex(*parsed->tlv(static_cast<HeaderTlv>(200))) == "09");
  Bytes odd = with_tlvs({201, 2, 9, 9});
  CHECK(code_of(odd) == Errc::unsupported);
  CHECK(ServicePacket::parse_for_error(odd).ok());
}

TEST_CASE("H3 service header: TLV lengths, doubles and padding are checked") {
  CHECK(code_of(with_tlvs({3, 1, 9, 0})) == Errc::invalid);  // instance of one byte
  CHECK(code_of(with_tlvs({1, 0, 2, 0})) == Errc::invalid);  // empty name
  CHECK(code_of(with_tlvs({1, 1, 'a', 1, 1, 'b', 0, 0})) == Errc::invalid);
  CHECK(code_of(with_tlvs({10, 5, 0, 0, 0, 0, 0, 0})) == Errc::invalid);
  CHECK(code_of(with_tlvs({0, 0, 1, 0})) == Errc::invalid);  // padding is zero
  CHECK(code_of(with_tlvs({0, 0, 0, 0})) == Errc::invalid);  // at most three bytes of it
  CHECK(code_of(with_tlvs({1, 3, 'a', 'b'})) == Errc::truncated);
  CHECK(code_of(with_tlvs({200, 1, 1, 1})) == Errc::truncated);  // a type without its length
  CHECK(code_of(with_tlvs({5, 8, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0})) == Errc::invalid);
}

TEST_CASE("H4 service header: a hop rewrites in place and changes no size") {
  Bytes packet = build(full_spec());
  Bytes before = packet;
  ServicePacket p = ServicePacket::parse(packet).value();
  p.set_hop_limit(7);
  p.set_flags(kFlagTrace | kFlagRepaired);
  p.set_hop_block(5, 6, 0x0000a1b2c3d4e5f6ULL, 0x0102030405060708ULL);
  CHECK(p.hop_key_id() == 5);
  CHECK(p.hop_worker() == 6);
  CHECK(p.hop_counter() == 0xa1b2c3d4e5f6ULL);
  CHECK(p.hop_tag() == 0x0102030405060708ULL);
  p.set_label(PathLabel{77});
  p.set_egress(NodeId{kMaxNodeId});
  CHECK(p.label() == PathLabel{77});
  CHECK(p.egress() == NodeId{kMaxNodeId});
  REQUIRE(packet.size() == before.size());
  ServicePacket again = ServicePacket::parse(packet).value();
  CHECK(again.hop_limit() == 7);
  CHECK(as_text(again.payload()) == "hello");
}

TEST_CASE("H5 service header: hops are recorded in order until the slots are full") {
  Bytes packet = build(full_spec());
  ServicePacket p = ServicePacket::parse(packet).value();
  CHECK(p.recorded_hops().empty());
  for (std::uint32_t id : {1, 2, 4}) CHECK(p.record_hop(NodeId{id}));
  CHECK_FALSE(p.record_hop(NodeId{5}));
  CHECK(p.recorded_hops() == std::vector<NodeId>{NodeId{1}, NodeId{2}, NodeId{4}});
  ServicePacketSpec bare;
  Bytes other = build(bare);
  CHECK_FALSE(ServicePacket::parse(other)->record_hop(NodeId{1}));
}

TEST_CASE("H6 service header: the tag covers header and TLVs but neither itself nor the payload") {
  Bytes packet = build(full_spec());
  ServicePacket p = ServicePacket::parse(packet).value();
  Bytes input = p.hop_tag_input();
  CHECK(input.size() == p.header_size() - 8);
  for (std::size_t i = 0; i < packet.size(); ++i) {
    Bytes changed = packet;
    changed[i] ^= 0x10;
    Result<ServicePacket> q = ServicePacket::parse(changed);
    if (!q.ok()) continue;
    bool covered = i < 40 || (i >= 48 && i < p.header_size());
    CHECK((q->hop_tag_input() != input) == covered);
  }
  ServicePacket::HopTagInput flat;
  std::size_t size = p.hop_tag_input(flat);
  CHECK(Bytes(flat.begin(), flat.begin() + static_cast<std::ptrdiff_t>(size)) == input);
}

TEST_CASE("R44 H7 service header: a reply is an ordinary packet with both ends swapped") {
  Bytes packet = build(full_spec());
  ServicePacket p = ServicePacket::parse(packet).value();
  p.record_hop(NodeId{1});
  p.record_hop(NodeId{4});
  Bytes raw = build(reply_spec(p, PacketKind::response), "answer");
  ServicePacket r = ServicePacket::parse(raw).value();
  CHECK(r.kind() == PacketKind::response);
  CHECK(r.egress() == NodeId{1});
  CHECK(r.ingress() == NodeId{4});
  CHECK(r.destination() == "A/1");
  CHECK(r.source() == "B/4");
  CHECK(r.instance() == InstanceId{9});
  CHECK(r.source_instance() == InstanceId{2});
  CHECK(r.flow() == p.flow());
  CHECK(r.exchange() == p.exchange());
  CHECK(r.label() == PathLabel{});
  CHECK(r.flags() == (kFlagReply | kFlagTrace));
  CHECK(to_hex(*r.tlv(HeaderTlv::ports)) == "1f909c40");
  CHECK(r.recorded_hops() == std::vector<NodeId>{NodeId{1}, NodeId{4}});
  CHECK(r.tlv(HeaderTlv::record)->size() == 5 * 4);
}

TEST_CASE("H7 service header: a long record's reply stays within the slots there can be") {
  ServicePacketSpec spec = full_spec();
  spec.record_slots = kMaxRecordSlots;
  Bytes packet = build(spec);
  ServicePacket p = ServicePacket::parse(packet).value();
  for (std::uint32_t i = 1; i <= 40; ++i) p.record_hop(NodeId{i});
  Bytes raw = build(reply_spec(p, PacketKind::response));
  CHECK(ServicePacket::parse(raw)->tlv(HeaderTlv::record)->size() == kMaxRecordSlots * 4);
}

TEST_CASE("H8 service header: the builder refuses what no header can carry") {
  ServicePacketSpec spec = full_spec();
  std::string long_name(256, 'a');
  spec.destination = long_name;
  CHECK(build_service_packet(spec, {}).error().code == Errc::limit);
  spec = full_spec();
  spec.record_slots = 64;
  CHECK_FALSE(build_service_packet(spec, {}).ok());
  spec = full_spec();
  spec.egress = NodeId{kMaxNodeId + 1};
  CHECK_FALSE(build_service_packet(spec, {}).ok());
  Bytes payload(0x10000);
  CHECK_FALSE(build_service_packet(full_spec(), payload).ok());
  payload.pop_back();
  CHECK(build_service_packet(full_spec(), payload).ok());
  spec = full_spec();
  std::string name(255, 'a');
  Bytes quote(255), ack(255);
  spec.destination = spec.source = name;
  spec.quote = quote;
  spec.ack = ack;
  CHECK(build_service_packet(spec, {}).error().message.find("header of") != std::string::npos);
}
