// The service manager's end of the notification protocol: a datagram socket in NOTIFY_SOCKET.
#pragma once
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "tests/unit/runtime/temporary.hpp"

class NotifySocket {
 public:
  NotifySocket() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = dir_.path() + "/notify";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot bind " + path);
    }
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~NotifySocket() {
    ::unsetenv("NOTIFY_SOCKET");
    ::close(fd_);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // The next message; "" if none comes within ten seconds.
  std::string next() {
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, 10'000) != 1) return "";
    char text[4096];
    ssize_t n = ::recv(fd_, text, sizeof text, 0);
    return n < 0 ? "" : std::string(text, static_cast<std::size_t>(n));
  }
  // Reads until a message starts with `start`; "" if none does.
  std::string wait_for(const std::string& start) {
    for (std::string m = next(); !m.empty(); m = next()) {
      if (m.rfind(start, 0) == 0) return m;
    }
    return "";
  }

 private:
  TemporaryDirectory dir_;
  int fd_;
};
