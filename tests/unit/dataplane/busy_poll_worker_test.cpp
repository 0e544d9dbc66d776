// A worker looks again before it sleeps only where it is told to: its yields are counted by stepping in front of the
// C library.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "dmsc/dataplane/data_plane.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;

namespace {

std::atomic<std::uint64_t> yields{0};

// A worker with a descriptor that somebody writes to.
struct Woken {
  std::unique_ptr<DataPlane> plane;
  int fd = ::eventfd(0, EFD_NONBLOCK);

  Woken() {
    DataPlaneConfig config;
    config.self = NodeId{1};
    config.busy_poll = Duration::zero();
    plane = std::move(DataPlane::create(config)).value();
    plane->start();
    Worker& worker = *plane->workers()[0];
    worker.post([this, &worker] {
      worker.watch_fd(fd, EPOLLIN, [this](std::uint32_t) {
        std::uint64_t count = 0;
        (void)!::read(fd, &count, sizeof count);
      });
    });
  }
  ~Woken() {
    plane->stop();
    ::close(fd);
  }
  void limit(Duration longest) {
    plane->set_busy_poll(longest);
    std::promise<void> done;
    plane->workers()[0]->post([&] { done.set_value(); });
    done.get_future().wait();
  }
  // How often the worker yields while it is woken every now and then, so many times.
  std::uint64_t yields_of(int times) {
    const std::uint64_t before = yields.load();
    for (int i = 0; i < times; ++i) {
      const std::uint64_t one = 1;
      (void)!::write(fd, &one, sizeof one);
      const auto until = std::chrono::steady_clock::now() + microseconds(20);
      while (std::chrono::steady_clock::now() < until) {
      }
    }
    return yields.load() - before;
  }
};

}  // namespace

extern "C" int sched_yield() noexcept {
  ++yields;
  return static_cast<int>(::syscall(SYS_sched_yield));
}

TEST_CASE("U28 busy poll: a gateway's worker looks only while it is switched on") {
  Woken woken;
  CHECK(woken.yields_of(1000) == 0);
  if (std::thread::hardware_concurrency() > 1) {  // else somebody always needs the core
    woken.limit(microseconds(50));
    std::uint64_t looked = 0;
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (looked == 0 && std::chrono::steady_clock::now() < end) looked = woken.yields_of(200);
    CHECK(looked > 0);
    woken.limit(Duration::zero());
  }
  CHECK(woken.yields_of(1000) == 0);
}
