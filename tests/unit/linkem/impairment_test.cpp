#include "impairment.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace linkem;
using namespace std::chrono_literals;

namespace {

Direction with(std::vector<std::string> settings) {
  Parameters p;
  for (const auto& setting : settings) REQUIRE(apply_setting(setting, p) == "");
  Direction d;
  d.configure(0ns, p);
  return d;
}

}  // namespace

TEST_CASE("linkem: without settings a frame passes at once") {
  Direction d;
  Random random(1);
  const auto decision = d.admit(5ms, 1500, random);
  CHECK(decision.fate == Fate::pass);
  CHECK(decision.due == 5ms);
  CHECK(d.counters().frames == 1);
  CHECK(d.counters().bytes == 1500);
}

TEST_CASE("linkem: delay is added to every frame") {
  Direction d = with({"delay=20ms"});
  Random random(1);
  CHECK(d.admit(0ms, 100, random).due == 20ms);
  CHECK(d.admit(7ms, 100, random).due == 27ms);
}

TEST_CASE("linkem: jitter stays in its bounds and keeps the order unless asked") {
  for (const bool reorder : {false, true}) {
    Direction d = with({"delay=20ms", "jitter=5ms", reorder ? "reorder=on" : "reorder=off"});
    Random random(7);
    Nanoseconds last{0}, least = 1s, most{0};
    int overtakes = 0;
    for (int i = 0; i < 2000; ++i) {
      const Nanoseconds now = i * 100us;
      const Nanoseconds due = d.admit(now, 100, random).due;
      overtakes += due < last;
      last = due;
      least = std::min(least, due - now);
      most = std::max(most, due - now);
    }
    CHECK(most <= 25ms);
    CHECK(least >= 15ms);
    CHECK(most - least > 3ms);
    CHECK((overtakes > 0) == reorder);
  }
}

TEST_CASE("linkem: jitter larger than the delay never gives a frame before its arrival") {
  Direction d = with({"delay=1ms", "jitter=10ms", "reorder=on"});
  Random random(3);
  for (int i = 0; i < 500; ++i) CHECK(d.admit(i * 1ms, 64, random).due >= i * 1ms);
}

TEST_CASE("linkem: rate serialises frames one after the other") {
  Direction d = with({"rate=8Mbit/s"});  // 1 byte a microsecond
  Random random(1);
  CHECK(d.admit(0us, 1000, random).due == 1000us);
  CHECK(d.admit(0us, 1000, random).due == 2000us);
  CHECK(d.backlog(500us) == 1500);
  CHECK(d.admit(5000us, 1000, random).due == 6000us);
}

TEST_CASE("linkem: a burst leaves at once after idle time, then the rate holds") {
  Direction d = with({"rate=8Mbit/s", "burst=3000B"});
  Random random(1);
  const Nanoseconds start = 1s;
  for (int i = 0; i < 3; ++i) CHECK(d.admit(start, 1000, random).due == start);
  CHECK(d.admit(start, 1000, random).due == start + 1000us);
  CHECK(d.admit(start, 1000, random).due == start + 2000us);
}

TEST_CASE("linkem: a full queue drops the tail, and takes again when it has drained") {
  Direction d = with({"rate=8Mbit/s", "queue=5000B"});
  Random random(1);
  int passed = 0;
  for (int i = 0; i < 10; ++i) passed += d.admit(0ns, 1000, random).fate == Fate::pass;
  CHECK(passed == 5);
  CHECK(d.counters().queue_full == 5);
  CHECK(d.admit(999us, 1000, random).fate == Fate::queue_full);
  CHECK(d.admit(1000us, 1000, random).fate == Fate::pass);
}

TEST_CASE("linkem: a frame larger than the queue still passes an idle link") {
  Direction d = with({"rate=8Mbit/s", "queue=100B"});
  Random random(1);
  CHECK(d.admit(0ns, 1500, random).fate == Fate::pass);
  CHECK(d.admit(0ns, 1500, random).fate == Fate::queue_full);
}

TEST_CASE("linkem: over a second the accepted bytes match the rate") {
  Direction d = with({"rate=10Mbit/s", "queue=30kB"});
  Random random(1);
  Nanoseconds last{0};
  for (Nanoseconds now{0}; now < 1s; now += 100us) {  // offered: 120 Mbit/s
    const auto decision = d.admit(now, 1500, random);
    if (decision.fate == Fate::pass) last = decision.due;
  }
  const double carried = static_cast<double>(d.counters().bytes) * 8 / 10e6;  // seconds of the line
  CHECK(carried == Approx(static_cast<double>(last.count()) / 1e9).epsilon(0.01));
  CHECK(carried == Approx(1.024).epsilon(0.02));
}

TEST_CASE("linkem: loss is the share asked for, and nothing else is lost") {
  Direction d = with({"loss=10%"});
  Random random(11);
  for (int i = 0; i < 100'000; ++i) d.admit(i * 1us, 100, random);
  CHECK(static_cast<double>(d.counters().lost) == Approx(10'000).epsilon(0.05));
  CHECK(d.counters().frames + d.counters().lost == 100'000);
}

TEST_CASE("linkem: a cut direction passes nothing until it is healed") {
  Direction d = with({"cut=on"});
  Random random(1);
  CHECK(d.admit(0ns, 100, random).fate == Fate::cut);
  Parameters p = d.parameters();
  REQUIRE(apply_setting("cut=off", p) == "");
  d.configure(1ms, p);
  CHECK(d.admit(1ms, 100, random).fate == Fate::pass);
}

TEST_CASE("linkem: a change of rate keeps the backlog in bytes") {
  Direction d = with({"rate=8Mbit/s"});
  Random random(1);
  for (int i = 0; i < 4; ++i) d.admit(0ns, 1000, random);
  Parameters p = d.parameters();
  REQUIRE(apply_setting("rate=80Mbit/s", p) == "");
  d.configure(1000us, p);
  CHECK(d.backlog(1000us) == 3000);
  // Frames already under way are not overtaken by what comes after the change.
  CHECK(d.admit(1000us, 1000, random).due >= 4000us);
}

TEST_CASE("linkem: settings are strict and describe() gives them back") {
  Parameters p;
  for (const char* wrong : {"delay=20", "delay=-1ms", "delay=1h", "delay=61s", "loss=101%",
                            "loss=0.1", "rate=10", "rate=0bit/s", "rate=nan", "queue=1",
                            "reorder=yes", "cut", "speed=1ms", "=1ms", "delay=", "delay=1ms "}) {
    INFO(wrong);
    CHECK(apply_setting(wrong, p) != "");
  }
  CHECK(describe(p) == describe(Parameters{}));
  for (const char* right : {"delay=1.5ms", "jitter=250us", "loss=0.5%", "duplicate=2%", "rate=2.5Mbit/s",
                            "queue=64KiB", "burst=3kB", "reorder=on", "cut=on"}) {
    INFO(right);
    CHECK(apply_setting(right, p) == "");
  }
  const std::string text = describe(p);
  CHECK(text ==
        "delay=1500us jitter=250us loss=0.5% duplicate=2% rate=2500000bit/s queue=65536B burst=3000B reorder=on "
        "cut=on");
  REQUIRE(apply_setting("rate=unlimited", p) == "");
  CHECK(p.rate_bps == 0);
}

TEST_CASE("linkem: duplicates arrive besides their frames, each with a delay of its own") {
  for (const bool reorder : {false, true}) {
    Direction d = with({"delay=20ms", "jitter=5ms", "duplicate=10%", reorder ? "reorder=on" : "reorder=off"});
    Random random(11);
    int copies = 0, before = 0;
    for (int i = 0; i < 5000; ++i) {
      const auto decision = d.admit(i * 100us, 100, random);
      REQUIRE(decision.fate == Fate::pass);
      if (!decision.copy_due) continue;
      ++copies;
      before += *decision.copy_due < decision.due;
      CHECK(*decision.copy_due <= i * 100us + 25ms);
    }
    CHECK((copies > 400 && copies < 600));
    CHECK(d.counters().duplicated == static_cast<std::uint64_t>(copies));
    CHECK(d.counters().frames == 5000);
    CHECK((before > 0) == reorder);
  }
  Direction plain = with({"duplicate=100%"});
  Random random(1);
  CHECK(plain.admit(3ms, 100, random).copy_due == 3ms);
  Direction lossy = with({"duplicate=100%", "loss=100%"});
  CHECK_FALSE(lossy.admit(3ms, 100, random).copy_due);
  Parameters p;
  CHECK(apply_setting("duplicate=0.5%", p) == "");
  CHECK(describe(p).find(" duplicate=0.5% ") != std::string::npos);
  CHECK(apply_setting("duplicate=101%", p) == "duplicate: '101%' is not a share from 0% to 100%");
}
