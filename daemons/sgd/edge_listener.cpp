#include "sgd/edge_listener.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <unordered_map>

#include "dmsc/core/bytes.hpp"
#include "dmsc/runtime/clock.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::size_t kBufferBytes = 65536;
constexpr int kTickMs = 1000;

// One direction of a spliced connection.
struct Pipe {
  Bytes buffer;
  std::size_t sent = 0;
  bool end = false;       // the reader's side has finished
  bool closed = false;    // and the writer's side knows
};

struct Splice {
  Fd ends[2];             // accepted, connected
  Pipe pipes[2];          // from ends[i] to ends[1 - i]
  std::shared_ptr<ListenerStatus> status;
  bool connecting = true;
};

// A client of a UDP listener: its datagrams leave from a socket of its own.
struct UdpClient {
  Fd fd;
  int listener = -1;
  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::shared_ptr<ListenerStatus> status;
  Time last;
};

void reset_on_close(int fd) {
  linger hard{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

}  // namespace

struct ListenerThread::Loop {
  Fd epoll{::epoll_create1(EPOLL_CLOEXEC)}, wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::string netns;
  std::map<int, std::pair<Fd, Item>> listeners;
  std::unordered_map<int, std::shared_ptr<Splice>> splices;   // by either descriptor
  std::unordered_map<int, std::shared_ptr<UdpClient>> udp;
  std::map<std::pair<int, std::string>, std::shared_ptr<UdpClient>> udp_by_address;
  bool stop = false;

  void watch(int fd, std::uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll.get(), operation, fd, &event);
  }
  Status bind(const std::vector<Item>& items);
  void run();
  void ready(int fd, std::uint32_t events);
  void accept(const Item& item, int fd);
  void splice(const std::shared_ptr<Splice>& s, std::uint32_t events);
  bool pump(Splice& s, int from);
  void rearm(Splice& s);
  void end(Splice& s, bool hard);
  void datagrams(const Item& item, int fd);
  void answers(UdpClient& client);
  void expire();
};

Status ListenerThread::Loop::bind(const std::vector<Item>& items) {
  for (const Item& item : items) {
    auto fd = bind_socket(item.config.protocol, item.config.where);
    if (!fd) return fd.error();
    int raw = fd->get();
    listeners.emplace(raw, std::pair{std::move(*fd), item});
    watch(raw, EPOLLIN, EPOLL_CTL_ADD);
  }
  watch(wake.get(), EPOLLIN, EPOLL_CTL_ADD);
  return Ok{};
}

void ListenerThread::Loop::run() {
  if (!netns.empty()) {
    Status entered = enter_namespace(netns);
    if (!entered) {
      runtime::log::error("listener-failed", {{"netns", netns}, {"error", entered.error()}});
      return;
    }
  }
  std::array<epoll_event, 64> events;
  Time next = runtime::now() + milliseconds(kTickMs);
  while (!stop) {
    int n = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), kTickMs);
    for (int i = 0; i < n; ++i) {
      if (events[static_cast<std::size_t>(i)].data.fd == wake.get()) stop = true;
      else ready(events[static_cast<std::size_t>(i)].data.fd, events[static_cast<std::size_t>(i)].events);
    }
    if (runtime::now() < next) continue;
    next = runtime::now() + milliseconds(kTickMs);
    expire();
  }
  for (auto& [fd, s] : splices) reset_on_close(fd);
}

void ListenerThread::Loop::ready(int fd, std::uint32_t events) {
  if (auto it = listeners.find(fd); it != listeners.end()) {
    const Item& item = it->second.second;
    return item.config.protocol == L4::tcp ? accept(item, fd) : datagrams(item, fd);
  }
  if (auto it = splices.find(fd); it != splices.end()) {
    auto held = it->second;
    return splice(held, events);
  }
  if (auto it = udp.find(fd); it != udp.end()) {
    auto held = it->second;
    answers(*held);
  }
}

void ListenerThread::Loop::accept(const Item& item, int fd) {
  Fd client(::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client) return;
  ++item.status->accepted;
  auto server = connect_socket(L4::tcp, item.target, item.config.port);
  if (!server || splices.size() / 2 + udp.size() >= kMaxConnections) {
    ++item.status->failed;
    return reset_on_close(client.get());
  }
  auto s = std::make_shared<Splice>();
  s->ends[0] = std::move(client);
  s->ends[1] = std::move(*server);
  s->status = item.status;
  ++s->status->active;
  splices[s->ends[0].get()] = s;
  splices[s->ends[1].get()] = s;
  watch(s->ends[0].get(), 0, EPOLL_CTL_ADD);
  watch(s->ends[1].get(), EPOLLOUT, EPOLL_CTL_ADD);
}

// Moves what it can from ends[from] to the other; false when the connection is broken.
bool ListenerThread::Loop::pump(Splice& s, int from) {
  Pipe& p = s.pipes[from];
  int in = s.ends[from].get(), out = s.ends[1 - from].get();
  while (true) {
    if (p.sent == p.buffer.size() && !p.end) {
      p.buffer.resize(kBufferBytes);
      ssize_t n = ::recv(in, p.buffer.data(), p.buffer.size(), 0);
      p.buffer.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
      p.sent = 0;
      if (n < 0) return errno == EAGAIN;
      p.end = n == 0;
    }
    if (p.sent < p.buffer.size()) {
      ssize_t n = ::send(out, p.buffer.data() + p.sent, p.buffer.size() - p.sent, MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN;
      p.sent += static_cast<std::size_t>(n);
    } else if (p.end) {
      if (!p.closed) ::shutdown(out, SHUT_WR);
      p.closed = true;
      return true;
    }
  }
}

void ListenerThread::Loop::rearm(Splice& s) {
  for (int i = 0; i < 2; ++i) {
    const Pipe &in = s.pipes[i], &out = s.pipes[1 - i];
    std::uint32_t events = 0;
    if (!in.end && in.sent == in.buffer.size()) events |= EPOLLIN;
    if (out.sent < out.buffer.size()) events |= EPOLLOUT;
    watch(s.ends[i].get(), events, EPOLL_CTL_MOD);
  }
}

void ListenerThread::Loop::splice(const std::shared_ptr<Splice>& s, std::uint32_t events) {
  if ((events & EPOLLERR) != 0 && !s->connecting) return end(*s, true);
  if (s->connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(s->ends[1].get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0 || (events & (EPOLLHUP | EPOLLERR)) != 0) {
      ++s->status->failed;
      return end(*s, true);
    }
    s->connecting = false;
  }
  if (!pump(*s, 0) || !pump(*s, 1)) return end(*s, true);
  if (s->pipes[0].closed && s->pipes[1].closed) return end(*s, false);
  rearm(*s);
}

void ListenerThread::Loop::end(Splice& s, bool hard) {
  --s.status->active;
  for (Fd& fd : s.ends) {
    if (hard) reset_on_close(fd.get());
    splices.erase(fd.get());
    fd.reset();
  }
}

void ListenerThread::Loop::datagrams(const Item& item, int fd) {
  std::array<std::uint8_t, 65536> buffer;
  for (int i = 0; i < 32; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    ssize_t n = ::recvfrom(fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from),
                           &size);
    if (n < 0) return;
    const std::string key(reinterpret_cast<const char*>(&from), size);
    auto& client = udp_by_address[{fd, key}];
    if (!client) {
      auto socket = connect_socket(L4::udp, item.target, item.config.port);
      if (!socket || splices.size() / 2 + udp.size() >= kMaxConnections) {
        ++item.status->failed;
        udp_by_address.erase({fd, key});
        continue;
      }
      client = std::make_shared<UdpClient>();
      client->fd = std::move(*socket);
      client->listener = fd;
      client->address = from;
      client->address_size = size;
      client->status = item.status;
      ++item.status->accepted;
      ++item.status->active;
      udp[client->fd.get()] = client;
      watch(client->fd.get(), EPOLLIN, EPOLL_CTL_ADD);
    }
    client->last = runtime::now();
    if (::send(client->fd.get(), buffer.data(), static_cast<std::size_t>(n), 0) < 0) {
      ++item.status->failed;
    }
  }
}

void ListenerThread::Loop::answers(UdpClient& client) {
  std::array<std::uint8_t, 65536> buffer;
  for (int i = 0; i < 32; ++i) {
    ssize_t n = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
    if (n < 0) return;
    client.last = runtime::now();
    ::sendto(client.listener, buffer.data(), static_cast<std::size_t>(n), 0,
             reinterpret_cast<const sockaddr*>(&client.address), client.address_size);
  }
}

void ListenerThread::Loop::expire() {
  Time now = runtime::now();
  for (auto it = udp_by_address.begin(); it != udp_by_address.end();) {
    auto here = it++;
    if (now - here->second->last < seconds(kUdpIdleSeconds)) continue;
    --here->second->status->active;
    udp.erase(here->second->fd.get());
    udp_by_address.erase(here);
  }
}

ListenerThread::ListenerThread(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {
  thread_ = std::thread([this] { loop_->run(); });
}

Result<std::unique_ptr<ListenerThread>> ListenerThread::start(const std::string& netns,
                                                              std::vector<Item> items) {
  auto loop = std::make_unique<Loop>();
  loop->netns = netns;
  Status status = in_namespace(netns, [&] { return loop->bind(items); });
  if (!status) return status.error();
  return std::unique_ptr<ListenerThread>(new ListenerThread(std::move(loop)));
}

ListenerThread::~ListenerThread() {
  std::uint64_t one = 1;
  (void)!::write(loop_->wake.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

}  // namespace dmsc::sgd
