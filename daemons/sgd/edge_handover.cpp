#include "sgd/edge_handover.hpp"

#include <algorithm>

namespace dmsc::sgd {
namespace {

constexpr std::string_view kMagic = "DMFL";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kDigestBytes = 32, kMostNames = 255;
constexpr std::size_t kLeastFlowBytes = 60;

enum : std::uint8_t { kInbound = 1, kEstablished = 2, kFinOut = 4, kFinIn = 8, kReset = 16 };

void put_flow(ByteWriter& w, const HandedFlow& f) {
  w.u8((f.inbound ? kInbound : 0) | (f.established ? kEstablished : 0) | (f.fin_out ? kFinOut : 0) |
       (f.fin_in ? kFinIn : 0) | (f.reset ? kReset : 0));
  w.u8(static_cast<std::uint8_t>(f.key.protocol)).u32(f.key.port);
  w.u32(f.key.source.value).u32(f.key.destination.value);
  w.u16(f.key.source_port).u16(f.key.destination_port);
  w.u64(f.id).u32(f.peer.value).u16(f.instance.value).u16(f.service_port);
  w.u32(f.next_sequence).u32(f.acknowledged).u16(f.window);
  w.u64(static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(f.idle).count()));
  w.text8(f.destination);
  w.bytes16(f.header);
}

HandedFlow flow_of(ByteReader& in) {
  HandedFlow f;
  const std::uint8_t flags = in.u8();
  f.inbound = (flags & kInbound) != 0;
  f.established = (flags & kEstablished) != 0;
  f.fin_out = (flags & kFinOut) != 0;
  f.fin_in = (flags & kFinIn) != 0;
  f.reset = (flags & kReset) != 0;
  f.key.protocol = static_cast<L4>(in.u8());
  f.key.port = in.u32();
  f.key.source = Ipv4{in.u32()};
  f.key.destination = Ipv4{in.u32()};
  f.key.source_port = in.u16();
  f.key.destination_port = in.u16();
  f.id = in.u64();
  f.peer = NodeId{in.u32()};
  f.instance = InstanceId{in.u16()};
  f.service_port = in.u16();
  f.next_sequence = in.u32();
  f.acknowledged = in.u32();
  f.window = in.u16();
  constexpr std::uint64_t kMostIdle = 1'000'000'000;  // ms
  f.idle = milliseconds(static_cast<std::int64_t>(std::min(in.u64(), kMostIdle)));
  f.destination = in.text8();
  f.header = to_bytes(in.bytes16());
  return f;
}

Error wrong(std::string_view what) { return make_error(Errc::invalid, "flow table: ", what); }

}  // namespace

Bytes encode_handover(const Handover& handover) {
  ByteWriter w;
  w.bytes(as_bytes(kMagic)).u8(kVersion);
  w.text8(handover.boot);
  w.u64(static_cast<std::uint64_t>(
      std::chrono::duration_cast<milliseconds>(handover.written).count()));
  const std::size_t names = std::min(handover.ports.size(), kMostNames);
  w.u8(static_cast<std::uint8_t>(names));
  for (std::size_t i = 0; i < names; ++i) w.text8(handover.ports[i]);
  const std::size_t flows = std::min(handover.flows.size(), kMostHandedFlows);
  w.u32(static_cast<std::uint32_t>(flows));
  for (std::size_t i = 0; i < flows; ++i) put_flow(w, handover.flows[i]);
  Bytes out = w.take();
  auto digest = crypto::sha256(out);
  out.insert(out.end(), digest.begin(), digest.end());
  return out;
}

Result<Handover> decode_handover(ByteView data) {
  if (data.size() < kMagic.size() + 1 + kDigestBytes) return wrong("too short");
  ByteView body = data.first(data.size() - kDigestBytes);
  auto digest = crypto::sha256(body);
  if (!std::equal(digest.begin(), digest.end(), data.end() - kDigestBytes)) {
    return wrong("its checksum is wrong");
  }
  ByteReader in(body);
  if (as_text(in.bytes(kMagic.size())) != kMagic || in.u8() != kVersion) {
    return wrong("not a file of this version");
  }
  Handover out;
  out.boot = in.text8();
  constexpr std::uint64_t kMost = std::uint64_t{1} << 50;
  out.written = milliseconds(static_cast<std::int64_t>(std::min(in.u64(), kMost)));
  for (std::size_t names = in.u8(); names > 0 && in.ok(); --names) out.ports.emplace_back(in.text8());
  const std::size_t flows = in.u32();
  if (!in.ok() || flows > kMostHandedFlows || flows > body.size() / kLeastFlowBytes + 1) {
    return wrong("its head is cut off");
  }
  for (std::size_t i = 0; i < flows; ++i) {
    HandedFlow flow = flow_of(in);
    const bool l4 = flow.key.protocol == L4::tcp || flow.key.protocol == L4::udp;
    if (!in.ok() || !l4) return wrong("flow " + std::to_string(i) + " is malformed");
    out.flows.push_back(std::move(flow));
  }
  if (!in.done()) return wrong("bytes behind the last flow");
  return out;
}

std::vector<HandedFlow> renumbered(Handover handover, const std::vector<std::string>& ports) {
  const std::size_t before = handover.ports.size();
  std::vector<HandedFlow> out;
  for (HandedFlow& flow : handover.flows) {
    const std::size_t port = flow.key.port % std::max<std::size_t>(before, 1);
    if (flow.key.port >= 2 * before) continue;
    auto now = std::find(ports.begin(), ports.end(), handover.ports[port]);
    if (now == ports.end()) continue;
    const bool twin = flow.key.port >= before;
    flow.key.port = static_cast<std::uint32_t>((now - ports.begin()) + (twin ? std::ssize(ports) : 0));
    out.push_back(std::move(flow));
  }
  return out;
}

}  // namespace dmsc::sgd
