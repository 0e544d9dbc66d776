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

  void until(Time event) {
    const Time begun = now;
    const Duration budget = busy.budget(now);
    CHECK(budget <= microseconds(50));
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
