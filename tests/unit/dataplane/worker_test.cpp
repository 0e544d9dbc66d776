#include <unistd.h>

#include <catch2/catch.hpp>
#include <future>
#include <sys/epoll.h>

#include "dmsc/dataplane/data_plane.hpp"
#include "dmsc/dataplane/reclaimer.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;

namespace {
std::unique_ptr<DataPlane> plane() {
  DataPlaneConfig config;
  config.self = NodeId{1};
  return std::move(DataPlane::create(config)).value();
}
}  // namespace

TEST_CASE("worker: posted tasks run in order, timers in the order of their time, cancelled ones never") {
  auto p = plane();
  p->start();
  Worker& w = *p->workers()[0];
  std::promise<std::string> done;
  std::string order;
  w.post([&] { order += "a"; });
  w.post([&] {
    order += "b";
    w.after(milliseconds(20), [&] {
      order += "e";
      done.set_value(order);
    });
    TimerId never = w.after(milliseconds(10), [&] { order += "!"; });
    w.after(milliseconds(5), [&] { order += "d"; });
    w.after(milliseconds(0), [&] { order += "c"; });
    w.cancel(never);
    w.cancel(never);
  });
  CHECK(done.get_future().get() == "abcde");
  p->stop();
}

TEST_CASE("worker: a watched descriptor is reported until unwatched, also from its own callback") {
  auto p = plane();
  p->start();
  Worker& w = *p->workers()[0];
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  std::promise<int> done;
  int calls = 0;
  bool readable = true;  // checked here, not by the worker: Catch2 knows one thread
  w.post([&] {
    w.watch_fd(fds[0], EPOLLIN, [&](std::uint32_t events) {
      readable = readable && (events & EPOLLIN) != 0;
      if (++calls < 3) return;  // level triggered: nothing is read, so it comes again
      w.unwatch_fd(fds[0]);
      w.after(milliseconds(20), [&] { done.set_value(calls); });
    });
  });
  REQUIRE(::write(fds[1], "x", 1) == 1);
  CHECK(done.get_future().get() == 3);
  CHECK(readable);
  p->stop();
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_CASE("worker: tasks posted after stop are destroyed unrun") {
  auto p = plane();
  p->start();
  p->stop();
  auto token = std::make_shared<int>(1);
  bool ran = false;
  p->workers()[0]->post([token, &ran] { ran = true; });
  CHECK(token.use_count() == 1);
  CHECK_FALSE(ran);
}

TEST_CASE("D2 worker: the flow id alone picks the worker, evenly") {
  std::array<int, 4> hits{};
  for (std::uint64_t flow = 0; flow < 4000; ++flow) ++hits[worker_of_flow(flow, 4)];
  for (int h : hits) CHECK(h > 800);
  CHECK(worker_of_flow(123, 1) == 0);
}

TEST_CASE("data plane: worker count and duplicate links are refused with a reason") {
  DataPlaneConfig config;
  config.workers = 0;
  CHECK_FALSE(DataPlane::create(config).ok());
  config.workers = 65;
  CHECK_FALSE(DataPlane::create(config).ok());
  auto p = plane();
  LinkSockets link;
  link.link = LinkId{1};
  link.name = "up";
  link.local = *SocketAddress::parse("127.0.0.1", 0);
  CHECK(p->open_link(link).ok());
  auto again = p->open_link(link);
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().message.find("up") != std::string::npos);
  link.link = LinkId{2};
  link.local = *SocketAddress::parse("192.0.2.77", 0);  // TEST-NET: not an address of this machine
  auto foreign = p->open_link(link);
  REQUIRE_FALSE(foreign.ok());
  CHECK(foreign.error().message.find("192.0.2.77") != std::string::npos);
}

TEST_CASE("reclaimer: memory is freed only after a reader's quiescent point") {
  QsbrReclaimer reclaimer;
  std::atomic<bool> freed{false};
  std::promise<void> online, retired;
  std::atomic<bool> freed_early{false};
  std::thread reader([&] {
    QsbrReader self;
    online.set_value();
    retired.get_future().wait();
    for (int i = 0; i < 50; ++i) {
      if (freed) freed_early = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    self.offline();
  });
  online.get_future().wait();
  reclaimer.retire([&] { freed = true; });
  retired.set_value();
  reader.join();
  reclaimer.flush();
  CHECK(freed);
  CHECK_FALSE(freed_early);
}
