// Rate limits of prefixes under virtual time.
#include "sgd/edge_limit.hpp"

#include <catch2/catch.hpp>

using namespace dmsc;
using namespace dmsc::sgd;

namespace {

// Senders with constant rates through one limit; counts what leaves.
struct Line {
  explicit Line(std::uint64_t bps) : shaper(bps) {}
  struct Source {
    std::uint64_t bps = 0;
    std::size_t size = 1400;
    double next_ns = 0;
    std::uint64_t out = 0, lost = 0;
  };
  void send(std::uint32_t sender, std::size_t size) {
    Source& s = sources[sender];
    switch (shaper.offer(now, sender, size)) {
      case FairShaper::Answer::pass: s.out += size; break;
      case FairShaper::Answer::drop: s.lost += size; break;
      case FairShaper::Answer::wait:
        sent_at[serial] = {now, sender};
        shaper.push(sender, {serial++, 0, {}, static_cast<std::uint32_t>(size)});
    }
  }
  void run(Duration time) {
    for (Time end = now + time; now < end; now += microseconds(50)) {
      for (auto& [id, s] : sources) {
        for (; s.bps != 0 && s.next_ns <= double((now - Time{}).count()); s.next_ns += double(s.size) * 8e9 / double(s.bps)) {
          send(id, s.size);
        }
      }
      auto due = shaper.due();
      if (!due || *due > now) continue;
      shaper.release(now, [&](FairShaper::Waiting& w) {
        auto [at, sender] = sent_at[w.flow];
        sources[sender].out += w.size;
        longest = std::max(longest, now - at);
        sent_at.erase(w.flow);
      });
    }
  }
  FairShaper shaper;
  Time now = Time{} + seconds(1);
  std::map<std::uint32_t, Source> sources;
  std::map<std::uint64_t, std::pair<Time, std::uint32_t>> sent_at;
  std::uint64_t serial = 0;
  Duration longest{};
};

double mbps(std::uint64_t bytes, double seconds_of) { return double(bytes) * 8 / 1e6 / seconds_of; }

}  // namespace

TEST_CASE("U15 a limit is kept within two percent, from a tenth of a megabit to a gigabit") {
  for (std::uint64_t rate : {100'000u, 1'000'000u, 20'000'000u, 1'000'000'000u}) {
    Line line(rate);
    line.sources[2] = {2 * rate, 1400, 1e9};
    line.run(seconds(rate < 1'000'000 ? 60 : 5));
    double wanted = double(rate) / 1e6;
    CHECK(mbps(line.sources[2].out, rate < 1'000'000 ? 60 : 5) == Approx(wanted).epsilon(0.02));
  }
}

TEST_CASE("U15 below the limit nothing waits long and nothing is lost") {
  Line line(20'000'000);
  line.sources[2] = {19'000'000, 1400, 1e9};
  line.run(seconds(5));
  CHECK(line.sources[2].lost == 0);
  CHECK(line.longest <= milliseconds(3));
}

TEST_CASE("U15 nothing waits longer than twenty milliseconds, however much is sent") {
  Line line(20'000'000);
  for (std::uint32_t pod : {2u, 3u, 4u}) line.sources[pod] = {60'000'000, 1400, 1e9};
  line.run(seconds(3));
  CHECK(line.longest <= FairShaper::kQueue + 3 * milliseconds(1));
}

TEST_CASE("U15 one hog leaves the others at least 95 percent of their share") {
  Line line(20'000'000);
  line.sources[2] = {200'000'000, 1400, 1e9};  // the hog
  line.sources[3] = {20'000'000, 1400, 1e9};   // wants more than its share
  line.sources[4] = {6'000'000, 200, 1e9};     // wants less than its share, in small packets
  line.run(seconds(5));
  CHECK(mbps(line.sources[4].out, 5) >= 0.95 * 6);
  CHECK(mbps(line.sources[3].out, 5) >= 0.95 * 7);
  CHECK(mbps(line.sources[2].out, 5) <= 1.05 * 7);
  std::uint64_t all = line.sources[2].out + line.sources[3].out + line.sources[4].out;
  CHECK(mbps(all, 5) == Approx(20).epsilon(0.02));
}

TEST_CASE("U15 a limit that was idle lets no more than its burst through at once") {
  Line line(8'000'000);
  line.run(seconds(10));
  std::size_t passed = 0;
  for (int i = 0; i < 100; ++i) passed += line.shaper.offer(line.now, 2, 1000) == FairShaper::Answer::pass ? 1 : 0;
  CHECK(passed == 5);
}
