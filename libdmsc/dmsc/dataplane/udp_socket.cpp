#include "dmsc/dataplane/udp_socket.hpp"

#include <netinet/ip.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace dmsc::dataplane {
namespace {

void set_int(int fd, int level, int name, int value) {
  // Best effort: every option set this way is an improvement, none is needed for correctness.
  (void)setsockopt(fd, level, name, &value, sizeof value);
}

void set_options(int fd, int family, const UdpOptions& options) {
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &options.buffer_bytes, sizeof(int)) != 0) {
    set_int(fd, SOL_SOCKET, SO_RCVBUF, options.buffer_bytes);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &options.buffer_bytes, sizeof(int)) != 0) {
    set_int(fd, SOL_SOCKET, SO_SNDBUF, options.buffer_bytes);
  }
  bool v4 = family == AF_INET;
  // PROBE: set "don't fragment" and ignore path MTU news, which anybody may forge.
  if (v4) {
    set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  } else {
    set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  if (options.trains) set_int(fd, IPPROTO_UDP, UDP_GRO, 1);
  if (options.share_port) set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (options.high_priority) {
    constexpr int kCs6 = 0xc0;
    if (v4) {
      set_int(fd, IPPROTO_IP, IP_TOS, kCs6);
    } else {
      set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, kCs6);
    }
    set_int(fd, SOL_SOCKET, SO_PRIORITY, 6);  // last: IP_TOS sets it too, to best effort for CS6
  }
  if (!options.interface.empty()) {
    (void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options.interface.c_str(),
                     static_cast<socklen_t>(options.interface.size()));
  }
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}
int UniqueFd::release() { return std::exchange(fd_, -1); }
void UniqueFd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<UniqueFd> open_udp(const SocketAddress& local, const UdpOptions& options) {
  UniqueFd fd(::socket(local.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    return make_error(Errc::internal, "UDP socket for ", local.text(), ": ", std::strerror(errno));
  }
  set_options(fd.get(), local.family(), options);
  int result = ::bind(fd.get(), local.data(), local.size());
  if (result != 0 && errno == EADDRINUSE && options.any_port_if_taken) {
    SocketAddress any = local.with_port(0);
    result = ::bind(fd.get(), any.data(), any.size());
  }
  if (result != 0) {
    return make_error(errno == EADDRINUSE ? Errc::exists : Errc::unavailable, "cannot bind UDP ",
                      local.text(), ": ", std::strerror(errno));
  }
  return fd;
}

Result<UniqueFd> open_beside(int shared, const SocketAddress& peer, UdpOptions options) {
  auto local = local_address(shared);
  if (!local) return local.error();
  // Of the same user only (SO_REUSEPORT), and not before `shared` had its port to itself: no other program gets in.
  set_int(shared, SOL_SOCKET, SO_REUSEPORT, 1);
  options.share_port = true;
  options.any_port_if_taken = false;
  auto fd = open_udp(*local, options);
  if (!fd) return fd.error();
  if (::connect(fd->get(), peer.data(), peer.size()) != 0) {
    return make_error(Errc::unavailable, "cannot connect UDP ", local->text(), " to ", peer.text(), ": ",
                      std::strerror(errno));
  }
  return fd;
}

bool receive_trains(int fd, bool on) {
  int value = on ? 1 : 0;
  return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &value, sizeof value) == 0;
}

bool is_earlier_error(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EMSGSIZE ||
         error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EACCES ||
         error == EPROTO || error == EOPNOTSUPP;
}

Result<SocketAddress> local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return make_error(Errc::internal, "getsockname: ", std::strerror(errno));
  }
  return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
}

}  // namespace dmsc::dataplane
