// A worker's socket, as it receives: shared by all who send to its port, or connected to one of them, so that
// the kernel tells them apart.
#pragma once
#include "dmsc/core/time.hpp"
#include "dmsc/dataplane/socket_address.hpp"

namespace dmsc::dataplane {

class DataSocket {
 public:
  // The kernel may still be queueing what it looked up before connect().
  static constexpr Duration kSettling = milliseconds(50);
  // More messages than a receive buffer holds.
  static constexpr unsigned kQueued = 1 << 14;

  DataSocket(int fd, unsigned sockets) : fd_(fd), sockets_(sockets) {}
  // Connected to `peer` at `now` at the latest.
  DataSocket(int fd, unsigned sockets, const SocketAddress& peer, Time now)
      : fd_(fd), sockets_(sockets), peer_(peer), settled_(now + kSettling) {}

  int fd() const { return fd_; }
  unsigned sockets() const { return sockets_; }  // its socket group
  const SocketAddress& peer() const { return peer_; }
  // Whether what is received now is the peer's without asking: before, the queue may hold what came between
  // bind() and connect(), from anybody.
  bool only_peer() const { return peer_.valid() && others_ == 0; }
  // Of each receive call before only_peer(): how many messages came, and whether none is left.
  void received(unsigned messages, bool drained, Time now) {
    if (!peer_.valid() || now < settled_) return;
    others_ -= drained ? others_ : messages < others_ ? messages : others_;
  }

 private:
  int fd_;
  unsigned sockets_;
  SocketAddress peer_;
  Time settled_{};
  unsigned others_ = kQueued;  // messages at most in the queue that may be anybody's
};

}  // namespace dmsc::dataplane
