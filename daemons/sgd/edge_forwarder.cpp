#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "dmsc/runtime/clock.hpp"
#include "sgd/edge_responder.hpp"

namespace dmsc::sgd {

struct Forwarder::Exchange {
  dns::Query query;
  Bytes message;               // as sent upstream: under an id of our own
  L4 transport = L4::udp;
  Reply reply;
  std::size_t resolver = 0;    // index of the one being asked
  Fd fd;
  Bytes in;
  std::size_t written = 0;
  dataplane::TimerId timer = 0;
};

Forwarder::Forwarder(std::vector<Ipv4> upstream, dataplane::Worker& worker, DnsCounters& counters)
    : upstream_(std::move(upstream)), worker_(worker), counters_(counters) {}

Forwarder::~Forwarder() {
  for (auto& [key, exchange] : outstanding_) disarm(*exchange);
}

void Forwarder::disarm(Exchange& exchange) {
  worker_.cancel(exchange.timer);
  if (exchange.fd) worker_.unwatch_fd(exchange.fd.get());
  exchange.fd.reset();
}

void Forwarder::ask(const dns::Query& query, ByteView message, L4 transport, Reply reply) {
  auto exchange = std::make_shared<Exchange>();
  exchange->query = query;
  exchange->transport = transport;
  exchange->reply = std::move(reply);
  if (outstanding_.size() >= kMaxOutstanding) return finish(exchange, {});
  ++counters_.forwarded;
  if (transport == L4::tcp) {
    exchange->message = ByteWriter().u16(message.size()).take();
  }
  exchange->message.insert(exchange->message.end(), message.begin(), message.end());
  outstanding_[exchange.get()] = exchange;
  attempt(exchange);
}

void Forwarder::attempt(const std::shared_ptr<Exchange>& exchange) {
  disarm(*exchange);
  exchange->in.clear();
  exchange->written = 0;
  if (exchange->resolver >= upstream_.size()) return finish(exchange, {});
  std::size_t at = exchange->transport == L4::tcp ? 2 : 0;
  runtime::random_bytes(std::span(exchange->message).subspan(at, 2));
  auto fd = connect_socket(exchange->transport, upstream_[exchange->resolver], 53);
  if (!fd) return fail(exchange);
  exchange->fd = std::move(*fd);
  exchange->timer = worker_.after(kTimeout, [this, exchange] { fail(exchange); });
  worker_.watch_fd(exchange->fd.get(), EPOLLIN | EPOLLOUT, [this, exchange](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) writable(exchange);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && exchange->fd) readable(exchange);
  });
}

void Forwarder::writable(const std::shared_ptr<Exchange>& exchange) {
  ByteView rest = ByteView(exchange->message).subspan(exchange->written);
  ssize_t n = ::send(exchange->fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN ? void() : fail(exchange);
  exchange->written += static_cast<std::size_t>(n);
  if (exchange->written < exchange->message.size()) return;
  worker_.watch_fd(exchange->fd.get(), EPOLLIN,
                   [this, exchange](std::uint32_t) { readable(exchange); });
}

void Forwarder::readable(const std::shared_ptr<Exchange>& exchange) {
  std::array<std::uint8_t, 65535> buffer;
  ssize_t n = ::recv(exchange->fd.get(), buffer.data(), buffer.size(), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return fail(exchange);
  ByteView data = ByteView(buffer).first(static_cast<std::size_t>(n));
  if (exchange->transport == L4::udp) return received(exchange, data);
  exchange->in.insert(exchange->in.end(), data.begin(), data.end());
  if (exchange->in.size() < 2) return;
  std::size_t length = std::size_t{exchange->in[0]} << 8 | exchange->in[1];
  if (exchange->in.size() < 2 + length) return;
  received(exchange, ByteView(exchange->in).subspan(2, length));
}

// Believed only under our id and with our question (RFC 5452).
void Forwarder::received(const std::shared_ptr<Exchange>& exchange, ByteView message) {
  constexpr std::size_t kHeader = 12;
  std::size_t at = exchange->transport == L4::tcp ? 2 : 0;
  const Bytes& question = exchange->query.question;
  bool ours = message.size() >= kHeader + question.size() && (message[2] & 0x80) != 0 &&
              message[0] == exchange->message[at] && message[1] == exchange->message[at + 1] &&
              std::equal(question.begin(), question.end(), message.begin() + kHeader);
  if (!ours) return exchange->transport == L4::udp ? void() : fail(exchange);
  Bytes answer = to_bytes(message);
  answer[0] = static_cast<std::uint8_t>(exchange->query.id >> 8);
  answer[1] = static_cast<std::uint8_t>(exchange->query.id);
  finish(exchange, std::move(answer));
}

void Forwarder::fail(const std::shared_ptr<Exchange>& exchange) {
  ++exchange->resolver;
  attempt(exchange);
}

// An empty answer is SERVFAIL.
void Forwarder::finish(const std::shared_ptr<Exchange>& exchange, Bytes answer) {
  disarm(*exchange);
  outstanding_.erase(exchange.get());
  if (answer.empty()) {
    ++counters_.upstream_failed;
    dns::Answer failed{.rcode = dns::Rcode::server_failure};
    answer = dns::build_answer(exchange->query, failed, {}, true);
  }
  if (exchange->reply) std::exchange(exchange->reply, nullptr)(std::move(answer));
}

}  // namespace dmsc::sgd
