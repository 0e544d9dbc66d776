// The connected sockets of all workers: one for each port of a neighbour, beside the shared socket of the link. The
// kernel then tells whom a datagram is from, which costs the worker less than to ask. Control thread only.
//
// Only so many, because kernels before 6.13 look through them one by one. Whoever has none is received by the shared
// socket, and so is everybody where one cannot be made.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "dmsc/dataplane/link_table.hpp"
#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/dataplane/worker_impl.hpp"

namespace dmsc::dataplane {

// Links with the same local address and interface share sockets; the source address tells them apart.
struct SocketGroup {
  SocketAddress local;
  std::string interface;
  std::vector<std::uint16_t> ports;
  unsigned users = 0;
  std::vector<int> fds;  // the workers'
};

class PeerSockets {
 public:
  static constexpr std::size_t kMost = 32;  // of a worker
  explicit PeerSockets(const std::vector<std::unique_ptr<WorkerImpl>>& workers) : workers_(workers) {}
  // Makes those that are wanted and missing, as far as it can, and ends those that are not wanted.
  void follow(const std::vector<Source>& wanted, const std::vector<std::optional<SocketGroup>>& groups,
              const UdpOptions& options);
  // The descriptors, still the workers'; empty if there are none.
  std::vector<int> of(const Source& peer) const;

 private:
  struct Held {
    Source peer;
    std::vector<int> fds;  // by worker
  };
  void end(const Held& held);
  std::optional<Held> make(const Source& peer, const SocketGroup& group, UdpOptions options);
  const Held* find(const Source& peer) const;

  const std::vector<std::unique_ptr<WorkerImpl>>& workers_;
  std::vector<Held> held_;
};

}  // namespace dmsc::dataplane
