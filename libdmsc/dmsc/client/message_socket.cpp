#include "dmsc/client/message_socket.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace dmsc::client {
namespace {

void watch_in(int epoll, int operation, int fd, std::uint32_t events, MessageSocket::Woken what) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = static_cast<std::uint32_t>(what);
  ::epoll_ctl(epoll, operation, fd, &event);
}

}  // namespace

EventFd::EventFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
EventFd::~EventFd() {
  if (fd_ >= 0) ::close(fd_);
}
void EventFd::raise() {
  std::uint64_t one = 1;
  (void)!::write(fd_, &one, sizeof one);
}
void EventFd::clear() {
  std::uint64_t count = 0;
  (void)!::read(fd_, &count, sizeof count);
}

MessageSocket::MessageSocket()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), memory_(new std::uint8_t[kBatch * kStride]) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    iov_[i] = {memory_.get() + i * kStride, wire::kPodFrameMax + 1};
    headers_[i] = {};
    headers_[i].msg_hdr.msg_iov = &iov_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
}

MessageSocket::~MessageSocket() {
  close();
  if (epoll_ >= 0) ::close(epoll_);
}

int MessageSocket::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  fd_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return errno;
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int error = errno;
    close();
    return error;
  }
  int size = 1 << 20;  // so that a few large messages fit; the kernel may give less
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  // From here on who reads may wait in the call itself; writing never does (send()).
  const timeval longest{0, std::chrono::microseconds(kLongestWait).count()};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
  ::fcntl(fd_, F_SETFL, 0);
  reader_ = {};
  watch_in(epoll_, EPOLL_CTL_ADD, fd_, EPOLLIN | EPOLLONESHOT, Woken::socket);
  return 0;
}

void MessageSocket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void MessageSocket::shut() {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

void MessageSocket::watch(const EventFd& kick, const EventFd& stop) {
  // Edge-triggered, and never read: every raise is an edge, and an edge wakes one.
  watch_in(epoll_, EPOLL_CTL_ADD, kick.get(), EPOLLIN | EPOLLET, Woken::kick);
  watch_in(epoll_, EPOLL_CTL_ADD, stop.get(), EPOLLIN, Woken::stop);
}

MessageSocket::Woken MessageSocket::wait() {
  epoll_event event{};
  while (::epoll_wait(epoll_, &event, 1, -1) < 1) {
  }
  return static_cast<Woken>(event.data.u32);
}

void MessageSocket::arm() {
  watch_in(epoll_, EPOLL_CTL_MOD, fd_, EPOLLIN | EPOLLONESHOT, Woken::socket);
}

void MessageSocket::disarm() {
  watch_in(epoll_, EPOLL_CTL_MOD, fd_, EPOLLRDHUP | EPOLLONESHOT, Woken::socket);
}

int MessageSocket::send(const Bytes& datagram) {
  while (::send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

MessageSocket::Alive MessageSocket::receive(bool wait) {
  const int flags = wait ? MSG_WAITFORONE : MSG_DONTWAIT;
  int n = ::recvmmsg(fd_, headers_.data(), kBatch, flags, nullptr);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (n < 0) return {false, std::string("the gateway went away: ") + std::strerror(errno)};
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    ByteView left(memory_.get() + i * kStride, headers_[i].msg_len);
    if (left.empty()) return {false, "the gateway went away"};  // end of file
    while (!left.empty()) {
      auto message = reader_.next(left);
      if (!message) return {false, "the gateway sent " + message.error().message};
      if (*message) inbox_.push_back(std::move(**message));
    }
  }
  return {};
}

}  // namespace dmsc::client
