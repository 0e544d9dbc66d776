// LSA bodies: what the TLVs of each type hold. Layouts are drawn in docs/protocol.md, "LSAs".
#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/tlv.hpp"

namespace dmsc::wire {
namespace {

// Node: 1 attributes {role 8, flags 8, name}, 2 adjacency.
constexpr std::uint16_t kTlvAttributes = 1, kTlvAdjacency = 2;
constexpr std::uint8_t kFlagOverload = 1, kFlagNoTransit = 2;
constexpr std::size_t kAdjacencyBytes = 44;
// Prefix: 1 entry {flags 8, interface 16, name length 8, name, instances {id 16, capacity 16}}, and behind
// it, if the entry has ports, 2 (service_port.hpp).
constexpr std::uint16_t kTlvPrefix = kPrefixEntryTlv;
constexpr std::uint8_t kFlagCovering = 1;
constexpr std::size_t kPrefixFixedBytes = 4, kInstanceBytes = 4;
// Identity and signed objects: 1 the opaque bytes.
constexpr std::uint16_t kTlvOpaque = 1;

void write_unknown(ByteWriter& w, const std::vector<UnknownTlv>& unknown) {
  for (const UnknownTlv& tlv : unknown) write_tlv(w, tlv.type, tlv.value);
}

void write_adjacency(ByteWriter& w, const Adjacency& a) {
  w.u16(kTlvAdjacency).u16(kAdjacencyBytes);
  w.u32(a.neighbour.value).u32(a.link).u32(a.neighbour_link);
  w.u32(static_cast<std::uint32_t>(a.flags) << 24 | (a.metric & 0xffffff));
  w.u32(a.delay_us).u32(a.jitter_us).u32(a.loss_ppm).u64(a.bandwidth_bps).u64(a.capacity_bps);
}

Result<Adjacency> read_adjacency(const TlvReader& tlv) {
  if (tlv.value().size() != kAdjacencyBytes) return tlv.wrong("an adjacency is 44 bytes");
  ByteReader r(tlv.value());
  Adjacency a;
  a.neighbour = NodeId{r.u32()};
  a.link = r.u32();
  a.neighbour_link = r.u32();
  std::uint32_t word = r.u32();
  a.flags = static_cast<std::uint8_t>(word >> 24);
  a.metric = word & 0xffffff;
  a.delay_us = r.u32();
  a.jitter_us = r.u32();
  a.loss_ppm = r.u32();
  a.bandwidth_bps = r.u64();
  a.capacity_bps = r.u64();
  if (!a.neighbour || a.neighbour.value > kMaxNodeId) {
    return tlv.wrong("the neighbour is no node id");
  }
  if (a.metric == 0) return tlv.wrong("the metric is zero");
  return a;
}

Status read_attributes(const TlvReader& tlv, NodeBody& body) {
  ByteReader r(tlv.value());
  std::uint8_t role = r.u8(), flags = r.u8();
  ByteView name = r.rest();
  if (!r.ok()) return tlv.wrong("attributes are cut short");
  if (role != 1 && role != 2) return tlv.wrong("role " + std::to_string(role) + " is unknown");
  if (name.empty() || name.size() > 255) return tlv.wrong("a node name has 1 to 255 bytes");
  if (!body.name.empty()) return tlv.wrong("attributes twice");
  body.role = static_cast<NodeRole>(role);
  body.overload = (flags & kFlagOverload) != 0;
  body.no_transit = (flags & kFlagNoTransit) != 0;
  body.name = std::string(as_text(name));
  return Ok{};
}

Result<PrefixEntry> read_prefix(const TlvReader& tlv) {
  ByteReader r(tlv.value());
  PrefixEntry entry;
  entry.covering = (r.u8() & kFlagCovering) != 0;
  entry.interface = r.u16();
  std::string_view text = r.text8();
  if (!r.ok()) return tlv.wrong("a prefix is cut short");
  auto name = Name::parse(text);
  if (!name) return tlv.wrong(name.error().message);
  entry.name = std::move(name).value();
  if (r.left() % kInstanceBytes != 0) return tlv.wrong("an instance is cut short");
  entry.instances.reserve(r.left() / kInstanceBytes);
  while (r.left() != 0) {
    PrefixInstance instance;
    instance.id = InstanceId{r.u16()};
    instance.capacity = r.u16();
    if (!instance.id) return tlv.wrong("instance id zero");
    entry.instances.push_back(instance);
  }
  return entry;
}

// Of the value of TLV 1.
std::size_t entry_bytes(const PrefixEntry& entry) {
  return kPrefixFixedBytes + entry.name.text().size() + kInstanceBytes * entry.instances.size();
}

Result<Bytes> read_opaque(ByteView body, std::vector<UnknownTlv>* unknown) {
  TlvReader tlvs(body);
  Bytes found;
  while (tlvs.next()) {
    if (tlvs.type() != kTlvOpaque) {
      if (unknown != nullptr) unknown->push_back({tlvs.type(), to_bytes(tlvs.value())});
    } else if (!found.empty()) {
      return tlvs.wrong("the object twice");
    } else {
      found = to_bytes(tlvs.value());
    }
  }
  if (!tlvs.ok()) return tlvs.error();
  if (found.empty()) return make_error(Errc::invalid, "TLV 1, the object itself, is missing");
  return found;
}

}  // namespace

Result<NodeBody> decode_node_body(ByteView data) {
  NodeBody body;
  TlvReader tlvs(data);
  while (tlvs.next()) {
    if (tlvs.type() == kTlvAttributes) {
      if (Status ok = read_attributes(tlvs, body); !ok) return with_context("node", ok.error());
    } else if (tlvs.type() == kTlvAdjacency) {
      auto adjacency = read_adjacency(tlvs);
      if (!adjacency) return with_context("node", adjacency.error());
      body.adjacencies.push_back(*adjacency);
    } else {
      body.unknown.push_back({tlvs.type(), to_bytes(tlvs.value())});
    }
  }
  if (!tlvs.ok()) return with_context("node", tlvs.error());
  return body;
}

Result<PrefixBody> decode_prefix_body(ByteView data) {
  PrefixBody body;
  TlvReader tlvs(data);
  while (tlvs.next()) {
    if (tlvs.type() == kServicePortsTlv) {
      // About the entry before it, which has none yet; else it tells nothing.
      if (body.entries.empty() || !body.entries.back().ports.empty()) continue;
      body.entries.back().ports = read_service_ports(tlvs.value());
      continue;
    }
    if (tlvs.type() != kTlvPrefix) {
      body.unknown.push_back({tlvs.type(), to_bytes(tlvs.value())});
      continue;
    }
    auto entry = read_prefix(tlvs);
    if (!entry) return with_context("prefix", entry.error());
    body.entries.push_back(std::move(entry).value());
  }
  if (!tlvs.ok()) return with_context("prefix", tlvs.error());
  return body;
}

Result<IdentityBody> decode_identity_body(ByteView data) {
  IdentityBody body;
  auto certificate = read_opaque(data, &body.unknown);
  if (!certificate) return with_context("identity", certificate.error());
  body.certificate = std::move(certificate).value();
  return body;
}

Bytes encode(const NodeBody& body) {
  ByteWriter w;
  if (!body.name.empty()) {
    std::uint8_t flags = static_cast<std::uint8_t>((body.overload ? kFlagOverload : 0) |
                                                   (body.no_transit ? kFlagNoTransit : 0));
    w.u16(kTlvAttributes).u16(2 + body.name.size());
    w.u8(static_cast<std::uint8_t>(body.role)).u8(flags).bytes(as_bytes(body.name));
  }
  for (const Adjacency& a : body.adjacencies) write_adjacency(w, a);
  write_unknown(w, body.unknown);
  return w.take();
}

Bytes encode(const PrefixBody& body) {
  ByteWriter w;
  for (const PrefixEntry& entry : body.entries) {
    w.u16(kTlvPrefix).u16(entry_bytes(entry));
    w.u8(entry.covering ? kFlagCovering : 0).u16(entry.interface).text8(entry.name.text());
    for (const PrefixInstance& i : entry.instances) w.u16(i.id.value).u16(i.capacity);
    write_service_ports(w, entry.ports);
  }
  write_unknown(w, body.unknown);
  return w.take();
}

Bytes encode(const IdentityBody& body) {
  ByteWriter w;
  write_tlv(w, kTlvOpaque, body.certificate);
  write_unknown(w, body.unknown);
  return w.take();
}

std::size_t encoded_size(const PrefixEntry& entry) {
  return kTlvHeaderBytes + entry_bytes(entry) + encoded_size(entry.ports);
}

std::size_t encoded_size(const Adjacency&) { return kTlvHeaderBytes + kAdjacencyBytes; }

Bytes encode_object_body(ByteView signed_object) {
  ByteWriter w;
  write_tlv(w, kTlvOpaque, signed_object);
  return w.take();
}

Result<Bytes> decode_object_body(ByteView body) {
  auto object = read_opaque(body, nullptr);
  if (!object) return with_context("signed object", object.error());
  return object;
}

}  // namespace dmsc::wire
