// Datagrams waiting to leave. Those for one address and of one size become a train: one message that the
// kernel cuts up again (UDP_SEGMENT), so that its path through the stack is paid once. A queued datagram is
// either in the receive buffer it came in (it must stay there until flush()) or copied into the outbox: if it is the
// caller's, or small and alone.
#pragma once
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "dmsc/dataplane/counters.hpp"
#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/forwarding/hop_auth.hpp"

namespace dmsc::dataplane {

inline constexpr std::size_t kMaxDatagram = 9216;  // jumbo frames

// The kernel's bounds of one train (UDP_MAX_SEGMENTS, and what fits an IP datagram with room for headers).
inline constexpr unsigned kMaxSegments = 64;
inline constexpr std::size_t kMaxTrainBytes = 64000;

class Outbox {
 public:
  explicit Outbox(WorkerCounters& counters);
  // Queues for `to` on `fd`; flushes first when full. With `copy` the datagram (at most kMaxDatagram)
  // may be reused at once. `to` must stay valid until flush(). Datagrams for one address leave in the
  // order they were pushed. With `key` the hop tag is written before the datagram leaves, for many at a time;
  // the rest of its hop block is in place. The key too must stay valid until flush().
  void push(int fd, const SocketAddress& to, std::span<std::uint8_t> datagram, bool copy,
            LinkCounters& link, const crypto::Key16* key = nullptr);
  // Sends everything queued. What the socket does not take is dropped and counted: a full buffer as
  // congestion, a lost interface as link_down, an oversized datagram as too_big. A train that the
  // kernel refuses as a whole is sent one by one.
  void flush();
  // Whether trains are made (default). The kill switch; what is queued leaves first.
  void join(bool on);

 private:
  static constexpr std::size_t kTrains = 64;
  static constexpr std::size_t kArenaBytes = 512 * 1024;
  // Datagrams up to this size are put behind one another: that costs less than the kernel's gathering them.
  static constexpr std::size_t kPackBytes = 256;
  static_assert(kArenaBytes >= kMaxDatagram);

  struct Train {
    int fd = -1;
    const SocketAddress* to = nullptr;
    LinkCounters* link = nullptr;
    std::size_t segment = 0, bytes = 0;
    unsigned count = 0, pieces = 0;
    bool closed = false;
    std::size_t packed = 0;  // bytes in its share of packed_
  };

  Train* open_train(int fd, const SocketAddress& to, std::size_t size);
  Train& start_train(int fd, const SocketAddress& to, std::size_t size, LinkCounters& link);
  std::span<std::uint8_t> append(Train& train, std::span<std::uint8_t> datagram);
  std::span<std::uint8_t> packed(Train& train, std::span<const std::uint8_t> datagram);
  std::span<std::uint8_t> copied(std::span<const std::uint8_t> datagram);
  void write_tags();
  void prepare(std::size_t train);
  void flush_run(std::size_t first, std::size_t end);
  void send_singly(const Train& train, const std::array<iovec, kMaxSegments>& pieces);
  void sent(const Train& train);
  void lost(int error, unsigned datagrams);
  struct Slot {
    const SocketAddress* to = nullptr;
    std::size_t train = 0;
  };
  Slot& slot_of(const SocketAddress& to);

  WorkerCounters& counters_;
  bool join_ = true;
  std::size_t count_ = 0, arena_used_ = 0;
  std::array<Train, kTrains> trains_{};
  std::array<Slot, 2 * kTrains> open_{};  // the train last opened for an address, by its hash
  std::array<mmsghdr, kTrains> messages_{};
  std::array<std::array<iovec, kMaxSegments>, kTrains> pieces_;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> bytes;
  };
  std::array<Control, kTrains> controls_{};
  std::unique_ptr<std::uint8_t[]> arena_;
  std::unique_ptr<std::uint8_t[]> packed_;  // a share for each train; not initialised
  std::array<forwarding::HopSeal, 64> untagged_{};
  std::size_t untagged_count_ = 0;
};

}  // namespace dmsc::dataplane
