#include "dmsc/node/multicast_socket.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace dmsc::node {
namespace {

using dataplane::SocketAddress;
using dataplane::UniqueFd;

constexpr int kOn = 1, kOff = 0, kHops = 255, kPriority = 6, kCs6 = 0xc0;

// RFC 4727: for experiments. Of 224.0.0.0/24, which no router forwards and no switch prunes, and of
// link-local scope. A link-local group is one of an interface.
SocketAddress group(int family, int index) {
  static const SocketAddress v4 = *SocketAddress::parse("224.0.0.254", 7401);
  static const SocketAddress v6 = *SocketAddress::parse("ff02::114", 7401);
  if (family == AF_INET) return v4;
  sockaddr_in6 scoped = *reinterpret_cast<const sockaddr_in6*>(v6.data());
  scoped.sin6_scope_id = static_cast<std::uint32_t>(index);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&scoped), sizeof scoped);
}

template <class T>
bool set(int fd, int level, int name, const T& value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

bool join_v4(int fd, int index, const SocketAddress& local) {
  ip_mreqn membership{};
  membership.imr_multiaddr = reinterpret_cast<const sockaddr_in*>(group(AF_INET, index).data())->sin_addr;
  membership.imr_address = reinterpret_cast<const sockaddr_in*>(local.data())->sin_addr;
  membership.imr_ifindex = index;
  (void)set(fd, IPPROTO_IP, IP_TOS, kCs6);
  return set(fd, IPPROTO_IP, IP_MULTICAST_ALL, kOff) && set(fd, IPPROTO_IP, IP_RECVTTL, kOn) &&
         set(fd, IPPROTO_IP, IP_MULTICAST_TTL, kHops) &&
         set(fd, IPPROTO_IP, IP_MULTICAST_IF, membership) &&
         set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership);
}

bool join_v6(int fd, int index) {
  const SocketAddress to = group(AF_INET6, index);
  ipv6_mreq membership{};
  membership.ipv6mr_multiaddr = reinterpret_cast<const sockaddr_in6*>(to.data())->sin6_addr;
  membership.ipv6mr_interface = static_cast<unsigned>(index);
  (void)set(fd, IPPROTO_IPV6, IPV6_TCLASS, kCs6);
  return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, kOn) && set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, kOff) &&
         set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, kOn) &&
         set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, kHops) &&
         set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index) &&
         set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, membership);
}

bool configure(int fd, const std::string& interface, int index, const SocketAddress& local) {
  (void)set(fd, SOL_SOCKET, SO_PRIORITY, kPriority);
  // Without the right to bind to a device MULTICAST_ALL off does: only what was joined here is heard.
  (void)::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                     static_cast<socklen_t>(interface.size()));
  // Several finders of one host share the port: each has its own interface.
  if (!set(fd, SOL_SOCKET, SO_REUSEADDR, kOn)) return false;
  return local.family() == AF_INET ? join_v4(fd, index, local) : join_v6(fd, index);
}

// An address that is still tentative (RFC 4862) is listed, but nothing can be bound to it.
bool usable(const SocketAddress& address) {
  UniqueFd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd && ::bind(fd.get(), address.data(), address.size()) == 0;
}

bool is_link_local(const sockaddr* address) {
  return IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

unsigned hops_of(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL;
    bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT;
    if (!v4 && !v6) continue;
    int hops = 0;
    std::memcpy(&hops, CMSG_DATA(c), sizeof hops);
    return static_cast<unsigned>(hops);
  }
  return 0;
}

}  // namespace

SocketAddress interface_address(const std::string& interface, bool ipv6) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  SocketAddress out;
  for (const ifaddrs* at = all; at != nullptr && !out.valid(); at = at->ifa_next) {
    if (at->ifa_addr == nullptr || interface != at->ifa_name) continue;
    if (!ipv6 && at->ifa_addr->sa_family == AF_INET) {
      out = SocketAddress::from_sockaddr(at->ifa_addr, sizeof(sockaddr_in));
    } else if (ipv6 && at->ifa_addr->sa_family == AF_INET6 && is_link_local(at->ifa_addr)) {
      SocketAddress found = SocketAddress::from_sockaddr(at->ifa_addr, sizeof(sockaddr_in6)).with_port(0);
      if (usable(found)) out = found;
    }
  }
  ::freeifaddrs(all);
  return out;
}

Result<UniqueFd> open_multicast(const std::string& interface, int index, const SocketAddress& local) {
  UniqueFd fd(::socket(local.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const SocketAddress to = group(local.family(), index);
  bool good = fd && configure(fd.get(), interface, index, local) &&
              ::bind(fd.get(), to.data(), to.size()) == 0;
  if (good) return fd;
  return make_error(Errc::unavailable, "discovery on ", interface, ": ", std::strerror(errno));
}

std::optional<MulticastDatagram> receive_multicast(int fd, std::uint8_t* buffer, std::size_t size) {
  sockaddr_storage from{};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{buffer, size};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = ::recvmsg(fd, &message, MSG_DONTWAIT);
  if (n < 0) return std::nullopt;
  MulticastDatagram out;
  out.source = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&from), message.msg_namelen);
  out.size = static_cast<std::size_t>(n);
  out.hops = hops_of(message);
  return out;
}

void send_multicast(int fd, int index, const SocketAddress& local, ByteView datagram) {
  const SocketAddress to = group(local.family(), index);
  iovec part{const_cast<std::uint8_t*>(datagram.data()), datagram.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to.data());
  message.msg_namelen = to.size();
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  // Of several IPv6 addresses the kernel would take one; the announcement names this one.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
  if (local.family() == AF_INET6) {
    in6_pktinfo from{};
    from.ipi6_addr = reinterpret_cast<const sockaddr_in6*>(local.data())->sin6_addr;
    from.ipi6_ifindex = static_cast<unsigned>(index);
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof from);
    std::memcpy(CMSG_DATA(c), &from, sizeof from);
  }
  (void)::sendmsg(fd, &message, MSG_DONTWAIT);
}

}  // namespace dmsc::node
