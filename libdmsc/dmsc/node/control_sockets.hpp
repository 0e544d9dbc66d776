// The UDP sockets of the link-state protocol: one per (local address, port, interface), shared by the
// links there; the source address says which link a datagram belongs to. Control thread only.
#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/ids.hpp"
#include "dmsc/dataplane/socket_address.hpp"

namespace dmsc::node {

using dataplane::SocketAddress;

class ControlSockets {
 public:
  struct Hooks {
    std::function<void(LinkId, ByteView)> receive;  // during the call the bytes are valid
    std::function<void()> batch_done;               // after a run of datagrams from one socket
    std::function<void(LinkId, int error)> send_failed;  // errno of a socket error that is proof
  };
  ControlSockets(boost::asio::io_context& io, Hooks hooks);
  ~ControlSockets();

  // `local` with its port. The error names address and cause.
  Status open(LinkId link, const SocketAddress& local, const std::string& interface);
  void close(LinkId link);
  // Where the link's neighbour is; an unset address stops sending and receiving.
  void set_remote(LinkId link, const SocketAddress& remote);
  SocketAddress remote(LinkId link) const;
  // Loses the datagram silently when the socket does not take it: the protocol retransmits.
  void send(LinkId link, ByteView datagram);
  std::uint64_t unknown_sources() const { return unknown_sources_; }

 private:
  struct Socket;
  struct LinkEntry {
    std::shared_ptr<Socket> socket;
    SocketAddress remote;
  };
  void wait(const std::shared_ptr<Socket>& socket);
  void drain(const std::shared_ptr<Socket>& socket);
  LinkId link_of(const Socket& socket, const SocketAddress& from) const;

  boost::asio::io_context& io_;
  Hooks hooks_;
  std::map<LinkId, LinkEntry> links_;
  std::uint64_t unknown_sources_ = 0;
};

}  // namespace dmsc::node
