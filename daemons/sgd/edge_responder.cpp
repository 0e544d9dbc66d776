#include "sgd/edge_responder.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace dmsc::sgd {
namespace {

constexpr int kBatch = 32;  // per wake-up, so that packets are not held up
constexpr std::size_t kMaxMessage = 65535, kMaxQueued = 1 << 20;

}  // namespace

struct Responder::Connection {
  Fd fd;
  Bytes in, out;
  std::size_t waiting = 0;  // answers still to come from upstream
  dataplane::TimerId timer = 0;
  bool want_write = false;
};

Responder::Responder(Fd udp, Fd tcp, bool ipv6, dns::Zone& zone, Forwarder& forwarder,
                     dataplane::Worker& worker, DnsCounters& counters)
    : udp_(std::move(udp)),
      tcp_(std::move(tcp)),
      ipv6_(ipv6),
      zone_(zone),
      forwarder_(forwarder),
      worker_(worker),
      counters_(counters) {
  worker_.watch_fd(udp_.get(), EPOLLIN, [this](std::uint32_t) { udp_ready(); });
  worker_.watch_fd(tcp_.get(), EPOLLIN, [this](std::uint32_t) { accept_ready(); });
}

Responder::~Responder() {
  worker_.unwatch_fd(udp_.get());
  worker_.unwatch_fd(tcp_.get());
  while (!connections_.empty()) {
    auto connection = connections_.begin()->second;
    close(*connection);
  }
}

void Responder::handle(ByteView message, L4 transport, Forwarder::Reply reply) {
  ++counters_.queries;
  dns::Parsed parsed = dns::parse_query(message);
  if (parsed.drop) {
    ++counters_.dropped;
    return;
  }
  if (parsed.rcode != dns::Rcode::no_error) {
    ++counters_.errors;
    return reply(dns::build_error(parsed));
  }
  auto answer = zone_.answer(parsed.query, worker_.now(), ipv6_);
  if (!answer && forwarder_.enabled() && parsed.query.recursion_desired) {
    return forwarder_.ask(parsed.query, message, transport, std::move(reply));
  }
  if (!answer) answer = dns::Answer{.rcode = dns::Rcode::refused};
  ++(answer->rcode == dns::Rcode::refused ? counters_.refused : counters_.answered);
  const std::size_t limit = transport == L4::udp ? dns::udp_limit(parsed.query) : kMaxMessage;
  reply(dns::build_answer(parsed.query, *answer, zone_.zone(), forwarder_.enabled(), limit));
}

void Responder::udp_ready() {
  std::array<std::uint8_t, 4096> buffer;
  for (int i = 0; i < kBatch; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    ssize_t n = ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0,
                           reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 0) return;
    std::weak_ptr<int> alive = alive_;
    handle(ByteView(buffer).first(static_cast<std::size_t>(n)), L4::udp,
           [this, alive, from, size](const Bytes& answer) {
             if (alive.expired()) return;
             ::sendto(udp_.get(), answer.data(), answer.size(), 0,
                      reinterpret_cast<const sockaddr*>(&from), size);
           });
  }
}

void Responder::accept_ready() {
  for (int i = 0; i < kBatch; ++i) {
    Fd fd(::accept4(tcp_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    if (connections_.size() >= kMaxConnections) {
      ++counters_.dropped;
      continue;
    }
    auto connection = std::make_shared<Connection>();
    connection->fd = std::move(fd);
    connections_[connection->fd.get()] = connection;
    arm(connection);
    worker_.watch_fd(connection->fd.get(), EPOLLIN, [this, connection](std::uint32_t events) {
      connection_ready(connection, events);
    });
  }
}

void Responder::arm(const std::shared_ptr<Connection>& connection) {
  worker_.cancel(connection->timer);
  std::weak_ptr<Connection> weak = connection;
  connection->timer = worker_.after(kIdle, [this, weak] {
    if (auto held = weak.lock()) close(*held);
  });
}

void Responder::connection_ready(const std::shared_ptr<Connection>& connection,
                                 std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush(*connection);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || !connection->fd) return;
  std::array<std::uint8_t, 4096> buffer;
  ssize_t n = ::recv(connection->fd.get(), buffer.data(), buffer.size(), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return close(*connection);
  connection->in.insert(connection->in.end(), buffer.begin(), buffer.begin() + n);
  arm(connection);
  parse(connection);
}

void Responder::parse(const std::shared_ptr<Connection>& connection) {
  while (connection->fd && connection->in.size() >= 2) {
    std::size_t length = std::size_t{connection->in[0]} << 8 | connection->in[1];
    if (connection->in.size() < 2 + length) return;
    Bytes message(connection->in.begin() + 2,
                  connection->in.begin() + 2 + static_cast<std::ptrdiff_t>(length));
    connection->in.erase(connection->in.begin(),
                         connection->in.begin() + 2 + static_cast<std::ptrdiff_t>(length));
    std::weak_ptr<int> alive = alive_;
    std::weak_ptr<Connection> weak = connection;
    handle(message, L4::tcp, [this, alive, weak](const Bytes& answer) {
      auto held = weak.lock();
      if (!alive.expired() && held && held->fd) send(*held, answer);
    });
  }
}

void Responder::send(Connection& connection, const Bytes& message) {
  if (message.size() > kMaxMessage || connection.out.size() > kMaxQueued) return close(connection);
  connection.out.push_back(static_cast<std::uint8_t>(message.size() >> 8));
  connection.out.push_back(static_cast<std::uint8_t>(message.size()));
  connection.out.insert(connection.out.end(), message.begin(), message.end());
  flush(connection);
}

void Responder::flush(Connection& connection) {
  while (!connection.out.empty()) {
    ssize_t n =
        ::send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return close(connection);
    if (n < 0) break;
    connection.out.erase(connection.out.begin(), connection.out.begin() + n);
  }
  bool want = !connection.out.empty();
  if (want == connection.want_write) return;
  connection.want_write = want;
  auto held = connections_[connection.fd.get()];
  worker_.watch_fd(connection.fd.get(), want ? EPOLLIN | EPOLLOUT : EPOLLIN,
                   [this, held](std::uint32_t events) { connection_ready(held, events); });
}

void Responder::close(Connection& connection) {
  int fd = connection.fd.get();
  if (fd < 0) return;
  worker_.cancel(connection.timer);
  worker_.unwatch_fd(fd);
  connection.fd.reset();
  connections_.erase(fd);
}

}  // namespace dmsc::sgd
