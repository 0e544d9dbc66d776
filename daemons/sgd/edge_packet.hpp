// IPv4, TCP, UDP and ICMP as bytes: parse, rewrite, make answers. Pure functions over buffers; RFC
// 791, 9293, 768, 792, 1122, 1624 (incremental checksums), 1812 (ICMP by routers).
//
// In the service network an L4 segment travels with its checksum taken over a pseudo-header whose
// two addresses are zero ("neutral", docs/protocol.md "L4 segments"): the ingress takes its own
// addresses out and the egress puts its own in, both incrementally, so what was corrupted between
// them still fails the receiving kernel's check.
#pragma once
#include <array>
#include <optional>
#include <span>

#include "dmsc/core/bytes.hpp"
#include "sgd/edge_address.hpp"

namespace dmsc::sgd {

inline constexpr std::size_t kIpHeaderBytes = 20;   // what we emit: no options
inline constexpr std::uint8_t kProtoIcmp = 1;
inline constexpr std::uint8_t kProtoTcp = 6;
inline constexpr std::uint8_t kProtoUdp = 17;
inline constexpr std::uint8_t kTcpFin = 1, kTcpSyn = 2, kTcpRst = 4, kTcpAck = 16;

// RFC 1071 sum without the final complement; `sum` carries on from earlier parts of even length.
std::uint32_t checksum_add(ByteView data, std::uint32_t sum = 0);
std::uint16_t checksum_finish(std::uint32_t sum);
// RFC 1624 equation 3: the checksum after a 16-bit (32-bit) word went from `from` to `to`.
std::uint16_t checksum_update(std::uint16_t checksum, std::uint16_t from, std::uint16_t to);
std::uint16_t checksum_update32(std::uint16_t checksum, std::uint32_t from, std::uint32_t to);

// A parsed IPv4 packet. `l4` is the payload by total length; trailing bytes of the buffer are cut.
struct Ip4Packet {
  Ipv4 source, destination;
  std::uint8_t protocol = 0, ttl = 0, tos = 0;
  std::uint16_t id = 0;
  bool dont_fragment = false, more_fragments = false;
  std::uint16_t fragment_offset = 0;  // bytes
  std::span<std::uint8_t> header, l4;
  bool is_fragment() const { return more_fragments || fragment_offset != 0; }
};
// Checks version, header length, total length and header checksum. nullopt = malformed.
std::optional<Ip4Packet> parse_ip4(std::span<std::uint8_t> packet);

struct Ip4Fields {
  Ipv4 source, destination;
  std::uint8_t protocol = 0, ttl = 64, tos = 0;
  std::uint16_t id = 0;
  bool dont_fragment = true;
};
// A header of kIpHeaderBytes for `payload` bytes (at most 65,515), checksum filled.
std::array<std::uint8_t, kIpHeaderBytes> make_ip4_header(const Ip4Fields& fields,
                                                         std::size_t payload);
// TTL less one with the header checksum kept right; false (untouched) if it is 1 or 0.
bool decrement_ttl(std::span<std::uint8_t> header);

// Ports and flags of a TCP or UDP segment. nullopt if the header is cut short or lies about lengths.
struct Segment {
  L4 protocol = L4::tcp;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t tcp_flags = 0;
  std::size_t header_bytes = 0;
  std::uint32_t sequence = 0, acknowledgement = 0;
  std::uint16_t window = 0;
};
std::optional<Segment> parse_segment(std::uint8_t protocol, ByteView l4);

// True if the checksum is right for these addresses (UDP: or absent). Zero addresses = neutral.
bool segment_checksum_ok(std::uint8_t protocol, ByteView l4, Ipv4 source, Ipv4 destination);
void fill_segment_checksum(std::uint8_t protocol, std::span<std::uint8_t> l4, Ipv4 source,
                           Ipv4 destination);
// The addresses of the pseudo-header change; incremental. An absent UDP checksum stays absent.
void readdress_checksum(std::uint8_t protocol, std::span<std::uint8_t> l4, Ipv4 old_source,
                        Ipv4 old_destination, Ipv4 new_source, Ipv4 new_destination);
enum class PortField : std::uint8_t { source = 0, destination = 2 };
// Writes a port, checksum kept right.
void set_port(std::uint8_t protocol, std::span<std::uint8_t> l4, PortField field,
              std::uint16_t port);
// On a SYN lowers an MSS option above `mss` (checksum kept right); true if it did. A SYN without the
// option already stands for 536 (RFC 9293 3.7.1) and is left alone. Malformed options end the scan.
bool clamp_mss(std::span<std::uint8_t> tcp, std::uint16_t mss);
// The MSS for segments of at most `l4` bytes, header included; never below 88 (the least that Linux
// takes), so that a tiny path still connects and is told by ICMP.
std::uint16_t mss_for(std::size_t l4);

// ---- answers: whole IP packets -----------------------------------------------------------------
namespace icmp {
inline constexpr std::uint8_t kUnreachable = 3, kTimeExceeded = 11, kEcho = 8, kEchoReply = 0;
inline constexpr std::uint8_t kHost = 1, kProtocol = 2, kPort = 3, kFragmentationNeeded = 4,
                              kAdminProhibited = 13;
}  // namespace icmp
// RFC 1122 3.2.2, RFC 1812 4.3.2.7: never about an ICMP error, a later fragment, multicast or a
// source that is no host.
bool may_answer_with_icmp(const Ip4Packet& offending);
// From `self` to the offender's source, quoting its header and as much as fits 576 bytes. `mtu` only
// for kFragmentationNeeded. The caller has asked may_answer_with_icmp().
Bytes make_icmp_error(const Ip4Packet& offending, Ipv4 self, std::uint8_t type, std::uint8_t code,
                      std::uint16_t mtu = 0);
// The RST that answers a segment (RFC 9293 3.10.7.1), as a bare TCP header with ports swapped and a
// checksum for source `from` and destination `to`; nullopt for a RST.
std::optional<Bytes> make_rst(ByteView tcp, Ipv4 from, Ipv4 to);
// What an ICMP error quotes: the addresses and ports of our own packet. nullopt if too short.
struct Quoted {
  std::uint8_t type = 0, code = 0, protocol = 0;
  std::uint16_t mtu = 0;
  Ipv4 source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
};
std::optional<Quoted> parse_icmp_error(ByteView icmp_message);

}  // namespace dmsc::sgd
