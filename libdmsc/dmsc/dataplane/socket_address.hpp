// A UDP socket address, IPv4 or IPv6, as a value: what the sockets API keeps in a sockaddr.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "dmsc/core/result.hpp"

namespace dmsc::dataplane {

// IPv4 is kept as IPv4 (never mapped). Comparison is by family, address, scope and port.
class SocketAddress {
 public:
  SocketAddress() = default;  // unset: valid() is false
  // "10.0.0.1", "10.0.0.1:7401", "2001:db8::1", "[2001:db8::1]:7401", "[fe80::1%eth0]:7401". Only
  // numeric addresses; `default_port` is used when the text has none.
  static Result<SocketAddress> parse(std::string_view text, std::uint16_t default_port);
  static SocketAddress from_sockaddr(const sockaddr* address, socklen_t size);

  bool valid() const { return address_.any.ss_family != AF_UNSPEC; }
  int family() const { return address_.any.ss_family; }
  std::uint16_t port() const;
  SocketAddress with_port(std::uint16_t port) const;
  bool same_address(const SocketAddress& other) const;  // port ignored
  std::array<std::uint64_t, 2> words() const;           // of the address alone, for hashing
  std::string text() const;          // with the port
  std::string address_text() const;  // without
  const sockaddr* data() const { return &address_.base; }
  socklen_t size() const;
  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return a.same_address(b) && a.port() == b.port();
  }

 private:
  union Storage {
    Storage() : any{} {}
    sockaddr base;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_storage any;
  } address_;
};

}  // namespace dmsc::dataplane
