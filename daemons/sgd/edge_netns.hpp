// Network namespaces and TUN devices: the few privileged system calls of the edge. Needs
// CAP_NET_ADMIN, and CAP_SYS_ADMIN to enter another namespace (docs/operations.md says why this is
// done in sgd and not in a helper program).
#pragma once
#include <functional>
#include <string>
#include <utility>

#include "dmsc/core/result.hpp"
#include "sgd/edge_ipv6.hpp"
#include "sgd/tun_offloads.hpp"

namespace dmsc::sgd {

// A file descriptor that is closed with its owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// "text: Permission denied" from errno.
Error system_error(const std::string& text);

// Runs `work` on a thread of its own inside the namespace at `path`; an empty path is ours. The
// error says which step failed.
Status in_namespace(const std::string& path, const std::function<Status()>& work);
// Enters the namespace for the rest of the calling thread's life.
Status enter_namespace(const std::string& path);
// What tells a namespace from one made later under the same path; 0 if there is none.
std::pair<std::uint64_t, std::uint64_t> namespace_identity(const std::string& path);

// Makes a TUN device in the calling thread's namespace: non-blocking, a vnet header of kVnetBytes in
// front of every frame, no offloads yet. Error if the name is taken by another program.
Result<Fd> open_tun(const std::string& name);
// Switches the offloads of an open TUN device; returns what is in force. Without them the kernel cuts segments and
// trains and fills checksums itself: slower, not wrong.
TunOffloads set_tun_offloads(int tun, TunOffloads wanted);
// A bound socket in the calling thread's namespace, non-blocking; TCP listens.
Result<Fd> bind_socket(L4 protocol, const ServerAddress& where);
// A connecting (TCP: perhaps still in progress) non-blocking socket.
Result<Fd> connect_socket(L4 protocol, Ipv4 address, std::uint16_t port);

}  // namespace dmsc::sgd
