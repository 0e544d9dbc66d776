#include "dmsc/node/icmp_watch.hpp"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace dmsc::node {
namespace {

using dataplane::SocketAddress;

constexpr int kAtOnce = 64;  // errors of one socket; what is more waits for the next turn

// Whom an error of the network was about; nothing for other errors.
std::optional<SocketAddress> unreachable(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
    bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
    if (!v4 && !v6) continue;
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(c), sizeof error);
    bool gone = v4 ? error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
                         error.ee_code != ICMP_FRAG_NEEDED
                   : error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMP6_DST_UNREACH;
    if (!gone || message.msg_name == nullptr) return std::nullopt;
    return SocketAddress::from_sockaddr(static_cast<sockaddr*>(message.msg_name), message.msg_namelen);
  }
  return std::nullopt;
}

}  // namespace

IcmpWatch::IcmpWatch(boost::asio::io_context& io, Heard heard) : heard_(std::move(heard)) {
  int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return;
  errors_ = std::make_unique<boost::asio::posix::stream_descriptor>(io, fd);
  wait();
}

IcmpWatch::~IcmpWatch() { *alive_ = false; }

void IcmpWatch::add(int fd, int family) {
  if (!errors_) return;
  int on = 1;
  bool v4 = family == AF_INET;
  if (::setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on) != 0) {
    return;
  }
  epoll_event event{};
  event.events = EPOLLERR;
  event.data.fd = fd;
  (void)::epoll_ctl(errors_->native_handle(), EPOLL_CTL_ADD, fd, &event);
}

void IcmpWatch::wait() {
  errors_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this, alive = alive_](const boost::system::error_code& error) {
                        if (error || !*alive) return;
                        read();
                        if (*alive) wait();
                      });
}

void IcmpWatch::read() {
  std::array<epoll_event, 16> events;
  int n = ::epoll_wait(errors_->native_handle(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < n; ++i) drain(events[static_cast<std::size_t>(i)].data.fd);
}

void IcmpWatch::drain(int fd) {
  for (int i = 0; i < kAtOnce; ++i) {
    sockaddr_storage whom{};
    alignas(cmsghdr) char control[512];
    msghdr message{};
    message.msg_name = &whom;
    message.msg_namelen = sizeof whom;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) break;
    if (auto found = unreachable(message)) heard_(*found);
  }
  // What the queue had no room for is told by the socket itself until somebody asks.
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

}  // namespace dmsc::node
