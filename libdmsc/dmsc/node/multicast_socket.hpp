// The socket of one interface that hears and sends neighbour announcements (docs/protocol.md,
// "Discovery"): UDP to the group 224.0.0.254 or ff02::114, port 7401, hop limit 255.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"
#include "dmsc/dataplane/socket_address.hpp"
#include "dmsc/dataplane/udp_socket.hpp"

namespace dmsc::node {

// The first IPv4 address of an interface, or its first IPv6 link-local one, with its scope; unset if it
// has none (yet: a duplicate of it may still be looked for) or does not exist.
dataplane::SocketAddress interface_address(const std::string& interface, bool ipv6 = false);

// Joins the group of `local`'s family on the interface with that index, whose address is `local`.
// Non-blocking. The error names interface and cause.
Result<dataplane::UniqueFd> open_multicast(const std::string& interface, int index,
                                           const dataplane::SocketAddress& local);

struct MulticastDatagram {
  dataplane::SocketAddress source;
  unsigned hops = 0;        // hop limit on arrival; 0 = the kernel did not say
  std::size_t size = 0;     // of the datagram in the buffer
};
// One datagram into `buffer`; nullopt when none waits. A longer one than `size` is cut, and so fails its
// authentication.
std::optional<MulticastDatagram> receive_multicast(int fd, std::uint8_t* buffer, std::size_t size);
// To the group, from `local` (as it was opened with) on interface `index`. Loses the datagram silently when
// the socket does not take it: it is repeated every second.
void send_multicast(int fd, int index, const dataplane::SocketAddress& local, ByteView datagram);

}  // namespace dmsc::node
