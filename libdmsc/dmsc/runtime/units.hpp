// Quantities as operators write them. Every number with a dimension needs its unit; every parser
// refuses anything left over and says what it expects.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "dmsc/core/result.hpp"
#include "dmsc/core/time.hpp"

namespace dmsc::runtime {

// "250us", "50ms", "1.5s", "2m", "1h", "7d". At most about 292 years.
Result<Duration> parse_duration(std::string_view text);
// "1Gbit/s", "2.5Mbit/s", "64kbit/s", "9600bit/s": decimal multiples, in bits per second.
Result<std::uint64_t> parse_bit_rate(std::string_view text);
// "5%" -> 0.05; 0% to 100%.
Result<double> parse_percent(std::string_view text);
// "512B", "64KiB", "1MiB", "2GiB"; also decimal "kB", "MB", "GB". In bytes.
Result<std::uint64_t> parse_size(std::string_view text);
// A decimal integer without sign or unit.
Result<std::uint64_t> parse_integer(std::string_view text);
// "true" or "false".
Result<bool> parse_bool(std::string_view text);

// A host name or address and a port. IPv6 addresses with a port stand in brackets.
struct Endpoint {
  std::string host;        // as written, without brackets
  std::uint16_t port = 0;  // 0 = none
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
// "192.0.2.1:7401", "192.0.2.1", "[2001:db8::1]:7401", "2001:db8::1", "spa.example:7410". Without a
// port, `default_port`; if that is 0 the port is required.
Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port);
// Like parse_endpoint, but the host must be a numeric address.
Result<Endpoint> parse_address_endpoint(std::string_view text, std::uint16_t default_port);
std::string to_string(const Endpoint& endpoint);
bool is_numeric_address(const std::string& host);

// An IPv4 network or interface address with its prefix length: "100.64.1.2/30".
struct Ipv4Prefix {
  std::uint32_t address = 0;  // host byte order, host bits kept
  unsigned length = 0;        // 0-32
  std::uint32_t mask() const { return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length); }
  std::uint32_t network() const { return address & mask(); }
  bool contains(std::uint32_t a) const { return (a & mask()) == network(); }
  friend bool operator==(const Ipv4Prefix&, const Ipv4Prefix&) = default;
};
Result<Ipv4Prefix> parse_ipv4_prefix(std::string_view text);
Result<std::uint32_t> parse_ipv4(std::string_view text);
std::string ipv4_text(std::uint32_t address);

// The inverse of the parsers, in the largest unit that keeps the value exact (durations, sizes), or
// with three digits (bit rates).
std::string format_duration(Duration d);
std::string format_bit_rate(std::uint64_t bps);
std::string format_size(std::uint64_t bytes);

}  // namespace dmsc::runtime
