// IPv4 addresses and networks as plain numbers in host order, and the two transports we carry.
#pragma once
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "dmsc/core/result.hpp"

namespace dmsc::sgd {

struct Ipv4 {
  std::uint32_t value = 0;  // host byte order
  friend constexpr auto operator<=>(Ipv4, Ipv4) = default;
  constexpr explicit operator bool() const { return value != 0; }
  constexpr bool is_loopback() const { return value >> 24 == 127; }
  // 224.0.0.0/4 and the limited broadcast: never a destination we serve.
  constexpr bool is_multicast_or_broadcast() const { return value >= 0xe0000000U; }
};

struct Ipv4Net {
  Ipv4 address;             // as written: host bits are kept
  std::uint8_t length = 32; // 0 .. 32
  friend constexpr auto operator<=>(const Ipv4Net&, const Ipv4Net&) = default;
  constexpr std::uint32_t mask() const { return length == 0 ? 0 : ~0U << (32 - length); }
  constexpr Ipv4 network() const { return {address.value & mask()}; }
  constexpr Ipv4 last() const { return {address.value | ~mask()}; }
  constexpr bool contains(Ipv4 a) const { return (a.value & mask()) == (address.value & mask()); }
  // Number of addresses; 2^32 fits.
  constexpr std::uint64_t size() const { return std::uint64_t{1} << (32 - length); }
};

enum class L4 : std::uint8_t { tcp = 6, udp = 17 };
const char* to_string(L4 protocol);
Result<L4> parse_l4(std::string_view text);

// Dotted quad, strict: four decimal numbers 0-255 without leading zeros.
Result<Ipv4> parse_ipv4(std::string_view text);
// "address/length".
Result<Ipv4Net> parse_ipv4_net(std::string_view text);
// "address:port", port 1-65535.
Result<std::pair<Ipv4, std::uint16_t>> parse_ipv4_port(std::string_view text);
std::string to_string(Ipv4 address);
std::string to_string(const Ipv4Net& net);

}  // namespace dmsc::sgd

template <>
struct std::hash<dmsc::sgd::Ipv4> {
  std::size_t operator()(dmsc::sgd::Ipv4 a) const noexcept {
    return std::hash<std::uint32_t>{}(a.value);
  }
};
