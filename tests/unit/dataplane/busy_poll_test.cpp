// The rules of when a worker looks again before it sleeps.
#include "dmsc/dataplane/busy_poll.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::dataplane;

namespace {

// A worker's loop in virtual time: events come as told; a look costs a microsecond.
struct Loop {
  BusyPoll busy;
  Time now{seconds(1)};
  Duration looked{};
  int sleeps = 0;
  Duration others{};  // what a yield takes
  Duration limit = microseconds(50);

  void until(Time event) {
    const Time begun = now;
    const Duration budget = busy.budget(now);
    CHECK(budget <= limit);
    while (budget > Duration::zero() && now < begun + budget) {
      if (now >= event) return;
      now += microseconds(1) + others;
      looked += microseconds(1);
      if (busy.yielded(now, microseconds(1) + others)) break;
    }
    if (budget > Duration::zero() && now >= begun + budget) busy.in_vain();
    const Time asleep = now;
    now = std::max(now, event);
    ++sleeps;
    busy.slept(now - asleep, true);
  }
};

}  // namespace

TEST_CASE("busy poll: a worker that is woken now and then never looks") {
  Loop loop;
  for (int i = 0; i < 1000; ++i) loop.until(loop.now + milliseconds(1));
  CHECK(loop.looked == Duration::zero());
  CHECK(loop.sleeps == 1000);
}

TEST_CASE("busy poll: after a short sleep it looks, at most 50 us, and sleeps once traffic is over") {
  Loop loop;
  for (int i = 0; i < 1000; ++i) loop.until(loop.now + microseconds(20));
  CHECK(loop.sleeps == 1);  // the first
  const Duration before = loop.looked;
  loop.until(loop.now + seconds(10));
  CHECK(loop.sleeps == 2);
  CHECK(loop.looked - before <= microseconds(50));
  loop.until(loop.now + seconds(10));
  CHECK(loop.looked - before <= microseconds(50));
}

TEST_CASE("busy poll: a core that others need is left to them for 10 ms") {
  Loop loop;
  loop.others = microseconds(4);
  for (int i = 0; i < 1000; ++i) loop.until(loop.now + microseconds(20));  // 20 ms
  CHECK(loop.looked <= microseconds(4));
  CHECK(loop.sleeps > 990);
}

TEST_CASE("U28 busy poll: never longer than configured, which is at most 50 us, and not at all when off") {
  for (int us : {0, 1, 10, 30, 50, 1000}) {
    Loop loop;
    loop.limit = std::min<Duration>(microseconds(us), microseconds(50));
    loop.busy.limit(microseconds(us));
    for (int i = 0; i < 1000; ++i) loop.until(loop.now + microseconds(20));
    INFO(us << " us");
    CHECK((loop.sleeps == 1) == (us > 20));
    CHECK((loop.looked > Duration::zero()) == (us > 20));
    const Duration before = loop.looked;
    loop.until(loop.now + seconds(10));
    CHECK(loop.looked - before <= loop.limit);
  }
}

TEST_CASE("U28 busy poll: switched off while it looks, it sleeps from then on") {
  Loop loop;
  for (int i = 0; i < 10; ++i) loop.until(loop.now + microseconds(20));
  REQUIRE(loop.sleeps == 1);
  loop.busy.limit(Duration::zero());
  loop.limit = Duration::zero();
  const Duration before = loop.looked;
  for (int i = 0; i < 1000; ++i) loop.until(loop.now + microseconds(20));
  CHECK(loop.looked == before);
  CHECK(loop.sleeps == 1001);
}
