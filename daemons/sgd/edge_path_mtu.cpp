// What paths carry, and what a program is told that sends more (docs/protocol.md, U7, U13 and U17). The path
// MTU comes from the routes (routing/path_mtu.hpp); hints of routers on the way lower it for one flow
// and for ten minutes (RFC 1981), because what they know may be news.
#include <algorithm>
#include <charconv>

#include "dmsc/forwarding/seal.hpp"
#include "dmsc/wire/link_mtu.hpp"
#include "sgd/edge_path.hpp"

namespace dmsc::sgd {
namespace {

// Every link carries that much, so nobody is believed who says less.
constexpr std::size_t kLeastDatagram = wire::kLeastLinkMtu - forwarding::kSealOverhead;
constexpr std::size_t kHintStep = 64;  // where the limit is not said
constexpr Duration kHintLasts = minutes(10);

// The number that begins the text of a too-big error; 0 = none.
std::size_t limit_in(const wire::ServicePacket& error) {
  ByteReader in(error.tlv(wire::HeaderTlv::error).value_or(ByteView{}));
  in.u16();
  std::string_view text = as_text(in.rest());
  std::size_t limit = 0;
  std::from_chars(text.data(), text.data() + text.size(), limit);
  // A sealed packet is quoted with its seal; what we send is sealed later.
  bool sealed = error.tlv(wire::HeaderTlv::quote).value_or(ByteView{}).size() > wire::kServiceFixedBytes;
  std::size_t seal = sealed ? forwarding::kSealOverhead : 0;
  return limit > seal ? limit - seal : 0;
}

}  // namespace

std::uint32_t EdgePath::carries(const FlowState& flow, NodeId peer) {
  auto path = static_cast<std::uint32_t>(io_.path_mtu(peer));
  return flow.hint != 0 && io_.now() < flow.hint_ends ? std::min<std::uint32_t>(path, flow.hint) : path;
}

// `error`: of a router; null: our own data plane did not take the packet. False if nothing is lower now.
bool EdgePath::take_hint(FlowState& flow, NodeId peer, const wire::ServicePacket* error) {
  std::size_t before = carries(flow, peer);
  std::size_t limit = error != nullptr ? limit_in(*error) : 0;
  if (limit == 0) limit = before - std::min(before, kHintStep);
  limit = std::max(limit, kLeastDatagram);
  if (limit >= before) return false;
  flow.hint = static_cast<std::uint16_t>(std::min<std::size_t>(limit, 0xffff));
  flow.hint_ends = io_.now() + kHintLasts;
  return true;
}

void EdgePath::too_big(FlowState& flow, NodeId peer) {
  std::size_t mtu = carries(flow, peer), header = flow.header.size();
  std::size_t room = mtu > header ? mtu - header : 0;
  tell_program(flow, icmp::kFragmentationNeeded, static_cast<std::uint16_t>(room + kIpHeaderBytes));
}

// Of an answer, by the header it quotes. What else is wrong with answers is the caller's to find out.
bool EdgePath::error_about_answer(const wire::ServicePacket& error) {
  ByteView quote = error.tlv(wire::HeaderTlv::quote).value_or(ByteView{});
  if (quote.size() < wire::kServiceFixedBytes) return false;
  NodeId peer{ByteReader(quote.subspan(24)).u32()};
  auto it = in_.find({peer, error.flow()});
  if (it == in_.end()) return false;
  count(Count::error_in);
  ByteReader in(error.tlv(wire::HeaderTlv::error).value_or(ByteView{}));
  bool narrow = static_cast<wire::ErrorCode>(in.u16()) == wire::ErrorCode::too_big && in.ok();
  if (!narrow || !take_hint(*it->second, peer, &error)) {
    count(Count::hint_ignored);
    return true;
  }
  count(Count::too_big);
  too_big(*it->second, peer);
  return true;
}

// An ICMP error about the flow's last packet, as if its router had sent it.
void EdgePath::tell_program(FlowState& flow, std::uint8_t code, std::uint16_t mtu) {
  Bytes l4(8);
  bool tcp = flow.key.protocol == L4::tcp;
  ByteWriter w;
  w.u16(flow.key.source_port).u16(flow.key.destination_port);
  // TCP believes only what lies in its window: the last byte it has sent.
  tcp ? w.u32(flow.next_sequence - 1) : w.u16(8).u16(0);
  l4 = w.take();
  Ip4Fields fields;
  fields.source = flow.key.source;
  fields.destination = flow.key.destination;
  fields.protocol = static_cast<std::uint8_t>(flow.key.protocol);
  auto header = make_ip4_header(fields, l4.size());
  Bytes bytes(header.begin(), header.end());
  bytes.insert(bytes.end(), l4.begin(), l4.end());
  auto packet = parse_ip4(bytes);
  if (packet) answer_icmp(flow.key.port, *packet, icmp::kUnreachable, code, mtu);
}

}  // namespace dmsc::sgd
