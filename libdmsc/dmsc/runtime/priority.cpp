#include "dmsc/runtime/priority.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

namespace dmsc::runtime {
namespace {
constexpr int kPreferred = -10;
}

int prefer_this_thread() {
  auto self = static_cast<id_t>(::gettid());
  errno = 0;
  int before = ::getpriority(PRIO_PROCESS, self);
  if (before <= kPreferred && errno == 0) return before;
  if (::setpriority(PRIO_PROCESS, self, kPreferred) == 0) return kPreferred;
  return before;
}

}  // namespace dmsc::runtime
