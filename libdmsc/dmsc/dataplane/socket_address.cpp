#include "dmsc/dataplane/socket_address.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <charconv>
#include <cstring>

namespace dmsc::dataplane {
namespace {

struct Split {
  std::string host;
  std::string_view port;
  bool has_port = false;
};

Result<Split> split(std::string_view text) {
  Split out;
  if (!text.empty() && text.front() == '[') {
    auto close = text.find(']');
    if (close == std::string_view::npos) {
      return make_error(Errc::invalid, "address '", std::string(text), "': no closing bracket");
    }
    out.host = text.substr(1, close - 1);
    std::string_view rest = text.substr(close + 1);
    if (rest.empty()) return out;
    if (rest.front() != ':') {
      return make_error(Errc::invalid, "address '", std::string(text), "': ':' expected after ']'");
    }
    out.port = rest.substr(1);
    out.has_port = true;
    return out;
  }
  auto colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
    out.host = text;  // no port, or a bare IPv6 address
    return out;
  }
  out.host = text.substr(0, colon);
  out.port = text.substr(colon + 1);
  out.has_port = true;
  return out;
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view whole) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > 65535) {
    return make_error(Errc::invalid, "address '", std::string(whole), "': port must be 1-65535");
  }
  return static_cast<std::uint16_t>(value);
}

}  // namespace

Result<SocketAddress> SocketAddress::parse(std::string_view text, std::uint16_t default_port) {
  auto parts = split(text);
  if (!parts) return parts.error();
  std::uint16_t port = default_port;
  if (parts->has_port) {
    auto parsed = parse_port(parts->port, text);
    if (!parsed) return parsed.error();
    port = *parsed;
  }
  SocketAddress out;
  if (inet_pton(AF_INET, parts->host.c_str(), &out.address_.v4.sin_addr) == 1) {
    out.address_.v4.sin_family = AF_INET;
    out.address_.v4.sin_port = htons(port);
    return out;
  }
  std::string host = parts->host;
  unsigned scope = 0;
  if (auto percent = host.find('%'); percent != std::string::npos) {
    scope = if_nametoindex(host.c_str() + percent + 1);
    if (scope == 0) {
      return make_error(Errc::invalid, "address '", std::string(text), "': no such interface");
    }
    host.resize(percent);
  }
  if (inet_pton(AF_INET6, host.c_str(), &out.address_.v6.sin6_addr) == 1) {
    out.address_.v6.sin6_family = AF_INET6;
    out.address_.v6.sin6_port = htons(port);
    out.address_.v6.sin6_scope_id = scope;
    return out;
  }
  return make_error(Errc::invalid, "address '", std::string(text),
                    "': not a numeric IPv4 or IPv6 address");
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address, socklen_t size) {
  SocketAddress out;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    std::memcpy(&out.address_.v4, address, sizeof(sockaddr_in));
  } else if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    std::memcpy(&out.address_.v6, address, sizeof(sockaddr_in6));
  }
  return out;
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(address_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(address_.v6.sin6_port);
  return 0;
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress out = *this;
  if (family() == AF_INET) out.address_.v4.sin_port = htons(port);
  if (family() == AF_INET6) out.address_.v6.sin6_port = htons(port);
  return out;
}

bool SocketAddress::same_address(const SocketAddress& other) const {
  if (family() != other.family()) return false;
  if (family() == AF_INET) {
    return address_.v4.sin_addr.s_addr == other.address_.v4.sin_addr.s_addr;
  }
  if (family() == AF_INET6) {
    return std::memcmp(&address_.v6.sin6_addr, &other.address_.v6.sin6_addr, 16) == 0 &&
           address_.v6.sin6_scope_id == other.address_.v6.sin6_scope_id;
  }
  return true;
}

std::string SocketAddress::address_text() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) inet_ntop(AF_INET, &address_.v4.sin_addr, text, sizeof text);
  if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &address_.v6.sin6_addr, text, sizeof text);
    char interface[IF_NAMESIZE];
    if (address_.v6.sin6_scope_id != 0 &&
        if_indextoname(address_.v6.sin6_scope_id, interface) != nullptr) {
      return std::string(text) + "%" + interface;
    }
  }
  return text;
}

std::string SocketAddress::text() const {
  if (!valid()) return "unset";
  std::string host = address_text();
  if (family() == AF_INET6) host = "[" + host + "]";
  return host + ":" + std::to_string(port());
}

socklen_t SocketAddress::size() const {
  if (family() == AF_INET) return sizeof(sockaddr_in);
  if (family() == AF_INET6) return sizeof(sockaddr_in6);
  return 0;
}

std::array<std::uint64_t, 2> SocketAddress::words() const {
  std::array<std::uint64_t, 2> out{};
  if (family() == AF_INET) out[0] = address_.v4.sin_addr.s_addr;
  if (family() == AF_INET6) std::memcpy(out.data(), &address_.v6.sin6_addr, sizeof out);
  return out;
}

}  // namespace dmsc::dataplane
