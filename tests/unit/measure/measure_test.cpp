#include <catch2/catch.hpp>
#include <limits>

#include "dmsc/measure/estimator.hpp"
#include "dmsc/measure/quality.hpp"
#include "dmsc/measure/threshold.hpp"

using namespace dmsc;
using namespace dmsc::measure;

namespace {
Time at(double s) { return Time(Duration(static_cast<std::int64_t>(s * 1e9))); }
ThresholdConfig delay_50ms() {
  ThresholdConfig c;
  c.trip = 50'000;
  c.clear = 40'000;
  return c;
}
}  // namespace

TEST_CASE("measure: the peer's holding time is no part of the round trip") {
  CHECK(round_trip({1000, 500, 700, 2000}) == Duration(800));
  CHECK(round_trip({1000, 500, 9000, 2000}) == Duration(1000));  // a lie is ignored
  CHECK(round_trip({2000, 0, 0, 1000}) == Duration(0));
}

TEST_CASE("measure: stamps from the far ends of the clock do not overflow") {  // found by fuzzing
  const std::int64_t first = std::numeric_limits<std::int64_t>::min(),
                     last = std::numeric_limits<std::int64_t>::max();
  CHECK(round_trip({1000, first, last, 2000}) == Duration(1000));
  CHECK(round_trip({1000, last, first, 2000}) == Duration(999));  // one apart, around the end
  CHECK(round_trip({first, 0, 0, last}) == Duration(0));
}

TEST_CASE("measure: delay and jitter converge on steady samples") {
  DelayEstimator e;
  CHECK_FALSE(e.known());
  for (int i = 0; i < 200; ++i) e.add(i % 2 == 0 ? milliseconds(10) : milliseconds(12));
  CHECK(e.mean() > milliseconds(10));
  CHECK(e.mean() < milliseconds(12));
  CHECK(e.jitter() > microseconds(1900));
  CHECK(e.jitter() <= milliseconds(2));
  CHECK(e.floor() >= milliseconds(10));
  CHECK(e.floor() < microseconds(10'100));
}

TEST_CASE("measure: loss is a share of the last 256, unknown before 8") {
  LossWindow w;
  for (int i = 0; i < 7; ++i) w.add(true);
  CHECK_FALSE(w.ppm());
  for (int i = 0; i < 256; ++i) w.add(false);
  CHECK(w.ppm() == 0);
  for (int i = 0; i < 64; ++i) w.add(true);
  CHECK(w.ppm() == 250'000);
}

TEST_CASE(
    "measure: two lost probes of a minute are below 5 %, four are not, and a minute forgets them") {
  BasicLossWindow<64, 32> w;
  for (int i = 0; i < 30; ++i) w.add(false);
  w.add(true);
  CHECK_FALSE(w.ppm());
  w.add(true);
  for (int i = 0; i < 32; ++i) w.add(false);
  CHECK(*w.ppm() < 50'000);
  w.add(true);
  w.add(true);
  CHECK(*w.ppm() >= 50'000);
  for (int i = 0; i < 64; ++i) w.add(false);
  CHECK(w.ppm() == 0);
}

TEST_CASE("measure: a rate follows the byte counter") {
  RateMeter m;
  for (int i = 0; i <= 100; ++i) m.sample(at(i * 0.1), static_cast<std::uint64_t>(i) * 12'500);
  CHECK(m.bits_per_second() == Approx(1e6).epsilon(0.01));
  m.sample(at(10.1), 5);  // the counter was reset
  CHECK(m.bits_per_second() == 0);
}

TEST_CASE("measure: a path is the sum of its links, its bandwidth the least") {
  Quality a{100, 30, 10'000, 5'000'000, {}}, b{200, 40, 10'000, 2'000'000, {}};
  Quality links[] = {a, b};
  Quality path = compose(links);
  CHECK(path.delay_us == 300);
  CHECK(path.jitter_us == 50);
  CHECK(path.loss_ppm == 19'900);
  CHECK(path.bandwidth_bps == 2'000'000);
  links[1].delay_us.reset();
  CHECK_FALSE(compose(links).delay_us);
  CHECK(compose({}) == Quality{});
}

TEST_CASE("R31 thresholds are inclusive: delay >= trip and bandwidth <= trip") {
  ThresholdMachine delay(delay_50ms());
  for (int i = 0; i < 3; ++i) delay.add(at(i * 0.5), 49'999);
  CHECK_FALSE(delay.tripped());
  for (int i = 0; i < 8; ++i) delay.add(at(4 + i * 0.5), 50'000);
  CHECK(delay.tripped());
  ThresholdConfig c;
  c.direction = Direction::at_most;
  c.trip = 1e6;
  c.clear = 2e6;
  ThresholdMachine bandwidth(c);
  for (int i = 0; i < 5; ++i) bandwidth.add(at(i * 0.5), 1e6 + 1);
  CHECK_FALSE(bandwidth.tripped());
  for (int i = 0; i < 8; ++i) bandwidth.add(at(5 + i * 0.5), 1e6);
  CHECK(bandwidth.tripped());
}

TEST_CASE("thresholds: one outlier trips nothing, silence changes nothing") {
  ThresholdMachine m(delay_50ms());
  for (int i = 0; i < 10; ++i) CHECK_FALSE(m.add(at(i * 0.3), i == 5 ? 900'000 : 1'000));
  for (int i = 0; i < 10; ++i) m.add(at(4 + i * 0.3), 90'000);
  REQUIRE(m.tripped());
  CHECK_FALSE(m.tick(at(1000)));
  CHECK(m.tripped());
  CHECK_FALSE(m.median(at(1000)));
}

TEST_CASE("thresholds: between clear and trip the state stays, clear ends it after the dwell") {
  ThresholdMachine m(delay_50ms());
  double t = 0;
  auto feed = [&](double value, double for_seconds) {
    for (double end = t + for_seconds; t < end; t += 0.25) m.add(at(t), value);
  };
  feed(60'000, 3);
  REQUIRE(m.tripped());
  feed(45'000, 20);
  CHECK(m.tripped());
  feed(40'000, 4);
  CHECK_FALSE(m.tripped());
}

TEST_CASE("thresholds: flapping doubles the dwell, quiet restores it") {
  ThresholdMachine m(delay_50ms());
  double t = 0;
  int changes = 0;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 16; ++i, t += 0.25)
      changes += m.add(at(t), round % 2 == 0 ? 90'000 : 1'000);
  }
  CHECK(changes < 15);
  CHECK(m.dwell() > seconds(5));
  for (int i = 0; i < 16000; ++i, t += 0.25) m.add(at(t), 1'000);
  for (int i = 0; i < 16; ++i, t += 0.25) m.add(at(t), 90'000);
  CHECK(m.tripped());
  CHECK(m.dwell() == seconds(5));
}
