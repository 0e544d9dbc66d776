// The service header (DESIGN section 6): fixed part, hop block, TLVs. Big-endian. In-place view and
// setters for the fields that a hop may change; a builder for the source.
//
//   0  version 4 | kind 4 | flags 8 | hop limit 8 | traffic class 8
//   4  header length/4 8 | payload protocol 8 | payload length 16
//   8  path label 32
//  12  exchange id 32
//  16  flow id 64
//  24  egress node 32
//  28  ingress node 32
//  32  hop block: key id 8 | worker 8 | counter 48 | tag 64
//  48  TLVs {type 8, length 8, value}, then 0-3 zero bytes up to a multiple of 4
#pragma once
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"
#include "dmsc/name/name.hpp"

namespace dmsc::wire {

inline constexpr std::size_t kServiceFixedBytes = 48;
inline constexpr std::size_t kServiceHeaderMax = 1020;  // header length is 8 bits of 4-byte words
inline constexpr std::uint8_t kServiceVersion = 0;
inline constexpr std::uint8_t kDefaultHopLimit = 32;

enum class PacketKind : std::uint8_t {
  request = 1,
  response = 2,
  one_way = 3,
  packet = 4,  // an L4 segment of an unmodified program
  error = 5,
  probe = 6,  // answered by the egress gateway (or router) itself
  trace = 7,  // every hop answers or records
};

// Flags. The first four may change in transit; the rest are set by the source.
inline constexpr std::uint8_t kFlagCongestion = 0x01;
inline constexpr std::uint8_t kFlagRepaired = 0x02;
inline constexpr std::uint8_t kFlagLabelVoid = 0x04;
inline constexpr std::uint8_t kFlagTrace = 0x08;  // each hop appends itself to the record TLV slot
inline constexpr std::uint8_t kFlagSealed = 0x10;
inline constexpr std::uint8_t kFlagIdempotent = 0x20;
inline constexpr std::uint8_t kFlagReply = 0x40;  // travels back: response, error, probe reply
inline constexpr std::uint8_t kFlagEstablished = 0x80;

enum class PayloadProtocol : std::uint8_t {
  none = 0,
  message = 1,
  tcp = 6,
  udp = 17,
  icmp = 58,
  handshake = 200,
  control = 201,
};

// TLV types: odd = critical (unknown is an error), even = passed on unchanged.
enum class HeaderTlv : std::uint8_t {
  pad = 0,
  destination_name = 1,
  source_name = 2,
  instance = 3,         // 16 bits: the pinned instance at the egress
  source_instance = 4,  // 16 bits: who the answer goes to at the ingress
  offset = 5,           // message segmentation: offset 32, total 32
  error = 7,            // code 16, then text
  seal = 9,             // key id 32, counter 48: the payload is sealed (forwarding/seal.hpp)
  deadline = 6,         // milliseconds left, 32
  timestamps = 8,       // up to four 64-bit nanosecond stamps
  record = 10,  // room for n node ids of 32 bits: a hop fills the first zero slot (kFlagTrace)
  trace_context = 12,  // W3C traceparent, 25 bytes binary
  quote = 14,          // error packets: the first bytes of the offending header
  ack = 16,            // message segments received: see docs/protocol.md
  ports = 18,          // source port 16, destination (service) port 16 of an L4 segment
  empty = 254,         // means nothing: what a gateway makes of a TLV it takes out
};

enum class ErrorCode : std::uint16_t {
  no_route = 1,
  no_instance = 2,
  not_allowed = 3,
  hop_limit = 4,
  too_big = 5,
  congestion = 6,
  deadline = 7,
  egress_unreachable = 8,
  malformed = 9,
  unknown_tlv = 10,
  unsupported = 11,
  pod_refused = 12,
  internal = 13,
  draining = 14,
  unknown_key = 15,
};
const char* to_string(ErrorCode code);

// A checked, non-owning view of one service packet in its receive buffer. parse() checks version,
// lengths and every TLV's bounds once; getters then never fail.
class ServicePacket {
 public:
  // `datagram` must outlive the view and hold exactly one packet. Errors: truncated, invalid, and
  // unsupported for another version, an unknown kind or an unknown critical TLV; the message says
  // which field at which byte.
  static Result<ServicePacket> parse(std::span<std::uint8_t> datagram);
  // As parse(), but lets unknown critical TLVs pass: only to answer with ErrorCode::unknown_tlv.
  static Result<ServicePacket> parse_for_error(std::span<std::uint8_t> datagram);

  PacketKind kind() const { return static_cast<PacketKind>(data_[0] & 15); }
  std::uint8_t flags() const { return data_[1]; }
  std::uint8_t hop_limit() const { return data_[2]; }
  std::uint8_t traffic_class() const { return data_[3]; }
  PayloadProtocol payload_protocol() const { return static_cast<PayloadProtocol>(data_[5]); }
  PathLabel label() const { return PathLabel{u32(8)}; }
  std::uint32_t exchange() const { return u32(12); }
  std::uint64_t flow() const { return load<std::uint64_t>(16); }
  NodeId egress() const { return NodeId{u32(24)}; }
  NodeId ingress() const { return NodeId{u32(28)}; }
  std::uint8_t hop_key_id() const { return data_[32]; }
  std::uint8_t hop_worker() const { return data_[33]; }
  std::uint64_t hop_counter() const { return load<std::uint64_t>(32) & kCounterMask; }
  std::uint64_t hop_tag() const { return load<std::uint64_t>(40); }

  std::size_t header_size() const { return std::size_t{data_[4]} * 4; }
  std::span<std::uint8_t> datagram() const { return data_; }
  std::span<std::uint8_t> payload() const { return data_.subspan(header_size()); }
  // Value of the first TLV of that type, if present.
  std::optional<ByteView> tlv(HeaderTlv type) const;
  // Text of the name TLVs; empty if absent. Not re-validated as a Name.
  std::string_view destination() const;
  std::string_view source() const;
  InstanceId instance() const;
  InstanceId source_instance() const;

  // What a hop may rewrite in place.
  void set_flags(std::uint8_t flags) { data_[1] = flags; }
  void set_hop_limit(std::uint8_t v) { data_[2] = v; }
  void set_hop_block(std::uint8_t key_id, std::uint8_t worker, std::uint64_t counter,
                     std::uint64_t tag) {
    store(32, std::uint64_t{key_id} << 56 | std::uint64_t{worker} << 48 | (counter & kCounterMask));
    store(40, tag);
  }
  // Only the ingress gateway, or a hop that hands an egress-0 packet to its own pods, sets these.
  void set_label(PathLabel label);
  void set_egress(NodeId node);
  // Only the gateway where an error ends that cannot be sure who reports it.
  void set_ingress(NodeId node);
  // What the egress does when it has opened a seal: the payload loses its last `bytes` (at most its
  // size) and the datagram ends there.
  void drop_tail(std::size_t bytes);
  // The caller is anonymous from now on: the source name's TLV means nothing any more.
  void forget_source();
  // Writes `node` into the first empty slot of the record TLV; false if there is none.
  bool record_hop(NodeId node);
  std::vector<NodeId> recorded_hops() const;
  // The bytes the hop tag covers: header and TLVs with the tag field itself left out.
  Bytes hop_tag_input() const;
  // The same into `out` without allocation; returns the number of bytes written.
  using HopTagInput = std::array<std::uint8_t, kServiceHeaderMax>;
  std::size_t hop_tag_input(HopTagInput& out) const;

 private:
  static constexpr std::size_t kKnownTypes = 20;
  enum class Unknown { refuse, accept };
  static Result<ServicePacket> parse(std::span<std::uint8_t> datagram, Unknown unknown);
  Status index_tlvs(Unknown unknown);
  static constexpr std::uint64_t kCounterMask = 0xffff'ffff'ffff;
  // Big-endian numbers of the fixed part, which parse() has seen to be there. In the header, because a forwarder
  // reads a dozen of them for each packet.
  static std::uint32_t swapped(std::uint32_t v) { return __builtin_bswap32(v); }
  static std::uint64_t swapped(std::uint64_t v) { return __builtin_bswap64(v); }
  template <class Number>
  Number load(std::size_t at) const {
    Number v;
    std::memcpy(&v, data_.data() + at, sizeof v);
    return std::endian::native == std::endian::little ? swapped(v) : v;
  }
  void store(std::size_t at, std::uint64_t v) {
    if constexpr (std::endian::native == std::endian::little) v = swapped(v);
    std::memcpy(data_.data() + at, &v, sizeof v);
  }
  std::uint32_t u32(std::size_t at) const { return load<std::uint32_t>(at); }
  InstanceId instance_of(HeaderTlv type) const;
  std::span<std::uint8_t> data_;
  // Where the TLV of each known type starts; 0 = absent.
  std::array<std::uint16_t, kKnownTypes> tlv_at_{};
};

// What a source puts into a packet. Fields left at their default are absent or zero.
struct ServicePacketSpec {
  PacketKind kind = PacketKind::request;
  std::uint8_t flags = 0;
  std::uint8_t hop_limit = kDefaultHopLimit;
  std::uint8_t traffic_class = 0;
  PayloadProtocol protocol = PayloadProtocol::none;
  PathLabel label;
  std::uint32_t exchange = 0;
  std::uint64_t flow = 0;
  NodeId egress, ingress;
  std::string_view destination, source;
  InstanceId instance, source_instance;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> offset_total;
  std::optional<std::uint32_t> deadline_ms;
  std::optional<std::pair<ErrorCode, std::string_view>> error;
  std::optional<std::pair<std::uint16_t, std::uint16_t>> ports;
  ByteView timestamps, quote, ack, trace_context;
  // The record TLV: node ids already in it (4 bytes each), then so many empty slots; kFlagTrace is
  // the caller's to set. Together at most kMaxRecordSlots.
  ByteView recorded;
  std::uint8_t record_slots = 0;
};
inline constexpr std::size_t kMaxRecordSlots = 63;
// Header with TLVs, then the payload. The error says which field is over its bound: header over
// kServiceHeaderMax, payload over 65,535 bytes, a TLV over 255, a node id over kMaxNodeId.
Result<Bytes> build_service_packet(const ServicePacketSpec& spec, ByteView payload);

// The reverse of a packet (DESIGN 6: "a response is an ordinary packet"): egress and ingress, names
// and instances and ports swapped, flow, exchange, class and trace context copied, kFlagReply set,
// hop limit fresh, no label. A traced packet's reply carries the hops so far and as many empty
// slots for the way back (within kMaxRecordSlots). `kind` and payload are the caller's, and so is
// `ingress` when another node than the packet's egress answers (transit errors, packets with egress
// 0). Views into `packet` stay referenced until built.
ServicePacketSpec reply_spec(const ServicePacket& packet, PacketKind kind);

}  // namespace dmsc::wire
