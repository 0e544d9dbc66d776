// The programs' side of the hub: connections on message.sock and what comes over them.
#include "sgd/message_connection.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dmsc/runtime/log.hpp"

namespace dmsc::sgd {

using wire::ErrorCode;
namespace log = runtime::log;

MessageHub::~MessageHub() {
  for (auto& [id, connection] : connections_) ::close(connection->fd);
  if (listen_fd_ >= 0) ::close(listen_fd_);
}

void MessageHub::start(int listen_fd) {
  listen_fd_ = listen_fd;
  home_.watch_fd(listen_fd_, EPOLLIN, [this](std::uint32_t) { accept_ready(); });
}

void MessageHub::stop() {
  while (!connections_.empty()) close(connections_.begin()->first, "the gateway stops");
  if (listen_fd_ >= 0) {
    home_.unwatch_fd(listen_fd_);
    ::close(listen_fd_);
    listen_fd_ = -1;
  }
  if (timer_ != 0) home_.cancel(timer_);
  timer_ = 0;
}

void MessageHub::accept_ready() {
  for (int n = 0; n < 64; ++n) {
    int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    auto peer = identities_.resolve(fd);
    if (!peer || connections_.size() >= kMaxConnections) {
      ++counters_.rejected_connections;
      log::warning("pod-rejected", {{"socket", "message.sock"},
                                    {"reason", peer ? "too many connections" : peer.error().message}});
      ::close(fd);
      continue;
    }
    int size = 1 << 20;  // so that a few large messages fit; the kernel may give less
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    auto connection = std::make_unique<Connection>();
    connection->id = next_connection_++;
    connection->fd = fd;
    connection->peer = std::move(*peer);
    const ConnectionId id = connection->id;
    connections_.emplace(id, std::move(connection));
    ++counters_.connections;
    home_.watch_fd(fd, EPOLLIN, [this, id](std::uint32_t events) { connection_ready(id, events); });
  }
}

void MessageHub::connection_ready(ConnectionId id, std::uint32_t events) {
  auto it = connections_.find(id);
  if (it == connections_.end()) return;
  if ((events & EPOLLOUT) != 0) flush(*it->second);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_frames(id);
  pump();
}

MessageHub::Receiver::Receiver() : memory_(new std::uint8_t[kBatch * kStride]) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    iov_[i] = {memory_.get() + i * kStride, wire::kPodFrameMax + 1};
    headers_[i] = {};
    headers_[i].msg_hdr.msg_iov = &iov_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
}

int MessageHub::Receiver::receive(int fd) {
  return ::recvmmsg(fd, headers_.data(), kBatch, MSG_DONTWAIT, nullptr);
}

void MessageHub::read_frames(ConnectionId id) {
  for (int turn = 0; turn < 8; ++turn) {  // others get their turn; the rest is reported again
    auto it = connections_.find(id);
    if (it == connections_.end()) return;
    const int n = receiver_->receive(it->second->fd);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return close(id, std::strerror(errno));
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      if (!read_datagram(id, receiver_->datagram(i))) return;
    }
    if (static_cast<std::size_t>(n) < Receiver::kBatch) return;
  }
}

bool MessageHub::read_datagram(ConnectionId id, ByteView datagram) {
  if (datagram.empty()) {  // end of file
    close(id, "closed");
    return false;
  }
  while (!datagram.empty()) {
    auto it = connections_.find(id);
    if (it == connections_.end()) return false;
    Connection& connection = *it->second;
    auto message = connection.reader.next(datagram);
    if (!message) {
      ++counters_.protocol_errors;
      log::warning("pod-protocol-error",
                   {{"identity", connection.peer.name}, {"pid", connection.peer.pid},
                    {"error", message.error()}});
      close(id, "protocol error");
      return false;
    }
    if (*message) on_message(connection, **message);
  }
  return true;
}

void MessageHub::close(ConnectionId id, std::string_view why) {
  auto it = connections_.find(id);
  if (it == connections_.end()) return;
  std::unique_ptr<Connection> connection = std::move(it->second);
  connections_.erase(it);
  home_.unwatch_fd(connection->fd);
  ::close(connection->fd);
  log::debug("pod-disconnected", {{"identity", connection->peer.name}, {"reason", why}});
  ingress_.cancel_owner(home_.now(), id);
  for (const auto& key : connection->bound) {
    auto binding = bindings_.find(key);
    if (binding != bindings_.end() && binding->second == id) bindings_.erase(binding);
  }
  // What it was serving has perhaps been done: not to be run elsewhere unless idempotent.
  for (auto running = running_.begin(); running != running_.end();) {
    if (running->second.connection != id) {
      ++running;
      continue;
    }
    egress_.refuse(home_.now(), running->first, ErrorCode::internal,
                   "the program ended while it served the request");
    running = running_.erase(running);
  }
  pump();
}

// ---- writing ----------------------------------------------------------------------------------

// Written at the end of pump(): what is sent to one program in one round leaves together.
bool MessageHub::send(Connection& connection, const wire::PodIpcMessage& message) {
  if (auto queued = connection.backlog.push(message); !queued) {
    log::error("pod-frame-too-long", {{"error", queued.error()}});
    return false;
  }
  if (!connection.flush_due) {
    connection.flush_due = true;
    unflushed_.push_back(connection.id);
  }
  // A large one waits for no other: what it takes the socket has, and the backlog stays small.
  if (connection.backlog.bytes() > wire::PodFrameQueue::kJoinedMax) flush(connection);
  // Replies cannot be refused: a program that reads none of them is cut off.
  if (connection.backlog.bytes() > 4 * kMaxBacklogBytes && !connection.broken) {
    connection.broken = true;
    home_.post([this, id = connection.id] { close(id, "the program does not read"); });
  }
  return true;
}

void MessageHub::flush_all() {
  for (std::size_t i = 0; i < unflushed_.size(); ++i) {
    auto it = connections_.find(unflushed_[i]);
    if (it == connections_.end()) continue;
    it->second->flush_due = false;
    flush(*it->second);
  }
  unflushed_.clear();
}

void MessageHub::flush(Connection& connection) {
  while (!connection.backlog.empty()) {
    const Bytes& frame = connection.backlog.front();
    ssize_t n = ::send(connection.fd, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EINTR) continue;
      // The reading side will see the end and close.
      if (errno != EAGAIN && errno != ENOBUFS) connection.backlog.clear();
      break;
    }
    connection.backlog.pop();
  }
  const bool writing = !connection.backlog.empty();
  if (writing == connection.writing) return;
  connection.writing = writing;
  home_.watch_fd(connection.fd, writing ? EPOLLIN | EPOLLOUT : EPOLLIN,
                 [this, id = connection.id](std::uint32_t events) { connection_ready(id, events); });
}

// ---- messages ---------------------------------------------------------------------------------

void MessageHub::on_message(Connection& connection, wire::PodIpcMessage& message) {
  const ConnectionId id = connection.id;
  const bool known = std::visit(
      [&](auto& m) {
        if constexpr (requires { this->on(connection, m); }) {
          on(connection, m);
          return true;
        }
        return false;
      },
      message);
  if (known) return;
  ++counters_.protocol_errors;
  close(id, "a message only the gateway sends");
}

void MessageHub::on(Connection& connection, wire::PodHello& message) {
  connection.client = message.client;
  connection.greeted = true;
  log::info("pod-connected", {{"identity", connection.peer.name}, {"pid", connection.peer.pid},
                              {"client", message.client}});
  send(connection, wire::PodWelcome{home_.self(), view_->gateway, view_->domain,
                                    connection.peer.name});
}

// A binding counts only for a lease of the same identity; that is looked at when a request comes,
// because lease and grant may be younger than the binding.
void MessageHub::on(Connection& connection, wire::PodBind& message) {
  auto prefix = Name::parse(message.prefix);
  if (!prefix || connection.bound.size() >= 65536) {
    send(connection, wire::PodBound{message.id, static_cast<std::uint16_t>(ErrorCode::malformed),
                                    prefix ? "too many prefixes" : prefix.error().message});
    return;
  }
  std::pair key(message.lease, message.prefix);
  bindings_[key] = connection.id;
  connection.bound.insert(key);
  send(connection, wire::PodBound{message.id, 0, ""});
}

void MessageHub::on(Connection& connection, wire::PodUnbind& message) {
  for (auto it = connection.bound.begin(); it != connection.bound.end();) {
    if (it->second != message.prefix) {
      ++it;
      continue;
    }
    auto binding = bindings_.find(*it);
    if (binding != bindings_.end() && binding->second == connection.id) bindings_.erase(binding);
    it = connection.bound.erase(it);
  }
}

MessageHub::Connection* MessageHub::server_of(const LocalInstance& instance) {
  auto binding = bindings_.find({instance.lease, instance.service.prefix.text()});
  if (binding == bindings_.end()) return nullptr;
  auto it = connections_.find(binding->second);
  if (it == connections_.end() || it->second->peer.name != instance.identity) return nullptr;
  return it->second.get();
}

std::set<std::pair<std::string, std::string>> MessageHub::bound() const {
  std::set<std::pair<std::string, std::string>> out;
  for (const auto& [key, connection] : bindings_) out.insert(key);
  return out;
}

std::optional<std::string> MessageHub::check_caller(const Connection& connection,
                                                    const wire::PodCall& call,
                                                    CallRequest& request) const {
  auto it = view_->callers.find(connection.peer.name);
  if (it == view_->callers.end() || it->second.empty()) {
    if (!call.source.empty()) return call.source + " is not granted to " + connection.peer.name;
    if (!view_->require_grant) return std::nullopt;  // anonymous
    return connection.peer.name + " has no granted prefix at " + view_->gateway +
           ", and pods.require_grant is on";
  }
  for (const auto& [name, instance] : it->second) {
    if (!call.source.empty() && name.text() != call.source) continue;
    request.source = name.text();
    request.source_instance = instance;
    return std::nullopt;
  }
  return call.source + " is not granted to " + connection.peer.name;
}

void MessageHub::refuse_call(Connection& connection, std::uint64_t id, ErrorCode code,
                             std::string text) {
  send(connection, wire::PodFailure{id, code, NodeId{}, std::move(text)});
}

void MessageHub::on(Connection& connection, wire::PodCall& message) {
  ++counters_.calls;
  start_call(connection, message, false);
}

void MessageHub::start_call(Connection& connection, wire::PodCall& message, bool second_look) {
  auto name = Name::parse(message.destination);
  if (!name) {
    return refuse_call(connection, message.id, ErrorCode::malformed, name.error().message);
  }
  CallRequest request;
  if (auto why = check_caller(connection, message, request)) {
    if (second_look) {
      ++counters_.not_allowed;
      return refuse_call(connection, message.id, ErrorCode::not_allowed, *why);
    }
    // A grant the program has just heard of may still wait among the posted tasks: look after them.
    home_.post([this, id = connection.id, again = std::move(message)]() mutable {
      auto it = connections_.find(id);
      if (it != connections_.end()) start_call(*it->second, again, true);
      pump();
    });
    return;
  }
  note_use(message.destination, message.payload.size());
  request.owner = connection.id;
  request.id = message.id;
  request.destination = std::move(message.destination);
  request.payload = std::move(message.payload);
  request.deadline = milliseconds(message.deadline_ms);
  request.idempotent = (message.flags & wire::kCallIdempotent) != 0;
  request.trace = (message.flags & wire::kCallTrace) != 0;
  request.by_name = (message.flags & wire::kCallByName) != 0;
  ingress_.start(home_.now(), std::move(request));
}

void MessageHub::on(Connection& connection, wire::PodResponse& message) {
  auto it = running_.find(message.id);
  if (it == running_.end() || it->second.connection != connection.id) return;  // too late
  running_.erase(it);
  egress_.respond(home_.now(), message.id, std::move(message.payload));
}

void MessageHub::on(Connection& connection, wire::PodRefusal& message) {
  auto it = running_.find(message.id);
  if (it == running_.end() || it->second.connection != connection.id) return;
  running_.erase(it);
  egress_.refuse(home_.now(), message.id, ErrorCode::pod_refused, message.text);
}

void MessageHub::on(Connection& connection, wire::PodCancel& message) {
  ingress_.cancel(home_.now(), connection.id, message.id);
}

}  // namespace dmsc::sgd
