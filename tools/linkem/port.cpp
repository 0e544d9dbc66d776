#include "port.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace linkem {
namespace {

constexpr int kSocketBuffer = 16 << 20;

[[noreturn]] void fail(const std::string& interface, const char* what) {
  throw std::system_error(errno, std::generic_category(), interface + ": " + what);
}

}  // namespace

Port::Port(const std::string& interface)
    : interface_(interface), buffers_(static_cast<std::size_t>(kBatch) * kFrameBytes) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) fail(interface, "no such interface");
  // Protocol 0 until bound: otherwise frames of every interface would arrive first.
  fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail(interface, "packet socket");
  const int on = 1;
  if (setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0) {
    fail(interface, "PACKET_IGNORE_OUTGOING");
  }
  setsockopt(fd_, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail(interface, "bind");
  }
  // Frames addressed to the node behind the other interface must come through.
  packet_mreq request{};
  request.mr_ifindex = static_cast<int>(index);
  request.mr_type = PACKET_MR_PROMISC;
  if (setsockopt(fd_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
    fail(interface, "promiscuous mode");
  }
}

Port::~Port() {
  if (fd_ >= 0) close(fd_);
}

int Port::fill() {
  mmsghdr messages[kBatch] = {};
  iovec parts[kBatch];
  for (int i = 0; i < kBatch; ++i) {
    parts[i] = {buffers_.data() + static_cast<std::size_t>(i) * kFrameBytes, kFrameBytes};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  // ENETDOWN and the like: the interface is down, nothing arrives until it is up again.
  const int count = recvmmsg(fd_, messages, kBatch, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < count; ++i) lengths_[i] = messages[i].msg_len;
  if (count > 0) counters_.received += static_cast<std::uint64_t>(count);
  return count > 0 ? count : 0;
}

void Port::send(std::span<const std::uint8_t> frame) {
  const ssize_t sent = ::send(fd_, frame.data(), frame.size(), MSG_DONTWAIT);
  ++(sent == static_cast<ssize_t>(frame.size()) ? counters_.sent : counters_.send_failed);
}

}  // namespace linkem
