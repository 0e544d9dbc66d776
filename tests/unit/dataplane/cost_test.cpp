// What a packet costs a worker besides instructions: allocations, locks and system calls, counted
// on its own thread by stepping in front of the allocator and the C library.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "tests/unit/dataplane/hand_played.hpp"

// A sanitizer has its own allocator and locks.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
struct Costs {
  unsigned allocations = 0, locks = 0, calls = 0;
};
thread_local Costs costs;

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
}  // namespace

void* operator new(std::size_t bytes) {
  ++costs.allocations;
  if (void* p = std::malloc(bytes != 0 ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

extern "C" {
int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
  ++costs.locks;
  return real(mutex);
}
int recvmmsg(int fd, mmsghdr* messages, unsigned n, int flags, timespec* timeout) {
  static const auto real = next<int (*)(int, mmsghdr*, unsigned, int, timespec*)>("recvmmsg");
  ++costs.calls;
  return real(fd, messages, n, flags, timeout);
}
int sendmmsg(int fd, mmsghdr* messages, unsigned n, int flags) {
  static const auto real = next<int (*)(int, mmsghdr*, unsigned, int)>("sendmmsg");
  ++costs.calls;
  return real(fd, messages, n, flags);
}
ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* to,
               socklen_t length) {
  static const auto real =
      next<ssize_t (*)(int, const void*, size_t, int, const sockaddr*, socklen_t)>("sendto");
  ++costs.calls;
  return real(fd, data, size, flags, to, length);
}
int epoll_wait(int fd, epoll_event* events, int n, int timeout) {
  static const auto real = next<int (*)(int, epoll_event*, int, int)>("epoll_wait");
  ++costs.calls;
  return real(fd, events, n, timeout);
}
ssize_t read(int fd, void* data, size_t size) {
  static const auto real = next<ssize_t (*)(int, void*, size_t)>("read");
  ++costs.calls;
  return real(fd, data, size);
}
ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  ++costs.calls;
  return real(fd, data, size);
}
}

using namespace dmsc;
using namespace dmsc::dataplane;

namespace {

constexpr unsigned kPackets = 128;  // two receive calls

enum class By { label, egress, name };

Bytes packet(HandPlayed& node, By by, unsigned i) {
  wire::ServicePacketSpec spec;
  spec.kind = wire::PacketKind::packet;
  spec.ingress = kUpstream;
  spec.destination = "B/4";
  if (by != By::name) spec.egress = kDownstream;
  if (by == By::label) spec.label = PathLabel{0x100001};
  spec.flow = i % 7;
  Bytes out = wire::build_service_packet(spec, Bytes(200, 'x')).value();
  node.tag(out);
  return out;
}

// What the worker's thread spends on kPackets that wait for it when it wakes.
Costs spent(HandPlayed& node, By by) {
  std::vector<Bytes> packets;
  for (unsigned i = 0; i < kPackets; ++i) packets.push_back(packet(node, by, i));
  Worker& worker = *node.plane->workers()[0];
  std::promise<void> held, sent;
  std::promise<Costs> done;
  std::uint64_t before = node.plane->counters().forwarded;
  worker.post([&] {  // the worker waits here while the packets gather
    held.set_value();
    sent.get_future().wait();
    costs = {};
  });
  held.get_future().wait();
  for (const Bytes& p : packets) node.send(p);
  worker.post([&] { done.set_value(costs); });
  sent.set_value();
  Costs out = done.get_future().get();
  REQUIRE(node.plane->counters().forwarded - before == kPackets);
  return out;
}

}  // namespace

TEST_CASE(
    "data plane: a forwarded packet costs no allocation, no lock and a fraction of a system call") {
  HandPlayed node;
  for (By by : {By::label, By::egress, By::name}) {
    for (int run = 0; run < 5; ++run) {
      Costs c = spent(node, by);
      CHECK(c.allocations == 0);
      CHECK(c.locks <= 2);   // the queue of posted tasks
      CHECK(c.calls <= 12);  // epoll, wake-up, 3 receive calls, 2 send calls
      CHECK(c.calls >= 5);   // the count itself works
    }
  }
}

TEST_CASE("data plane: the hooks of the test above see what they are for") {
  HandPlayed node;
  Costs seen;
  node.on_worker([&](Worker&) {
    costs = {};
    std::mutex mutex;
    { std::lock_guard lock(mutex); }
    delete new int(1);
    char byte = 0;
    (void)!::read(-1, &byte, 1);
    seen = costs;
  });
  CHECK(seen.locks == 1);
  CHECK(seen.calls == 1);
  CHECK(seen.allocations <= 1);  // the compiler may leave the pair out
}

#endif
