#include "dmsc/node/interface_watcher.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace dmsc::node {

InterfaceWatcher::InterfaceWatcher(boost::asio::io_context& io, Changed changed)
    : descriptor_(io), changed_(std::move(changed)) {}

Status InterfaceWatcher::start() {
  int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return make_error(Errc::internal, "rtnetlink socket: ", std::strerror(errno));
  descriptor_.assign(fd);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return make_error(Errc::internal, "rtnetlink bind: ", std::strerror(errno));
  }
  auto requested = request_all();
  if (!requested) return requested;
  while (!read_messages(true)) {
  }
  started_ = true;
  descriptor_.non_blocking(true);
  wait();
  return Ok{};
}

void InterfaceWatcher::stop() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

const InterfaceState* InterfaceWatcher::find(const std::string& name) const {
  auto it = interfaces_.find(name);
  return it == interfaces_.end() ? nullptr : &it->second;
}

Status InterfaceWatcher::request_all() {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  if (::send(descriptor_.native_handle(), &request, request.header.nlmsg_len, 0) < 0) {
    return make_error(Errc::internal, "rtnetlink request: ", std::strerror(errno));
  }
  return Ok{};
}

void InterfaceWatcher::wait() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code& error) {
                           if (error) return;
                           read_messages(false);
                           if (descriptor_.is_open()) wait();
                         });
}

// True once the end of a dump was seen (or the socket failed).
bool InterfaceWatcher::read_messages(bool until_done) {
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  for (;;) {
    ssize_t n = ::recv(descriptor_.native_handle(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == ENOBUFS) {  // messages were lost: ask for everything again
      (void)request_all();
      continue;
    }
    if (n <= 0) return true;
    auto left = static_cast<unsigned>(n);
    for (auto* m = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(m, left);
         m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR) return true;
      if (m->nlmsg_type == RTM_NEWLINK) take(m, false);
      if (m->nlmsg_type == RTM_DELLINK) take(m, true);
    }
    if (until_done) return false;
  }
}

void InterfaceWatcher::take(const void* message, bool removed) {
  const auto* header = static_cast<const nlmsghdr*>(message);
  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(header));
  std::string name;
  InterfaceState state{info->ifi_index,
                       !removed && (info->ifi_flags & IFF_UP) != 0 &&
                           (info->ifi_flags & IFF_RUNNING) != 0,
                       0};
  auto left = static_cast<unsigned>(IFLA_PAYLOAD(header));
  for (auto* a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if (a->rta_type == IFLA_IFNAME) {
      name.assign(static_cast<const char*>(RTA_DATA(a)), strnlen(static_cast<const char*>(RTA_DATA(a)),
                                                                 RTA_PAYLOAD(a)));
    }
    if (a->rta_type == IFLA_MTU && RTA_PAYLOAD(a) >= sizeof(unsigned)) {
      std::memcpy(&state.mtu, RTA_DATA(a), sizeof(unsigned));
    }
  }
  if (name.empty()) return;
  if (removed) {
    auto it = interfaces_.find(name);
    if (it == interfaces_.end() || it->second.index != info->ifi_index) return;
    interfaces_.erase(it);
    state = InterfaceState{};
  } else {
    auto [it, added] = interfaces_.try_emplace(name, state);
    if (!added && it->second == state) return;
    it->second = state;
  }
  if (started_) changed_(name, state);
}

}  // namespace dmsc::node
