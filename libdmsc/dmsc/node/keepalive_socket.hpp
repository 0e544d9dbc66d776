// Keepalives apart (docs/protocol.md, LS-V8). Most of what a router hears when nothing happens are
// keepalives, and none of them has to be looked at when it comes: it counts from its arrival. So the kernel
// puts them into a socket of their own, at the same address and port as the control socket, which nothing
// waits for: it is read whenever the node is awake anyway, for its own keepalives at least. A neighbour
// then costs no wake-up. Control thread only.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/time.hpp"
#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/dataplane/udp_socket.hpp"

namespace dmsc::node {

class KeepaliveSocket {
 public:
  using Use = std::function<void(const dataplane::SocketAddress& from, ByteView datagram, Duration waited)>;

  // Beside `main`, bound at `local` with `options`. The error says why the kernel cannot: then all comes by
  // the main socket.
  static Result<std::unique_ptr<KeepaliveSocket>> open(int main, const dataplane::SocketAddress& local,
                                                       const dataplane::UdpOptions& options);
  ~KeepaliveSocket();
  // Whether keepalives that are no poll and no answer to one come here from now on; at first not.
  void sort(bool on);
  bool sorts() const { return sorts_; }
  int fd() const { return fd_.get(); }
  // Gives what waits to `use`, oldest first, with how long it waited: `most` and a few at most. Returns how
  // many.
  std::size_t read(Time now, std::size_t most, const Use& use);

 private:
  explicit KeepaliveSocket(dataplane::UniqueFd fd);
  static Result<std::unique_ptr<KeepaliveSocket>> beside(const dataplane::SocketAddress& local,
                                                         dataplane::UdpOptions options);
  dataplane::UniqueFd fd_;
  bool sorts_ = false;
  bool empty_ = false;    // read to its end since sorting ended
  Time read_to_end_{};    // what is here now came later
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace dmsc::node
