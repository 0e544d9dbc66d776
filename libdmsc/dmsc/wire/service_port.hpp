// Ports that the instances of a prefix serve, as a Prefix LSA tells them for DNS SRV (RFC 2782):
// TLV 2 of the body, about the entry (TLV 1) before it.
//
//   TLV 2:  n x { protocols 2 bits: 1 TCP, 2 UDP | zero 2 bits | length of the name 4 bits,
//                 service port 16, capacity 16, name }
//
// Nothing depends on it but what DNS answers, so it is never a reason to refuse a prefix: nodes that do
// not know the TLV flood it as it came, and what breaks a rule tells nothing.
#pragma once
#include <string>
#include <vector>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"

namespace dmsc::wire {

inline constexpr std::uint16_t kServicePortsTlv = 2;
inline constexpr std::uint8_t kPortTcp = 1, kPortUdp = 2;
inline constexpr std::size_t kMaxServiceName = 15;  // RFC 6335 5.1
// Of the TLV's value: an entry with the longest name and 128 instances still fits its fragment.
inline constexpr std::size_t kMaxServicePortBytes = 240;
// So many fit whatever their names are.
inline constexpr std::size_t kMaxNamedPorts = kMaxServicePortBytes / (5 + kMaxServiceName);

struct ServicePort {
  std::string name;             // RFC 6335, lower case; empty: the port has no name
  std::uint16_t port = 0;       // service port, 1 .. 65535
  std::uint8_t protocols = 0;   // kPortTcp | kPortUdp, at least one
  std::uint16_t capacity = 0;   // of the instances that serve it, together; 0 = all are draining
  friend auto operator<=>(const ServicePort&, const ServicePort&) = default;
};

// A service name of RFC 6335 5.1 in lower case. The error says what is wrong with it.
Result<std::string> parse_service_name(std::string_view text);
// Sorted, those with a name first; without those that do not fit kMaxServicePortBytes.
void fit_service_ports(std::vector<ServicePort>& ports);
// Bytes of the TLV with its header; 0 without ports.
std::size_t encoded_size(const std::vector<ServicePort>& ports);
void write_service_ports(ByteWriter& out, const std::vector<ServicePort>& ports);
// Empty if `value` breaks a rule: bytes missing or left over, a port or protocol of zero, a name that is
// none, more than kMaxServicePortBytes.
std::vector<ServicePort> read_service_ports(ByteView value);
// "http 80/tcp, 53/udp, 8080": of both protocols if none is named.
std::string to_text(const std::vector<ServicePort>& ports);

}  // namespace dmsc::wire
