// The edge's decoders of IP packets: parse, rewrite, answer, reassemble, segment. The first byte
// chooses, the rest is the packet.
#include "sgd/edge_ipv6.hpp"
#include "sgd/edge_offload.hpp"
#include "sgd/edge_reassembly.hpp"

#include "harness.hpp"

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

// An IPv6 packet of a program (its addresses made ours, or nothing would be taken), and back.
void packet6(Bytes bytes) {
  static const Addresses6 addresses = [] {
    Addresses6 out(*Prefix6::parse("fdc0:646d:7363::/64"));
    (void)out.take(*parse_server("[::1]:1")->v6);
    return out;
  }();
  const Ipv6 inside = addresses.of({0x64400102}), server = *parse_server("[::1]:1")->v6;
  for (std::size_t at : {8, 24, 56, 72}) {
    const Ipv6& address = at == 8 || at == 72 ? server : inside;
    if (bytes.size() >= at + address.size()) std::copy(address.begin(), address.end(), bytes.begin() + at);
  }
  const Ip6Taken taken = take_ip6(bytes, 0, addresses);
  if (taken.fate != Ip6Fate::taken) return;
  auto packet = parse_ip4(std::span(bytes).subspan(taken.at));
  fuzz::require(packet.has_value(), "what was taken is an IPv4 packet");
  (void)parse_icmp_error(packet->l4);
  (void)make_ip6_header(packet->header, addresses);
  (void)icmp_as_icmp6(ByteView(bytes).subspan(taken.at), addresses);
}

}  // namespace

void fuzz::one_input(ByteView data) {
  if (data.size() < 1 + kVnetBytes) return;
  Bytes bytes(data.begin() + 1, data.end());
  if ((data[0] & 3) == 2) return packet6(std::move(bytes));
  if ((data[0] & 1) != 0) {
    VnetHeader header = decode_vnet(std::span<const std::uint8_t, kVnetBytes>(bytes.data(), kVnetBytes));
    static Segmenter segmenter(64);
    Bytes buffer(64);
    buffer.insert(buffer.end(), bytes.begin() + kVnetBytes, bytes.end());
    segmenter.split(header, buffer, 64, [](std::span<std::uint8_t>, std::size_t) {});
    return;
  }
  // Checksums would keep the fuzzer out: make the header's right.
  if (bytes.size() >= kIpHeaderBytes) {
    std::size_t header = std::min<std::size_t>(bytes.size(), (bytes[0] & 15U) * 4);
    if (header >= kIpHeaderBytes) {
      bytes[10] = bytes[11] = 0;
      std::uint16_t sum = checksum_finish(checksum_add(ByteView(bytes).first(header)));
      bytes[10] = static_cast<std::uint8_t>(sum >> 8);
      bytes[11] = static_cast<std::uint8_t>(sum);
    }
  }
  auto packet = parse_ip4(bytes);
  if (!packet) return;
  static Reassembler reassembler;
  reassembler.add(data[0], *packet, Time{}, 64);
  if (reassembler.pending() > 100) reassembler = Reassembler{};
  if (may_answer_with_icmp(*packet)) (void)make_icmp_error(*packet, {1}, 3, 1);
  (void)parse_icmp_error(packet->l4);
  auto segment = parse_segment(packet->protocol, packet->l4);
  if (!segment) return;
  if (packet->protocol == kProtoTcp) {
    (void)make_rst(packet->l4, packet->destination, packet->source);
    clamp_mss(packet->l4, 1200);
    Joiner joiner;
    (void)joiner.add(packet->header, packet->l4);
    if (!joiner.empty()) fuzz::require(!joiner.frame().empty(), "a frame has a head");
  }
  set_port(packet->protocol, packet->l4, PortField::destination, 8080);
  readdress_checksum(packet->protocol, packet->l4, packet->source, packet->destination, {}, {});
}

void fuzz::seeds(SeedWriter& out) {
  ByteWriter tcp;
  tcp.u16(40000).u16(80).u32(1).u32(2).u8(6 << 4).u8(kTcpAck).u16(500).u16(0).u16(0);
  tcp.u8(2).u8(4).u16(1460).bytes(Bytes(3000, 'x'));
  Bytes udp = ByteWriter().u16(53).u16(53).u16(12).u16(0).u32(1).take();
  for (auto [protocol, l4] : {std::pair{kProtoTcp, tcp.view()}, {kProtoUdp, ByteView(udp)}}) {
    Ip4Fields fields;
    fields.source = {0x64400102};
    fields.destination = {0x64600304};
    fields.protocol = protocol;
    auto header = make_ip4_header(fields, l4.size());
    Bytes packet(header.begin(), header.end());
    packet.insert(packet.end(), l4.begin(), l4.end());
    out(0, packet);
    out(0, make_icmp_error(*parse_ip4(packet), {1}, 3, 4, 1200));
    VnetHeader vnet;
    vnet.flags = VnetHeader::kNeedsChecksum;
    vnet.gso_type = protocol == kProtoTcp ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoNone;
    vnet.gso_size = 1000;
    vnet.checksum_start = 20;
    vnet.checksum_offset = 6;
    const Prefix6 prefix = *Prefix6::parse("fdc0:646d:7363::/64");
    auto header6 = make_ip6_header(header, prefix);
    Bytes packet6(header6.begin(), header6.end());
    packet6.insert(packet6.end(), l4.begin(), l4.end());
    out(2, packet6);
    out(2, icmp_as_icmp6(make_icmp_error(*parse_ip4(packet), {1}, 3, 3), prefix));
    auto bytes = encode_vnet(vnet);
    packet.insert(packet.begin(), bytes.begin(), bytes.end());
    out(1, packet);
  }
}
