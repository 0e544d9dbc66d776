#include "sgd/net_checker.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dmsc/runtime/clock.hpp"
#include "sgd/edge_ipv6.hpp"

namespace dmsc::sgd {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error failed(const std::string& what) {
  return make_error(Errc::unavailable, what, ": ", std::strerror(errno));
}

// A socket belongs for ever to the namespace its thread was in when it was made.
Result<int> socket_in(const std::string& netns, int family) {
  if (netns.empty()) {
    int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 ? Result<int>(fd) : Result<int>(failed("socket"));
  }
  Descriptor own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  Descriptor pod(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (own.get() < 0 || pod.get() < 0) return failed(netns);
  if (::setns(pod.get(), CLONE_NEWNET) != 0) return failed("entering " + netns);
  int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  Error error = failed("socket");
  if (::setns(own.get(), CLONE_NEWNET) != 0) std::abort();  // nothing may go on in the wrong place
  return fd >= 0 ? Result<int>(fd) : Result<int>(error);
}

int connect_to(int fd, const ServerAddress& server) {
  if (server.v6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(server.port);
    std::memcpy(&address.sin6_addr, server.v6->data(), server.v6->size());
    return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port);
  address.sin_addr.s_addr = htonl(server.v4.value);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
}

Status wait_for(int fd, short events, Time until, const char* what) {
  while (true) {
    auto left = std::chrono::ceil<milliseconds>(until - runtime::now()).count();
    if (left <= 0) return make_error(Errc::deadline, what, " timed out");
    pollfd p{fd, events, 0};
    int n = ::poll(&p, 1, static_cast<int>(left));
    if (n > 0) return Ok{};
    if (n < 0 && errno != EINTR) return failed(what);
  }
}

Status http_get(int fd, const std::string& host, const std::string& path, Time until) {
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + host +
                              "\r\nUser-Agent: dmsc-check\r\nConnection: close\r\n\r\n";
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != ssize_t(request.size())) {
    return failed("HTTP request");
  }
  std::string answer;
  while (answer.find("\r\n") == std::string::npos && answer.size() < 4096) {
    if (Status s = wait_for(fd, POLLIN, until, "HTTP answer"); !s) return s;
    char buffer[512];
    ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return make_error(Errc::unavailable, "HTTP: connection closed without a status");
    answer.append(buffer, static_cast<std::size_t>(n));
  }
  // "HTTP/1.1 200 OK"
  if (answer.compare(0, 7, "HTTP/1.") != 0 || answer.size() < 12) {
    return make_error(Errc::invalid, "HTTP: the answer is not HTTP");
  }
  const std::string status = answer.substr(9, 3);
  if (status[0] == '2' || status[0] == '3') return Ok{};
  return make_error(Errc::unavailable, "HTTP status ", status);
}

}  // namespace

Status run_network_check(const std::string& endpoint, const CheckSpec& check,
                         const std::string& netns) {
  auto where = parse_server(endpoint);
  if (!where) return where.error();
  const Time until = runtime::now() + check.timeout;
  auto made = socket_in(netns, where->v6 ? AF_INET6 : AF_INET);
  if (!made) return made.error();
  Descriptor fd(*made);
  if (connect_to(fd.get(), *where) != 0) {
    if (errno != EINPROGRESS) return failed("connect to " + endpoint);
    if (Status s = wait_for(fd.get(), POLLOUT, until, "connect"); !s) return s;
    socklen_t size = sizeof(int);
    int error = 0;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
      errno = error;
      return failed("connect to " + endpoint);
    }
  }
  if (check.kind != CheckKind::http) return Ok{};
  return http_get(fd.get(), endpoint, check.target, until);
}

NetChecker::NetChecker(unsigned threads) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

NetChecker::~NetChecker() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool NetChecker::check(std::string endpoint, CheckSpec check, std::string netns,
                       std::function<void(Status)> done) {
  {
    std::lock_guard lock(mutex_);
    if (jobs_.size() >= 4096) return false;
    jobs_.push_back({std::move(endpoint), std::move(check), std::move(netns), std::move(done)});
  }
  wake_.notify_one();
  return true;
}

void NetChecker::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.done(run_network_check(job.endpoint, job.check, job.netns));
    lock.lock();
  }
}

}  // namespace dmsc::sgd
