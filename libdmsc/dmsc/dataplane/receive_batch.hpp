// Buffers of a round's recvmmsg calls, of one socket or several. Each holds a datagram or, where the kernel kept a train whole (UDP_GRO), a
// train of datagrams of one source and one size, the last of which may be shorter.
//
// Buffers big enough for a train are so far apart that each datagram costs a page walk. So while only small
// datagrams arrive they go to buffers close together, whose overflow lies in the big ones:
//
//   close   [ 2 KiB ][ 2 KiB ]...            wide   [ gap of 2 KiB | 62 KiB ][ gap | 62 KiB ]...
//               └─ a longer message goes on here ────────┘   its beginning is then copied into the gap
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
  struct Received {
    unsigned first = 0, count = 0;  // the messages
    bool full = false;     // as many as there was room for: more may wait
    bool drained = false;  // none waits
  };
  // Into the buffers still free. `sources`: who sent each is wanted, which costs a copy; a connected socket tells
  // that itself. Errors of the socket count as no message.
  Received receive(int fd, bool sources);
  unsigned room() const { return used_ < most() ? most() - used_ : 0; }
  // Too little room left for a call that is worth its cost.
  bool spent() const { return room() < most() / 4; }
  bool empty() const { return used_ == 0; }
  void reuse() { used_ = 0; }  // what was received is no longer needed
  std::span<std::uint8_t> message(unsigned i) { return {data_[i], messages_[i].msg_len}; }
  // Size of the datagrams in message i, all but the last: the message's own if it is no train.
  std::size_t segment(unsigned i) const;
  bool truncated(unsigned i) const { return (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0; }
  SocketAddress from(unsigned i) const {
    return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&names_[i]),
                                        messages_[i].msg_hdr.msg_namelen);
  }
  bool same_source(unsigned i, unsigned j) const;

 private:
  static constexpr std::size_t kBufferBytes = 65536, kCloseBytes = 2048;
  static constexpr unsigned kTrains = 8;
  // Not a power of two apart, so that the first lines of all buffers do not share a cache set.
  static constexpr std::size_t kStride = kBufferBytes + 3 * 64, kCloseStride = kCloseBytes + 3 * 64;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> bytes;
  };
  // The kernel writes an address no longer than this.
  union Name {
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  std::uint8_t* close(unsigned i) { return close_.get() + i * kCloseStride; }
  std::uint8_t* wide(unsigned i) { return memory_.get() + i * kStride; }
  // Of trains no more at a time than the second-level cache holds: what was copied in is soon copied out again.
  unsigned most() const { return together_ ? kSize : kTrains; }
  void lay_out(bool together);
  void take(unsigned first, unsigned count);

  std::unique_ptr<std::uint8_t[]> memory_;  // not initialised: pages never used cost nothing
  std::unique_ptr<std::uint8_t[]> close_;
  bool together_ = false;
  unsigned used_ = 0;
  std::array<std::uint8_t*, kSize> data_;
  std::array<Name, kSize> names_;
  std::array<std::array<iovec, 2>, kSize> iov_;
  std::array<mmsghdr, kSize> messages_;
  std::array<Control, kSize> controls_;
};

}  // namespace dmsc::dataplane
