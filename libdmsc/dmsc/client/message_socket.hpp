// The descriptors under Gateway::Messages: the connection to message.sock with an epoll set that tells
// one of several threads that something has come, and eventfds. Only for the client's own sources.
#pragma once
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/wire/pod_ipc.hpp"

namespace dmsc::client {

class EventFd {
 public:
  EventFd();
  ~EventFd();
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;
  int get() const { return fd_; }
  void raise();
  void clear();

 private:
  int fd_ = -1;
};

class MessageSocket {
 public:
  // What wait() woke for.
  enum class Woken : std::uint32_t { socket = 1, kick = 2, stop = 3 };

  MessageSocket();
  ~MessageSocket();
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  // 0, or the error of connecting to the socket at `path`. Watched and armed when connected.
  int connect(const std::string& path);
  void close();
  // Makes reading and writing end, without closing.
  void shut();
  int get() const { return fd_; }

  // A raise of `kick` wakes one thread in wait(), one of `stop` all from then on. Both outlive this.
  void watch(const EventFd& kick, const EventFd& stop);
  // Blocks. Each arming of the socket wakes one thread, once; not armed, only its end does.
  Woken wait();
  void arm();
  void disarm();

  // The error of sending, or 0.
  int send(const Bytes& datagram);
  // Takes what there is, a few datagrams at most, and adds to inbox(). One thread at a time. `wait`:
  // blocks until there is something, kLongestWait at most.
  static constexpr milliseconds kLongestWait{100};
  struct Alive {
    bool alive = true;
    std::string why;  // not: what ended it
  };
  Alive receive(bool wait);
  std::vector<wire::PodIpcMessage>& inbox() { return inbox_; }

 private:
  static constexpr std::size_t kBatch = 8;
  static constexpr std::size_t kStride = wire::kPodFrameMax + 64;
  int epoll_ = -1, fd_ = -1;
  std::unique_ptr<std::uint8_t[]> memory_;  // not initialised: pages never used cost nothing
  std::array<iovec, kBatch> iov_;
  std::array<mmsghdr, kBatch> headers_;
  wire::PodFrameReader reader_;
  std::vector<wire::PodIpcMessage> inbox_;
};

}  // namespace dmsc::client
