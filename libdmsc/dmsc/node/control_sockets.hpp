// The UDP sockets of the link-state protocol: one per (local address, port, interface), shared by the
// links there; the source address says which link a datagram belongs to. Keepalives of settled links come
// by a socket of their own that nothing waits for (keepalive_socket.hpp). Control thread only.
#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/ids.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/node/icmp_watch.hpp"

namespace dmsc::node {

using dataplane::SocketAddress;

class ControlSockets {
 public:
  struct Hooks {
    // During the call the bytes are valid. `waited`: how long ago the datagram arrived.
    std::function<void(LinkId, ByteView, Duration waited)> receive;
    std::function<void()> batch_done;               // after a run of datagrams from one socket
    std::function<void(LinkId, int error)> send_failed;  // errno of a socket error that is proof
    // The network says that nobody is there: a hint. As often as it says so.
    std::function<void(LinkId)> unreachable = [](LinkId) {};
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
  // Whether the link's keepalives are looked at when they come (while it is new: its round trip is to be known
  // soon), or wait for read_keepalives(). They wait if no link of the socket is urgent; none is at first.
  void set_urgent(LinkId link, bool urgent);
  // Gives the keepalives that wait to `receive`, without batch_done: to be called before anything is
  // concluded from silence. Reads at most every 5 ms.
  void read_keepalives();
  // Once in a while: sockets that were flooded sort keepalives again.
  void forget_floods();

  std::uint64_t unknown_sources() const { return unknown_sources_; }
  std::uint64_t wakeups() const { return wakeups_; }  // by datagrams

 private:
  struct Socket;
  struct LinkEntry {
    std::shared_ptr<Socket> socket;
    SocketAddress remote;
    bool urgent = false;
  };
  struct Buffers;
  void wait(const std::shared_ptr<Socket>& socket);
  void drain(const std::shared_ptr<Socket>& socket);
  void take(const Socket& socket, const SocketAddress& from, ByteView datagram, Duration waited);
  void read_keepalives(Socket& socket, Time now);
  void choose(Socket& socket);
  void unreachable(const SocketAddress& whom);
  LinkId link_of(const Socket& socket, const SocketAddress& from) const;

  boost::asio::io_context& io_;
  Hooks hooks_;
  IcmpWatch watch_;
  std::map<LinkId, LinkEntry> links_;
  std::unique_ptr<Buffers> buffers_;
  Time keepalives_read_{};
  std::uint64_t unknown_sources_ = 0, wakeups_ = 0;
};

}  // namespace dmsc::node
