// Buffers of one recvmmsg call. Each holds a datagram or, where the kernel kept a train whole (UDP_GRO), a
// train of datagrams of one source and one size, the last of which may be shorter.
#pragma once
#include <sys/socket.h>

#include <array>
#include <memory>
#include <span>

#include "dmsc/dataplane/outbox.hpp"

namespace dmsc::dataplane {

class ReceiveBatch {
 public:
  static constexpr unsigned kSize = 64;
  ReceiveBatch();
  // Messages received, 0 if none wait; errors of the socket count as none.
  unsigned receive(int fd);
  std::span<std::uint8_t> message(unsigned i) {
    return {static_cast<std::uint8_t*>(iov_[i].iov_base), messages_[i].msg_len};
  }
  // Size of the datagrams in message i, all but the last: the message's own if it is no train.
  std::size_t segment(unsigned i) const;
  bool truncated(unsigned i) const { return (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0; }
  SocketAddress from(unsigned i) const {
    return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&names_[i]),
                                        messages_[i].msg_hdr.msg_namelen);
  }

 private:
  static constexpr std::size_t kBufferBytes = 65536;
  // Not a power of two apart, so that the first lines of all buffers do not share a cache set.
  static constexpr std::size_t kStride = kBufferBytes + 3 * 64;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> bytes;
  };
  std::unique_ptr<std::uint8_t[]> memory_;  // not initialised: pages never used cost nothing
  std::array<sockaddr_storage, kSize> names_;
  std::array<iovec, kSize> iov_;
  std::array<mmsghdr, kSize> messages_;
  std::array<Control, kSize> controls_;
};

}  // namespace dmsc::dataplane
