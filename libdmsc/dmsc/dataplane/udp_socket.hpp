// Non-blocking UDP sockets as the data plane and the control channel use them.
#pragma once
#include <string>

#include "dmsc/dataplane/socket_address.hpp"

namespace dmsc::dataplane {

// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }
  int get() const { return fd_; }
  int release();
  void reset();
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct UdpOptions {
  std::string interface;        // SO_BINDTODEVICE; ignored without the permission to
  int buffer_bytes = 1 << 20;   // of each direction; the kernel may give less
  bool any_port_if_taken = false;
  bool trains = false;          // UDP_GRO: may receive several datagrams as one message
  bool share_port = false;      // SO_REUSEPORT: with a socket there that has it too
  bool high_priority = false;   // control traffic: SO_PRIORITY and DSCP CS6 (RFC 4594)
};

// A bound, non-blocking socket that never fragments. The error names the address and the cause.
Result<UniqueFd> open_udp(const SocketAddress& local, const UdpOptions& options);
Result<SocketAddress> local_address(int fd);

// A socket with the address and port of `shared` that gets what `peer` sends to them; what others send still goes to
// `shared`. What arrives between its bind() and its connect() may come from anybody.
Result<UniqueFd> open_beside(int shared, const SocketAddress& peer, UdpOptions options);

// Whether the socket receives trains (UDP_GRO), from now on; false where the kernel cannot.
bool receive_trains(int fd, bool on);

// A call on a socket whose errors are watched (IP_RECVERR) and that failed with this errno may have
// failed for an earlier datagram's sake: to be tried again.
bool is_earlier_error(int error);

}  // namespace dmsc::dataplane
