#include "dmsc/node/control_sockets.hpp"

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>

#include "dmsc/dataplane/udp_socket.hpp"

namespace dmsc::node {

struct ControlSockets::Socket {
  Socket(boost::asio::io_context& io, SocketAddress address, std::string interface_name, int fd)
      : local(address), interface(std::move(interface_name)), descriptor(io, fd) {}
  SocketAddress local;
  std::string interface;
  boost::asio::posix::stream_descriptor descriptor;  // owns the descriptor
};

namespace {
constexpr std::size_t kMaxControlDatagram = 9216;
constexpr int kDatagramsPerTurn = 64;  // then timers and other sockets get their turn
}  // namespace

ControlSockets::ControlSockets(boost::asio::io_context& io, Hooks hooks)
    : io_(io), hooks_(std::move(hooks)) {}

ControlSockets::~ControlSockets() {
  while (!links_.empty()) close(links_.begin()->first);
}

Status ControlSockets::open(LinkId link, const SocketAddress& local, const std::string& interface) {
  for (auto& [id, entry] : links_) {
    if (entry.socket->local == local && entry.socket->interface == interface) {
      auto shared = entry.socket;  // emplace may not read from what it moves
      links_[link] = LinkEntry{shared, {}};
      return Ok{};
    }
  }
  dataplane::UdpOptions options;
  options.interface = interface;
  options.high_priority = true;
  auto fd = dataplane::open_udp(local, options);
  if (!fd) return with_context("control socket", fd.error());
  auto socket = std::make_shared<Socket>(io_, local, interface, fd->release());
  links_[link] = LinkEntry{socket, {}};
  wait(socket);
  return Ok{};
}

void ControlSockets::close(LinkId link) {
  auto it = links_.find(link);
  if (it == links_.end()) return;
  auto socket = it->second.socket;
  links_.erase(it);
  for (auto& [id, entry] : links_) {
    if (entry.socket == socket) return;
  }
  boost::system::error_code ignored;
  socket->descriptor.close(ignored);
}

void ControlSockets::set_remote(LinkId link, const SocketAddress& remote) {
  auto it = links_.find(link);
  if (it != links_.end()) it->second.remote = remote;
}

SocketAddress ControlSockets::remote(LinkId link) const {
  auto it = links_.find(link);
  return it == links_.end() ? SocketAddress{} : it->second.remote;
}

void ControlSockets::send(LinkId link, ByteView datagram) {
  auto it = links_.find(link);
  if (it == links_.end() || !it->second.remote.valid()) return;
  const SocketAddress& to = it->second.remote;
  int fd = it->second.socket->descriptor.native_handle();
  ssize_t n = ::sendto(fd, datagram.data(), datagram.size(), MSG_DONTWAIT, to.data(), to.size());
  if (n < 0 && (errno == ENETDOWN || errno == ENODEV)) hooks_.send_failed(link, errno);
}

void ControlSockets::wait(const std::shared_ptr<Socket>& socket) {
  socket->descriptor.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this, weak = std::weak_ptr<Socket>(socket)](const boost::system::error_code& error) {
        auto alive = weak.lock();
        if (error || !alive) return;  // closed
        drain(alive);
        if (alive->descriptor.is_open()) wait(alive);
      });
}

void ControlSockets::drain(const std::shared_ptr<Socket>& socket) {
  std::array<std::uint8_t, kMaxControlDatagram> buffer;
  for (int i = 0; i < kDatagramsPerTurn && socket->descriptor.is_open(); ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    ssize_t n = ::recvfrom(socket->descriptor.native_handle(), buffer.data(), buffer.size(),
                           MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 0) break;
    auto source = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&from), size);
    LinkId link = link_of(*socket, source);
    if (!link) {
      ++unknown_sources_;
      continue;
    }
    hooks_.receive(link, ByteView(buffer.data(), static_cast<std::size_t>(n)));
  }
  hooks_.batch_done();
}

LinkId ControlSockets::link_of(const Socket& socket, const SocketAddress& from) const {
  for (const auto& [id, entry] : links_) {
    if (entry.socket.get() == &socket && entry.remote == from) return id;
  }
  return LinkId{};
}

}  // namespace dmsc::node
