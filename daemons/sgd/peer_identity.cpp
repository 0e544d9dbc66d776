#include "sgd/peer_identity.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>

#include <cstdlib>
#include <cstring>

namespace dmsc::sgd {
namespace {

std::string unit_of(pid_t pid) {
  if (sd_booted() <= 0) return {};
  char* unit = nullptr;
  if (sd_pid_get_unit(pid, &unit) < 0 || unit == nullptr) return {};
  std::string name(unit);
  std::free(unit);
  // Sessions and user managers say who logged in, not which service it is.
  const std::string suffix = ".service";
  if (name.size() <= suffix.size() || name.rfind("user@", 0) == 0 ||
      name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) {
    return {};
  }
  return name;
}

}  // namespace

IdentityResolver::IdentityResolver(std::vector<NamespacePath> namespaces)
    : namespaces_(std::move(namespaces)) {}

void IdentityResolver::set_namespaces(std::vector<NamespacePath> namespaces) {
  std::lock_guard lock(mutex_);
  namespaces_ = std::move(namespaces);
}

std::string IdentityResolver::pod_of(pid_t pid) const {
  struct stat peer {};
  if (::stat(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), &peer) != 0) return {};
  std::lock_guard lock(mutex_);
  for (const NamespacePath& ns : namespaces_) {
    struct stat pod {};
    if (::stat(ns.netns.c_str(), &pod) == 0 && pod.st_dev == peer.st_dev &&
        pod.st_ino == peer.st_ino) {
      return ns.pod;
    }
  }
  return {};
}

Result<PeerIdentity> IdentityResolver::resolve(int fd) const {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return make_error(Errc::unauthenticated, "SO_PEERCRED: ", std::strerror(errno));
  }
  PeerIdentity peer{"uid:" + std::to_string(credentials.uid), credentials.pid, credentials.uid};
  if (peer.pid <= 0) return peer;
  std::string pod = pod_of(peer.pid);
  std::string unit = pod.empty() ? unit_of(peer.pid) : std::string();
  // The process must still be there after we looked: else its number may be another's by now.
  struct stat process {};
  if (::stat(("/proc/" + std::to_string(peer.pid)).c_str(), &process) != 0) {
    return make_error(Errc::unauthenticated, "process ", std::to_string(peer.pid),
                      " ended before it could be identified");
  }
  if (!pod.empty()) {
    peer.name = "pod:" + pod;
  } else if (!unit.empty()) {
    peer.name = "unit:" + unit;
  }
  return peer;
}

}  // namespace dmsc::sgd
