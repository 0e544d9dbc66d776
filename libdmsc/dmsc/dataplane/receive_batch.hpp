// Buffers of one recvmmsg call.
#pragma once
#include <sys/socket.h>

#include <array>

#include "dmsc/dataplane/outbox.hpp"

namespace dmsc::dataplane {

class ReceiveBatch {
 public:
  static constexpr unsigned kSize = 32;
  ReceiveBatch();
  // Datagrams received, 0 if none wait; errors of the socket count as none.
  unsigned receive(int fd);
  std::span<std::uint8_t> datagram(unsigned i) {
    return {buffers_[i].data(), messages_[i].msg_len};
  }
  bool truncated(unsigned i) const { return (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0; }
  SocketAddress from(unsigned i) const {
    return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&names_[i]),
                                        messages_[i].msg_hdr.msg_namelen);
  }

 private:
  std::array<std::array<std::uint8_t, kMaxDatagram>, kSize> buffers_;
  std::array<sockaddr_storage, kSize> names_;
  std::array<iovec, kSize> iov_;
  std::array<mmsghdr, kSize> messages_;
};

}  // namespace dmsc::dataplane
