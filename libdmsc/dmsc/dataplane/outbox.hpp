// Datagrams waiting to leave, sent in batches with sendmmsg. A queued datagram is either in the
// receive buffer it came in (it must stay there until flush()) or copied into a slot of the outbox.
#pragma once
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "dmsc/dataplane/counters.hpp"
#include "dmsc/dataplane/socket_address.hpp"

namespace dmsc::dataplane {

inline constexpr std::size_t kMaxDatagram = 9216;  // jumbo frames

class Outbox {
 public:
  explicit Outbox(WorkerCounters& counters);
  // Queues for `to` on `fd`; flushes first when full. With `copy` the datagram (at most kMaxDatagram)
  // may be reused at once. `to` must stay valid until flush().
  void push(int fd, const SocketAddress& to, std::span<std::uint8_t> datagram, bool copy,
            LinkCounters& link);
  // Sends everything queued. What the socket does not take is dropped and counted: a full buffer as
  // congestion, a lost interface as link_down, an oversized datagram as too_big.
  void flush();

 private:
  static constexpr std::size_t kSlots = 64;
  void flush_run(std::size_t first, std::size_t end);
  void sent(std::size_t i);
  WorkerCounters& counters_;
  std::size_t count_ = 0;
  std::array<int, kSlots> fds_{};
  std::array<LinkCounters*, kSlots> links_{};
  std::array<iovec, kSlots> iov_{};
  std::array<mmsghdr, kSlots> messages_{};
  std::unique_ptr<std::array<std::array<std::uint8_t, kMaxDatagram>, kSlots>> copies_;
};

}  // namespace dmsc::dataplane
