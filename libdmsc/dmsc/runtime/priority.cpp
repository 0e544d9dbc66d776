#include "dmsc/runtime/priority.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace dmsc::runtime {
namespace {
constexpr int kPreferred = -10;
constexpr unsigned long kRelaxedNs = 50'000'000, kExactNs = 50'000;
}

int prefer_this_thread() {
  auto self = static_cast<id_t>(::gettid());
  errno = 0;
  int before = ::getpriority(PRIO_PROCESS, self);
  if (before <= kPreferred && errno == 0) return before;
  if (::setpriority(PRIO_PROCESS, self, kPreferred) == 0) return kPreferred;
  return before;
}

bool prefer_this_session() {
  if (::getsid(0) != ::getpid()) return false;  // somebody's shell is not ours to raise
  int fd = ::open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::string value = std::to_string(kPreferred);
  bool done = ::write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  ::close(fd);
  return done;
}

void relax_timers() { ::prctl(PR_SET_TIMERSLACK, kRelaxedNs, 0, 0, 0); }
void keep_timers_exact() { ::prctl(PR_SET_TIMERSLACK, kExactNs, 0, 0, 0); }

}  // namespace dmsc::runtime
