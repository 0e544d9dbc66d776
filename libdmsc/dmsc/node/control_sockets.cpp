#include "dmsc/node/control_sockets.hpp"

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>

#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/node/keepalive_socket.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::node {

struct ControlSockets::Socket {
  Socket(boost::asio::io_context& io, SocketAddress address, std::string interface_name, int fd)
      : local(address), interface(std::move(interface_name)), descriptor(io, fd) {}
  SocketAddress local;
  std::string interface;
  boost::asio::posix::stream_descriptor descriptor;  // owns the descriptor
  std::unique_ptr<KeepaliveSocket> keepalives;       // null: the kernel cannot
  bool flooded = false;                              // somebody sends what look like keepalives in masses
};

namespace {

constexpr std::size_t kMaxControlDatagram = 9216;
constexpr int kReadsPerTurn = 4;  // then timers and other sockets get their turn
constexpr std::size_t kKeepalivesAtOnce = 256;
constexpr Duration kKeepaliveReadGap = milliseconds(5);

}  // namespace

// Of one recvmmsg call: one system call says what is there and that there is no more.
struct ControlSockets::Buffers {
  static constexpr unsigned kBatch = 16;
  std::array<std::array<std::uint8_t, kMaxControlDatagram>, kBatch> bytes;
  std::array<sockaddr_storage, kBatch> names;
  std::array<iovec, kBatch> parts;
  std::array<mmsghdr, kBatch> messages;

  unsigned receive(int fd) {
    for (unsigned i = 0; i < kBatch; ++i) {
      parts[i] = {bytes[i].data(), bytes[i].size()};
      messages[i] = {};
      messages[i].msg_hdr.msg_name = &names[i];
      messages[i].msg_hdr.msg_namelen = sizeof names[i];
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    int n = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (n < 0 && dataplane::is_earlier_error(errno)) {
      n = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    }
    return n > 0 ? static_cast<unsigned>(n) : 0;
  }
};

ControlSockets::ControlSockets(boost::asio::io_context& io, Hooks hooks)
    : io_(io),
      hooks_(std::move(hooks)),
      watch_(io, [this](const SocketAddress& whom) { unreachable(whom); }),
      buffers_(std::make_unique<Buffers>()) {}

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
  auto keepalives = KeepaliveSocket::open(socket->descriptor.native_handle(), local, options);
  if (keepalives) {
    socket->keepalives = std::move(*keepalives);
  } else {
    runtime::log::debug("keepalives-unsorted", {{"local", local.text()}, {"reason", keepalives.error()}});
  }
  watch_.add(socket->descriptor.native_handle(), local.family());
  if (socket->keepalives) watch_.add(socket->keepalives->fd(), local.family());
  links_[link] = LinkEntry{socket, {}};
  choose(*socket);
  wait(socket);
  return Ok{};
}

void ControlSockets::close(LinkId link) {
  auto it = links_.find(link);
  if (it == links_.end()) return;
  auto socket = it->second.socket;
  links_.erase(it);
  for (auto& [id, entry] : links_) {
    if (entry.socket == socket) return choose(*socket);
  }
  socket->keepalives.reset();
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
  if (n < 0 && dataplane::is_earlier_error(errno)) {
    n = ::sendto(fd, datagram.data(), datagram.size(), MSG_DONTWAIT, to.data(), to.size());
  }
  if (n < 0 && (errno == ENETDOWN || errno == ENODEV)) hooks_.send_failed(link, errno);
}

void ControlSockets::set_urgent(LinkId link, bool urgent) {
  auto it = links_.find(link);
  if (it == links_.end() || it->second.urgent == urgent) return;
  it->second.urgent = urgent;
  choose(*it->second.socket);
}

void ControlSockets::choose(Socket& socket) {
  if (!socket.keepalives) return;
  bool sorts = !socket.flooded;
  for (const auto& [id, entry] : links_) sorts = sorts && (entry.socket.get() != &socket || !entry.urgent);
  socket.keepalives->sort(sorts);
}

void ControlSockets::forget_floods() {
  for (const auto& [id, entry] : links_) {
    if (std::exchange(entry.socket->flooded, false)) choose(*entry.socket);
  }
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
  ++wakeups_;
  read_keepalives(*socket, runtime::now());  // in the order in which they were sent, about
  for (int i = 0; i < kReadsPerTurn && socket->descriptor.is_open(); ++i) {
    unsigned n = buffers_->receive(socket->descriptor.native_handle());
    for (unsigned k = 0; k < n; ++k) {
      const mmsghdr& m = buffers_->messages[k];
      auto source = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&buffers_->names[k]),
                                                 m.msg_hdr.msg_namelen);
      take(*socket, source, ByteView(buffers_->bytes[k].data(), m.msg_len), Duration::zero());
    }
    if (n < Buffers::kBatch) break;
  }
  hooks_.batch_done();
}

void ControlSockets::take(const Socket& socket, const SocketAddress& from, ByteView datagram, Duration waited) {
  LinkId link = link_of(socket, from);
  if (!link) {
    ++unknown_sources_;
  } else {
    hooks_.receive(link, datagram, waited);
  }
}

void ControlSockets::read_keepalives() {
  Time now = runtime::now();
  if (now < keepalives_read_ + kKeepaliveReadGap) return;
  keepalives_read_ = now;
  const Socket* last = nullptr;  // links of one socket are neighbours in the map, as a rule
  for (const auto& [id, entry] : links_) {
    if (entry.socket.get() != last) read_keepalives(*entry.socket, now);
    last = entry.socket.get();
  }
}

void ControlSockets::read_keepalives(Socket& socket, Time now) {
  if (!socket.keepalives) return;
  // Several of each neighbour are no flood yet: this node may have stood still.
  std::size_t most = kKeepalivesAtOnce + 8 * links_.size();
  std::size_t count = socket.keepalives->read(
      now, most, [&](const SocketAddress& from, ByteView datagram, Duration waited) { take(socket, from, datagram, waited); });
  if (count < most) return;
  socket.flooded = true;  // a socket that is read now and then would overflow: real ones would be lost
  choose(socket);
}

void ControlSockets::unreachable(const SocketAddress& whom) {
  std::vector<LinkId> links;
  for (const auto& [id, entry] : links_) {
    if (entry.remote == whom) links.push_back(id);
  }
  for (LinkId link : links) hooks_.unreachable(link);  // may close some
}

LinkId ControlSockets::link_of(const Socket& socket, const SocketAddress& from) const {
  for (const auto& [id, entry] : links_) {
    if (entry.socket.get() == &socket && entry.remote == from) return id;
  }
  return LinkId{};
}

}  // namespace dmsc::node
