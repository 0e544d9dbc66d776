// Who is at the other end of a Unix socket, as the kernel says (DESIGN section 7): never a field of a
// message. In this order:
//   pod:NAME   the peer's network namespace is that of pods.namespaces[NAME]
//   unit:NAME  the peer belongs to this systemd service ("shop.service"), where systemd runs
//   uid:N      else
#pragma once
#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dmsc/core/result.hpp"

namespace dmsc::sgd {

struct PeerIdentity {
  std::string name;
  pid_t pid = 0;  // 0 = in a process namespace we cannot see
  uid_t uid = 0;
};

struct NamespacePath {
  std::string pod;    // NAME
  std::string netns;  // path; need not exist yet
};

// Any thread.
class IdentityResolver {
 public:
  explicit IdentityResolver(std::vector<NamespacePath> namespaces);
  void set_namespaces(std::vector<NamespacePath> namespaces);
  // From SO_PEERCRED of a connected Unix socket. Error (unauthenticated): not such a socket, or the
  // process that connected is gone already, so that nobody can say whose it was.
  Result<PeerIdentity> resolve(int fd) const;

 private:
  std::string pod_of(pid_t pid) const;
  mutable std::mutex mutex_;
  std::vector<NamespacePath> namespaces_;
};

}  // namespace dmsc::sgd
