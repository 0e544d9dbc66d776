#include "sgd/edge_netns.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "sgd/edge_offload.hpp"

namespace dmsc::sgd {
namespace {

sockaddr_in socket_address(Ipv4 address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(address.value);
  return out;
}

std::string place(L4 protocol, Ipv4 address, std::uint16_t port) {
  return std::string(to_string(protocol)) + " " + to_string(address) + ":" + std::to_string(port);
}

Result<Fd> make_socket(L4 protocol, int family = AF_INET) {
  int type = protocol == L4::tcp ? SOCK_STREAM : SOCK_DGRAM;
  Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return system_error("socket");
  return fd;
}

}  // namespace

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Error system_error(const std::string& text) {
  int code = errno;
  Errc kind = code == EACCES || code == EPERM                        ? Errc::denied
              : code == ENOENT || code == ENODEV                     ? Errc::not_found
              : code == EEXIST || code == EBUSY || code == EADDRINUSE ? Errc::exists
                                                                     : Errc::internal;
  return make_error(kind, text, ": ", std::strerror(code));
}

Status enter_namespace(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error("open namespace " + path);
  if (::setns(fd.get(), CLONE_NEWNET) != 0) return system_error("enter namespace " + path);
  return Ok{};
}

Status in_namespace(const std::string& path, const std::function<Status()>& work) {
  if (path.empty()) return work();
  Status status = Ok{};
  std::thread thread([&] {
    status = enter_namespace(path);
    if (status) status = work();
  });
  thread.join();
  return status;
}

std::pair<std::uint64_t, std::uint64_t> namespace_identity(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {0, 0};
  return {info.st_dev, info.st_ino};
}

Result<Fd> open_tun(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return make_error(Errc::invalid, "TUN name '", name, "' is not 1-15 bytes");
  }
  Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return system_error("open /dev/net/tun");
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return system_error("make TUN " + name);
  int header = kVnetBytes;
  if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &header) != 0) return system_error("set up TUN " + name);
  return fd;
}

TunOffloads set_tun_offloads(int tun, TunOffloads wanted) {
  // Both families at a time, and new with Linux 6.2: older headers do not name them.
  constexpr unsigned long kUso = 0x20 | 0x40, kTso = TUN_F_TSO4 | TUN_F_TSO6;
  for (bool udp : {wanted.udp, false}) {
    const unsigned long flags = (wanted.tcp ? kTso : 0) | (udp ? kUso : 0);
    const bool any = flags != 0;
    if (::ioctl(tun, TUNSETOFFLOAD, any ? flags | TUN_F_CSUM : 0) == 0) return {wanted.tcp, udp};
  }
  return {false, false};
}

Result<Fd> bind_socket(L4 protocol, const ServerAddress& where) {
  auto fd = make_socket(protocol, where.v6 ? AF_INET6 : AF_INET);
  if (!fd) return fd;
  int on = 1;
  if (protocol == L4::tcp) ::setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in four = socket_address(where.v4, where.port);
  sockaddr_in6 six{};
  if (where.v6) {
    ::setsockopt(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);  // each family for itself
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(where.port);
    std::memcpy(&six.sin6_addr, where.v6->data(), where.v6->size());
  }
  const auto* address = where.v6 ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four);
  if (::bind(fd->get(), address, where.v6 ? sizeof six : sizeof four) != 0 ||
      (protocol == L4::tcp && ::listen(fd->get(), 128) != 0)) {
    return system_error("listen on " + to_string(where) + "/" + to_string(protocol));
  }
  return fd;
}

Result<Fd> connect_socket(L4 protocol, Ipv4 address, std::uint16_t port) {
  auto fd = make_socket(protocol);
  if (!fd) return fd;
  sockaddr_in where = socket_address(address, port);
  if (::connect(fd->get(), reinterpret_cast<sockaddr*>(&where), sizeof where) != 0 &&
      errno != EINPROGRESS) {
    return system_error("connect to " + place(protocol, address, port));
  }
  return fd;
}

}  // namespace dmsc::sgd
