// What the kernel hears by ICMP of datagrams that found nobody: their port is closed, their host cannot
// be reached (RFC 1122, 4.1.3.3). Anybody may forge that, so it is a hint and no more (docs/protocol.md,
// LS-V4). Control thread only.
//
// Errors wait in the error queue of the socket that sent (IP_RECVERR). An epoll of its own looks for
// nothing else on the sockets added: datagrams that arrive there do not wake it.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>

#include "dmsc/dataplane/socket_address.hpp"

namespace dmsc::node {

class IcmpWatch {
 public:
  // `heard`: whom a datagram was for that did not get there, address and port.
  using Heard = std::function<void(const dataplane::SocketAddress& whom)>;
  IcmpWatch(boost::asio::io_context& io, Heard heard);
  ~IcmpWatch();
  // Does nothing where the kernel cannot, or for a socket watched already: hints make fail-over faster, nothing else. `fd` is closed by its
  // owner, which ends the watch of it. Once watched, a call on the socket may fail once with the error of an
  // earlier datagram: to be tried again.
  void add(int fd, int family);

 private:
  void wait();
  void read();
  void drain(int fd);
  Heard heard_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<boost::asio::posix::stream_descriptor> errors_;  // null: no epoll to be had
};

}  // namespace dmsc::node
