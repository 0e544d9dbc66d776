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

constexpr std::uint16_t kPort = 7401;

// RFC 4727: for experiments. Of 224.0.0.0/24, which no router forwards and no switch prunes.
sockaddr_in group() {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(kPort);
  out.sin_addr.s_addr = htonl(0xe00000fe);  // 224.0.0.254
  return out;
}

template <class T>
bool set(int fd, int level, int name, const T& value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

bool configure(int fd, const std::string& interface, int index, const in_addr& local) {
  constexpr int kOn = 1, kOff = 0, kHops = 255, kPriority = 6, kCs6 = 0xc0;
  ip_mreqn membership{};
  membership.imr_multiaddr = group().sin_addr;
  membership.imr_address = local;
  membership.imr_ifindex = index;
  (void)set(fd, SOL_SOCKET, SO_PRIORITY, kPriority);
  (void)set(fd, IPPROTO_IP, IP_TOS, kCs6);
  // Without the right to bind to a device IP_MULTICAST_ALL off does: only what was joined here is heard.
  (void)::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                     static_cast<socklen_t>(interface.size()));
  // Several finders of one host share the port: each has its own interface.
  return set(fd, SOL_SOCKET, SO_REUSEADDR, kOn) && set(fd, IPPROTO_IP, IP_MULTICAST_ALL, kOff) &&
         set(fd, IPPROTO_IP, IP_RECVTTL, kOn) && set(fd, IPPROTO_IP, IP_MULTICAST_TTL, kHops) &&
         set(fd, IPPROTO_IP, IP_MULTICAST_IF, membership) &&
         set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership);
}

}  // namespace

SocketAddress interface_address(const std::string& interface) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  SocketAddress out;
  for (const ifaddrs* at = all; at != nullptr && !out.valid(); at = at->ifa_next) {
    bool here = at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_INET && interface == at->ifa_name;
    if (here) out = SocketAddress::from_sockaddr(at->ifa_addr, sizeof(sockaddr_in));
  }
  ::freeifaddrs(all);
  return out;
}

Result<UniqueFd> open_multicast(const std::string& interface, int index, const SocketAddress& local) {
  if (local.family() != AF_INET) {
    return make_error(Errc::unsupported, "discovery on ", interface, ": only over IPv4");
  }
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  in_addr address = reinterpret_cast<const sockaddr_in*>(local.data())->sin_addr;
  sockaddr_in to = group();
  bool good = fd && configure(fd.get(), interface, index, address) &&
              ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
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
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_TTL) continue;
    int hops = 0;
    std::memcpy(&hops, CMSG_DATA(c), sizeof hops);
    out.hops = static_cast<unsigned>(hops);
  }
  return out;
}

void send_multicast(int fd, ByteView datagram) {
  sockaddr_in to = group();
  (void)::sendto(fd, datagram.data(), datagram.size(), MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

}  // namespace dmsc::node
