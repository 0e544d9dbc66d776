// IPv6 in front of the edge: stateless translation (RFC 7915) between IPv6 packets of programs and
// the IPv4 ones that EdgePath works on. Both families share one table of virtual addresses: a /96
// holds every IPv4 address in its last 32 bits (RFC 6052). The prefix is neutral to checksums: its
// words sum to zero in one's complement, so TCP and UDP segments pass unchanged, and a program of
// one family talks to a server of the other. Pure functions over buffers.
#pragma once
#include <array>
#include <map>
#include <optional>
#include <span>

#include "dmsc/core/bytes.hpp"
#include "sgd/edge_address.hpp"
#include "sgd/edge_offload.hpp"

namespace dmsc::sgd {

inline constexpr std::size_t kIp6HeaderBytes = 40;
inline constexpr std::uint8_t kProtoIcmp6 = 58;

using Ipv6 = std::array<std::uint8_t, 16>;
std::string to_string(const Ipv6& address);

// Of a header: 4 bytes at `at`.
Ipv4 ip4_at(ByteView header, std::size_t at);

// 96 bits that stand in front of an IPv4 address.
class Prefix6 {
 public:
  // "ADDRESS/64"; the 32 bits behind it are ours, chosen so that the whole is neutral to checksums.
  // The error names what is wrong: no address, another length, host bits, not unicast.
  static Result<Prefix6> parse(std::string_view text);
  Ipv6 of(Ipv4 address) const;
  // nullopt: the 16 bytes are another prefix's.
  std::optional<Ipv4> inside(ByteView address) const;
  std::string text() const;  // "ADDRESS/96"
  friend bool operator==(const Prefix6&, const Prefix6&) = default;

 private:
  std::array<std::uint8_t, 12> bits_{};
};

// "x.x. ... .ip6.arpa" of 32 nibbles; nullopt for any other name. Lower case.
std::optional<Ipv6> reverse_address6(std::string_view name);

// Which IPv4 address stands for which IPv6 one: those behind the prefix, and for servers at any other
// address an alias in 127.0.0.0/8 with the same sum (RFC 7757), so that no checksum changes either.
class Addresses6 {
 public:
  Addresses6(const Prefix6& prefix) : prefix_(prefix) {}
  const Prefix6& prefix() const { return prefix_; }
  Ipv6 of(Ipv4 address) const;
  // nullopt: the 16 bytes stand for nothing here.
  std::optional<Ipv4> inside(ByteView address) const;
  // What stands for a server's address until it is released as often as taken; nullopt: no alias is left.
  std::optional<Ipv4> take(const Ipv6& address);
  void release(Ipv4 address);

 private:
  struct Alias {
    Ipv6 address{};
    unsigned uses = 0;
  };
  Prefix6 prefix_;
  std::map<Ipv6, Ipv4> aliases_;
  std::map<Ipv4, Alias> by_alias_;
};

// "127.0.0.1:80" or "[::1]:80".
struct ServerAddress {
  Ipv4 v4;
  std::optional<Ipv6> v6;  // then v4 says nothing
  std::uint16_t port = 0;
};
Result<ServerAddress> parse_address_port(std::string_view text);
// The same for an address packets are sent to: IPv6 ones that are no single server's are refused.
Result<ServerAddress> parse_server(std::string_view text);
std::string to_string(const ServerAddress& address);

enum class Ip6Fate : std::uint8_t {
  taken,    // `at` is where an IPv4 packet begins now
  ignored,  // not for us: neighbour discovery, errors, extension headers, other addresses
  malformed,
};
struct Ip6Taken {
  Ip6Fate fate = Ip6Fate::malformed;
  std::size_t at = 0;
};
// `buffer[at...]` is one IPv6 packet between `addresses`: its header is overwritten by an IPv4 one.
Ip6Taken take_ip6(std::span<std::uint8_t> buffer, std::size_t at, const Addresses6& addresses);
// Likewise of "destination unreachable" about a packet that we wrote to a server (RFC 7915 5.2). `buffer` holds
// the whole packet.
Ip6Taken take_error6(std::span<std::uint8_t> buffer, std::size_t at, const Addresses6& addresses);
// The vnet header of a frame so changed, and back.
VnetHeader vnet_of_ip4(VnetHeader of_ip6);
VnetHeader vnet_of_ip6(VnetHeader of_ip4);

// The IPv6 header for an IPv4 one without options.
std::array<std::uint8_t, kIp6HeaderBytes> make_ip6_header(ByteView ip4_header,
                                                          const Addresses6& addresses);
// An ICMP error of ours, whole, as ICMPv6 (RFC 7915 4.2); empty if it has no counterpart.
Bytes icmp_as_icmp6(ByteView ip4_packet, const Addresses6& addresses);

}  // namespace dmsc::sgd
