// One program on message.sock; only for the hub's own sources.
#pragma once
#include <sys/socket.h>

#include <array>
#include <set>

#include "sgd/message_hub.hpp"

namespace dmsc::sgd {

struct MessageHub::Connection {
  ConnectionId id = 0;
  int fd = -1;
  PeerIdentity peer;
  std::string client;             // what it calls itself
  bool greeted = false, broken = false, writing = false;
  bool flush_due = false;         // listed in unflushed_
  wire::PodFrameReader reader;
  wire::PodFrameQueue backlog;    // what the socket has not taken yet
  std::set<std::pair<std::string, std::string>> bound;
};

// Buffers of one recvmmsg() on a connection, for all connections.
class MessageHub::Receiver {
 public:
  static constexpr std::size_t kBatch = 8;
  Receiver();
  // Datagrams taken, or -1 (errno).
  int receive(int fd);
  ByteView datagram(std::size_t i) const {
    return {static_cast<const std::uint8_t*>(iov_[i].iov_base), headers_[i].msg_len};
  }

 private:
  static constexpr std::size_t kStride = wire::kPodFrameMax + 64;
  std::unique_ptr<std::uint8_t[]> memory_;  // not initialised: pages never used cost nothing
  std::array<iovec, kBatch> iov_;
  std::array<mmsghdr, kBatch> headers_;
};

}  // namespace dmsc::sgd
