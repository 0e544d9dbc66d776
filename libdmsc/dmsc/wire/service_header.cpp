#include "dmsc/wire/service_header.hpp"

#include <cstring>

namespace dmsc::wire {
namespace {

constexpr std::size_t kTagAt = 40;  // the last field of the hop block

std::uint64_t load_bytes(const std::uint8_t* p, std::size_t n) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < n; ++i) v = v << 8 | p[i];
  return v;
}

void store_bytes(std::uint8_t* p, std::uint64_t v, std::size_t n) {
  for (std::size_t i = n; i-- > 0; v >>= 8) p[i] = static_cast<std::uint8_t>(v);
}

// Length rule of each known TLV: between min and max, a multiple of step.
struct TlvRule {
  HeaderTlv type;
  const char* name;
  std::uint8_t min, max, step;
};
constexpr TlvRule kRules[] = {
    {HeaderTlv::destination_name, "destination name", 1, 255, 1},
    {HeaderTlv::source_name, "source name", 1, 255, 1},
    {HeaderTlv::instance, "instance", 2, 2, 2},
    {HeaderTlv::source_instance, "source instance", 2, 2, 2},
    {HeaderTlv::offset, "offset", 8, 8, 8},
    {HeaderTlv::deadline, "deadline", 4, 4, 4},
    {HeaderTlv::error, "error", 2, 255, 1},
    {HeaderTlv::seal, "seal", 10, 10, 10},
    {HeaderTlv::timestamps, "timestamps", 8, 32, 8},
    {HeaderTlv::record, "record", 4, 252, 4},
    {HeaderTlv::trace_context, "trace context", 25, 25, 25},
    {HeaderTlv::quote, "quote", 0, 255, 1},
    {HeaderTlv::ack, "ack", 0, 255, 1},
    {HeaderTlv::ports, "ports", 4, 4, 4},
};

// By type; a gap has no name.
constexpr auto kRuleOf = [] {
  std::array<TlvRule, 20> out{};
  for (const TlvRule& rule : kRules) out[static_cast<std::size_t>(rule.type)] = rule;
  return out;
}();

const TlvRule* find_rule(std::size_t type) {
  return type < kRuleOf.size() && kRuleOf[type].name != nullptr ? &kRuleOf[type] : nullptr;
}

Error at_byte(Errc code, std::size_t at, std::string what) {
  return make_error(code, "service header byte ", std::to_string(at), ": ", what);
}

// What must hold before the TLVs are looked at.
Status check_fixed(ByteView data) {
  if (data.size() < kServiceFixedBytes) {
    return make_error(Errc::truncated, "service header: ", std::to_string(data.size()),
                      " bytes, at least 48 are needed");
  }
  if (data[0] >> 4 != kServiceVersion) {
    return at_byte(Errc::unsupported, 0, "version " + std::to_string(data[0] >> 4));
  }
  unsigned kind = data[0] & 15;
  if (kind < 1 || kind > static_cast<unsigned>(PacketKind::trace)) {
    return at_byte(Errc::unsupported, 0, "kind " + std::to_string(kind));
  }
  std::size_t header = std::size_t{data[4]} * 4;
  if (header < kServiceFixedBytes || header > data.size()) {
    return at_byte(header > data.size() ? Errc::truncated : Errc::invalid, 4,
                   "header length " + std::to_string(header) + " of a datagram of " +
                       std::to_string(data.size()) + " bytes");
  }
  std::size_t payload = load_bytes(&data[6], 2);
  if (header + payload != data.size()) {
    return at_byte(header + payload > data.size() ? Errc::truncated : Errc::invalid, 6,
                   "payload length " + std::to_string(payload) + ", " +
                       std::to_string(data.size() - header) + " bytes follow the header");
  }
  for (std::size_t at : {24, 28}) {
    if (load_bytes(&data[at], 4) > kMaxNodeId) return at_byte(Errc::invalid, at, "node id over 2^20");
  }
  return Ok{};
}

// Only zero bytes may follow the first pad byte, and no more than alignment needs.
Status check_padding(ByteView header, std::size_t at) {
  if (header.size() - at > 3) return at_byte(Errc::invalid, at, "more than 3 bytes of padding");
  for (std::size_t i = at; i < header.size(); ++i) {
    if (header[i] != 0) return at_byte(Errc::invalid, i, "padding is not zero");
  }
  return Ok{};
}

Status check_value(const TlvRule& rule, std::size_t at, ByteView value) {
  if (value.size() < rule.min || value.size() > rule.max || value.size() % rule.step != 0) {
    return at_byte(Errc::invalid, at,
                   std::string(rule.name) + " of " + std::to_string(value.size()) + " bytes");
  }
  if (rule.type == HeaderTlv::offset && load_bytes(&value[0], 4) > load_bytes(&value[4], 4)) {
    return at_byte(Errc::invalid, at, "offset beyond the total");
  }
  return Ok{};
}

// Whether check_fixed() finds nothing, without a word for what it finds.
bool fixed_is_good(ByteView data) {
  if (data.size() < kServiceFixedBytes || data[0] >> 4 != kServiceVersion) return false;
  const unsigned kind = data[0] & 15;
  const std::size_t header = std::size_t{data[4]} * 4;
  auto node = [&](std::size_t at) {
    return std::uint32_t{data[at]} << 24 | std::uint32_t{data[at + 1]} << 16 | std::uint32_t{data[at + 2]} << 8 |
           data[at + 3];
  };
  return kind >= 1 && kind <= static_cast<unsigned>(PacketKind::trace) && header >= kServiceFixedBytes &&
         header + (std::size_t{data[6]} << 8 | data[7]) == data.size() && node(24) <= kMaxNodeId &&
         node(28) <= kMaxNodeId;
}

// Where the TLVs begin, if all of them are known and nothing is wrong with any; false otherwise, and then
// index_tlvs() says what it is. Every packet comes by here.
bool index_good_tlvs(ByteView header, std::uint16_t* tlv_at) {
  std::size_t at = kServiceFixedBytes;
  while (at < header.size()) {
    const std::uint8_t type = header[at];
    if (type == static_cast<std::uint8_t>(HeaderTlv::pad)) {
      std::uint8_t padding = 0;
      for (std::size_t i = at; i < header.size(); ++i) padding |= header[i];
      return padding == 0 && header.size() - at <= 3;
    }
    if (type >= kRuleOf.size() || at + 2 > header.size()) return false;
    const TlvRule& rule = kRuleOf[type];
    const std::size_t size = header[at + 1];
    if (rule.name == nullptr || tlv_at[type] != 0 || at + 2 + size > header.size()) return false;
    if (size < rule.min || size > rule.max || (rule.step > 1 && rule.min != rule.max && size % rule.step != 0)) {
      return false;
    }
    if (rule.type == HeaderTlv::offset && load_bytes(&header[at + 2], 4) > load_bytes(&header[at + 6], 4)) {
      return false;
    }
    tlv_at[type] = static_cast<std::uint16_t>(at);
    at += 2 + size;
  }
  return true;
}

// Appends TLVs and remembers the first field that is over its bound.
class TlvWriter {
 public:
  explicit TlvWriter(ByteWriter& out) : out_(out) {}
  void put(HeaderTlv type, ByteView value) {
    const TlvRule& rule = *find_rule(static_cast<std::size_t>(type));
    if (value.size() < rule.min || value.size() > rule.max || value.size() % rule.step != 0) {
      fail(std::string(rule.name) + " of " + std::to_string(value.size()) + " bytes");
      return;
    }
    out_.u8(static_cast<std::uint8_t>(type)).u8(value.size()).bytes(value);
  }
  void put_if(HeaderTlv type, ByteView value) {
    if (!value.empty()) put(type, value);
  }
  void put_number(HeaderTlv type, std::uint64_t value, std::size_t bytes) {
    std::uint8_t raw[8];
    store_bytes(raw, value, bytes);
    put(type, ByteView(raw, bytes));
  }
  void fail(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }
  const std::string& error() const { return error_; }

 private:
  ByteWriter& out_;
  std::string error_;
};

void put_record(TlvWriter& tlvs, const ServicePacketSpec& spec) {
  if (spec.recorded.empty() && spec.record_slots == 0) return;
  Bytes value(spec.recorded.begin(), spec.recorded.end());
  value.resize(value.size() + std::size_t{spec.record_slots} * 4);
  tlvs.put(HeaderTlv::record, value);
}

void put_tlvs(TlvWriter& tlvs, const ServicePacketSpec& spec) {
  tlvs.put_if(HeaderTlv::destination_name, as_bytes(spec.destination));
  tlvs.put_if(HeaderTlv::source_name, as_bytes(spec.source));
  if (spec.instance) tlvs.put_number(HeaderTlv::instance, spec.instance.value, 2);
  if (spec.source_instance) {
    tlvs.put_number(HeaderTlv::source_instance, spec.source_instance.value, 2);
  }
  if (spec.offset_total) {
    auto [offset, total] = *spec.offset_total;
    if (offset > total) tlvs.fail("offset beyond the total");
    tlvs.put_number(HeaderTlv::offset, std::uint64_t{offset} << 32 | total, 8);
  }
  if (spec.deadline_ms) tlvs.put_number(HeaderTlv::deadline, *spec.deadline_ms, 4);
  if (spec.error) {
    ByteWriter value;
    value.u16(static_cast<std::uint16_t>(spec.error->first)).bytes(as_bytes(spec.error->second));
    tlvs.put(HeaderTlv::error, value.view());
  }
  tlvs.put_if(HeaderTlv::timestamps, spec.timestamps);
  put_record(tlvs, spec);
  tlvs.put_if(HeaderTlv::trace_context, spec.trace_context);
  tlvs.put_if(HeaderTlv::quote, spec.quote);
  tlvs.put_if(HeaderTlv::ack, spec.ack);
  if (spec.ports) {
    tlvs.put_number(HeaderTlv::ports, std::uint32_t{spec.ports->first} << 16 | spec.ports->second,
                    4);
  }
}

}  // namespace

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::no_route:
      return "no-route";
    case ErrorCode::no_instance:
      return "no-instance";
    case ErrorCode::not_allowed:
      return "not-allowed";
    case ErrorCode::hop_limit:
      return "hop-limit";
    case ErrorCode::too_big:
      return "too-big";
    case ErrorCode::congestion:
      return "congestion";
    case ErrorCode::deadline:
      return "deadline";
    case ErrorCode::egress_unreachable:
      return "egress-unreachable";
    case ErrorCode::malformed:
      return "malformed";
    case ErrorCode::unknown_tlv:
      return "unknown-tlv";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::pod_refused:
      return "pod-refused";
    case ErrorCode::internal:
      return "internal";
    case ErrorCode::draining:
      return "draining";
    case ErrorCode::unknown_key:
      return "unknown-key";
  }
  return "unknown-error";
}

Result<ServicePacket> ServicePacket::parse(std::span<std::uint8_t> datagram) {
  return parse(datagram, Unknown::refuse);
}

Result<ServicePacket> ServicePacket::parse_for_error(std::span<std::uint8_t> datagram) {
  return parse(datagram, Unknown::accept);
}

Result<ServicePacket> ServicePacket::parse(std::span<std::uint8_t> datagram, Unknown unknown) {
  ServicePacket packet;
  packet.data_ = datagram;
  if (fixed_is_good(datagram) &&
      index_good_tlvs(ByteView(datagram).first(std::size_t{datagram[4]} * 4), packet.tlv_at_.data())) {
    return packet;
  }
  packet.tlv_at_ = {};
  if (Status s = check_fixed(datagram); !s) return s.error();
  if (Status s = packet.index_tlvs(unknown); !s) return s.error();
  return packet;
}

Status ServicePacket::index_tlvs(Unknown unknown) {
  ByteView header = ByteView(data_).first(header_size());
  std::size_t at = kServiceFixedBytes;
  while (at < header.size()) {
    std::uint8_t type = header[at];
    if (type == static_cast<std::uint8_t>(HeaderTlv::pad)) return check_padding(header, at);
    if (at + 2 > header.size() || at + 2 + header[at + 1] > header.size()) {
      return at_byte(Errc::truncated, at, "TLV " + std::to_string(type) + " leaves the header");
    }
    ByteView value = header.subspan(at + 2, header[at + 1]);
    if (const TlvRule* rule = find_rule(type)) {
      if (tlv_at_[type] != 0)
        return at_byte(Errc::invalid, at, std::string("second ") + rule->name);
      if (Status s = check_value(*rule, at, value); !s) return s;
      tlv_at_[type] = static_cast<std::uint16_t>(at);
    } else if (type % 2 != 0 && unknown == Unknown::refuse) {
      return at_byte(Errc::unsupported, at, "unknown critical TLV " + std::to_string(type));
    }
    at += 2 + value.size();
  }
  return Ok{};
}

std::optional<ByteView> ServicePacket::tlv(HeaderTlv type) const {
  auto number = static_cast<std::uint8_t>(type);
  static_assert(kKnownTypes == kRuleOf.size());
  if (find_rule(number) != nullptr) {
    std::size_t at = tlv_at_[number];
    if (at == 0) return std::nullopt;
    return ByteView(data_).subspan(at + 2, data_[at + 1]);
  }
  for (std::size_t at = kServiceFixedBytes; at < header_size() && data_[at] != 0;) {
    if (data_[at] == number) return ByteView(data_).subspan(at + 2, data_[at + 1]);
    at += 2 + std::size_t{data_[at + 1]};
  }
  return std::nullopt;
}

std::string_view ServicePacket::destination() const {
  return as_text(tlv(HeaderTlv::destination_name).value_or(ByteView{}));
}
std::string_view ServicePacket::source() const {
  return as_text(tlv(HeaderTlv::source_name).value_or(ByteView{}));
}

InstanceId ServicePacket::instance_of(HeaderTlv type) const {
  std::optional<ByteView> value = tlv(type);
  return InstanceId{value ? static_cast<std::uint16_t>(load_bytes(value->data(), 2)) : std::uint16_t{0}};
}
InstanceId ServicePacket::instance() const { return instance_of(HeaderTlv::instance); }
InstanceId ServicePacket::source_instance() const {
  return instance_of(HeaderTlv::source_instance);
}

void ServicePacket::set_label(PathLabel label) { store_bytes(&data_[8], label.value, 4); }
void ServicePacket::set_egress(NodeId node) { store_bytes(&data_[24], node.value, 4); }
void ServicePacket::set_ingress(NodeId node) { store_bytes(&data_[28], node.value, 4); }

void ServicePacket::drop_tail(std::size_t bytes) {
  data_ = data_.first(data_.size() - std::min(bytes, payload().size()));
  store_bytes(&data_[6], data_.size() - header_size(), 2);
}

void ServicePacket::forget_source() {
  std::uint16_t& at = tlv_at_[static_cast<std::size_t>(HeaderTlv::source_name)];
  if (at == 0) return;
  data_[at] = static_cast<std::uint8_t>(HeaderTlv::empty);
  at = 0;
}

bool ServicePacket::record_hop(NodeId node) {
  std::size_t at = tlv_at_[static_cast<std::size_t>(HeaderTlv::record)];
  if (at == 0) return false;
  std::size_t end = at + 2 + data_[at + 1];
  for (at += 2; at < end; at += 4) {
    if (load_bytes(&data_[at], 4) != 0) continue;
    store_bytes(&data_[at], node.value, 4);
    return true;
  }
  return false;
}

std::vector<NodeId> ServicePacket::recorded_hops() const {
  std::vector<NodeId> out;
  ByteView value = tlv(HeaderTlv::record).value_or(ByteView{});
  for (std::size_t i = 0; i < value.size(); i += 4) {
    auto id = static_cast<std::uint32_t>(load_bytes(&value[i], 4));
    if (id == 0) break;
    out.push_back(NodeId{id});
  }
  return out;
}

std::size_t ServicePacket::hop_tag_input(HopTagInput& out) const {
  std::memcpy(out.data(), data_.data(), kTagAt);
  std::memcpy(out.data() + kTagAt, data_.data() + kServiceFixedBytes,
              header_size() - kServiceFixedBytes);
  return header_size() - (kServiceFixedBytes - kTagAt);
}

Bytes ServicePacket::hop_tag_input() const {
  HopTagInput buffer;
  std::size_t size = hop_tag_input(buffer);
  return Bytes(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
}

Result<Bytes> build_service_packet(const ServicePacketSpec& spec, ByteView payload) {
  ByteWriter out;
  out.u8(std::uint8_t{kServiceVersion << 4} | static_cast<std::uint8_t>(spec.kind)).u8(spec.flags);
  out.u8(spec.hop_limit).u8(spec.traffic_class);
  out.u8(0).u8(static_cast<std::uint8_t>(spec.protocol)).u16(payload.size());
  out.u32(spec.label.value).u32(spec.exchange).u64(spec.flow);
  out.u32(spec.egress.value).u32(spec.ingress.value);
  out.u64(0).u64(0);  // the hop block is the sending hop's to fill
  TlvWriter tlvs(out);
  put_tlvs(tlvs, spec);
  if (spec.egress.value > kMaxNodeId || spec.ingress.value > kMaxNodeId) {
    tlvs.fail("node id over 2^20");
  }
  if (payload.size() > 0xffff) tlvs.fail("payload of " + std::to_string(payload.size()) + " bytes");
  while (out.size() % 4 != 0) out.u8(0);
  if (out.size() > kServiceHeaderMax) {
    tlvs.fail("header of " + std::to_string(out.size()) + " bytes, at most 1020 are allowed");
  }
  if (!tlvs.error().empty()) return make_error(Errc::limit, "service packet: ", tlvs.error());
  std::size_t words = out.size() / 4;
  out.bytes(payload);
  Bytes packet = out.take();
  packet[4] = static_cast<std::uint8_t>(words);
  return packet;
}

ServicePacketSpec reply_spec(const ServicePacket& packet, PacketKind kind) {
  ServicePacketSpec spec;
  spec.kind = kind;
  spec.flags = kFlagReply;
  spec.traffic_class = packet.traffic_class();
  spec.exchange = packet.exchange();
  spec.flow = packet.flow();
  spec.egress = packet.ingress();
  spec.ingress = packet.egress();
  spec.destination = packet.source();
  spec.source = packet.destination();
  spec.instance = packet.source_instance();
  spec.source_instance = packet.instance();
  spec.trace_context = packet.tlv(HeaderTlv::trace_context).value_or(ByteView{});
  if (std::optional<ByteView> ports = packet.tlv(HeaderTlv::ports)) {
    spec.ports.emplace(static_cast<std::uint16_t>(load_bytes(ports->data() + 2, 2)),
                       static_cast<std::uint16_t>(load_bytes(ports->data(), 2)));
  }
  std::optional<ByteView> record = packet.tlv(HeaderTlv::record);
  if (record && (packet.flags() & kFlagTrace) != 0) {
    spec.flags |= kFlagTrace;
    spec.recorded = record->first(packet.recorded_hops().size() * 4);
    std::size_t room = kMaxRecordSlots - spec.recorded.size() / 4;
    spec.record_slots = static_cast<std::uint8_t>(std::min(record->size() / 4, room));
  }
  return spec;
}

}  // namespace dmsc::wire
