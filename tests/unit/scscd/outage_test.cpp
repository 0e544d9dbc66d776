// What short link failures look like to the scheduling center: a gateway's probes, once a second
// over Figure 2's link sg-1 - sr-2, in virtual time. docs/protocol.md, "Signalling 4".
#include <catch2/catch.hpp>

#include "dmsc/measure/probe_record.hpp"
#include "tests/unit/scscd/center.hpp"

using namespace dmsc;
using namespace dmsc::test;
using namespace dmsc::scscd;

namespace {

constexpr double kNotice = 0.32;  // hold time, flooding, SPF
constexpr double kReturn = 0.6;   // handshake, hold before it is told, SPF

struct Outage {
  double from = 0, length = 0;
  bool cut(double t) const { return t >= from && t < from + length; }
  // Packets go round the link. A failure shorter than the hold time is never noticed.
  bool routed_round(double t) const {
    return length > kNotice && t >= from + kNotice && t < from + length + kReturn;
  }
};

// The center, and a gateway that calls B/4 and probes it. `Record` is what it keeps of its probes.
template <class Record>
struct Gateway {
  Harness center;
  Record record;
  std::vector<Outage> outages;
  double lossy = 0;       // every n-th probe is lost on the wire, 0 = none
  bool knows_way = true;  // false: takes every lost probe for a loss of the path
  bool linked = true;
  std::uint64_t version = 1, sent = 0;

  Gateway() {
    auto level = Harness::config();
    level.thresholds[0].levels[Metric::loss] = {50'000, 20'000};  // as in config/scscd.yaml
    center.decider.reconfigure(level);
    // The way by sr-2 is short, the other one a little quicker: of no use as long as sr-2's will
    // do.
    for (auto [a, b] : {std::pair{kSg1, kSr2}, std::pair{kSr2, kSg4}}) center.link_delay(a, b, 1.5);
  }
  bool round(double t) const {
    return std::any_of(outages.begin(), outages.end(), [&](auto& o) { return o.routed_round(t); });
  }
  bool cut(double t) const {
    return std::any_of(outages.begin(), outages.end(), [&](auto& o) { return o.cut(t); });
  }
  std::uint64_t way(double t) const { return knows_way && round(t) ? 2 : 1; }

  // The LSDB follows: the link leaves or returns at both ends.
  void flood(bool up) {
    if (up == linked) return;
    linked = up;
    Figure2 now;
    if (!up) {
      std::erase(now.links[kSg1], kSr2);
      std::erase(now.links[kSr2], kSg1);
    }
    ++version;
    for (std::uint32_t n : {kSg1, kSr2}) {
      wire::LsaPtr lsa = now.node_lsa(n);
      auto newer = wire::make_lsa(lsa->key, {1, version}, 3600, false, lsa->body(),
                                  key_of(static_cast<std::uint8_t>(n)));
      REQUIRE(center.view.apply(NodeId{kSr1}, DomainView::Event::installed, (*newer)->raw).ok());
    }
  }

  // `phase`: when in the second the probe leaves.
  void run(double until, double phase) {
    while (center.t < until) {
      double leaves = center.t + phase;
      record.sent(way(leaves));
      bool gone = (cut(leaves) && !round(leaves)) || (lossy > 0 && std::fmod(++sent, lossy) < 1);
      flood(!round(center.t));
      measure::Quality q = delay_ms(1);
      q.loss_ppm = record.loss_ppm().value_or(0);
      center.targets[target(kSg1, "B/4", kSg4)] = q;
      center.run(1);
      if (gone) {
        record.lost(way(leaves + 1));  // the probe's deadline
      } else {
        record.answered(center.at(), milliseconds(1), true);
      }
    }
  }
  bool path_in_use() {
    auto paths = center.template of<Path>(kSg1);
    return !paths.empty() && paths[0].phase == Path::Phase::use;
  }
  bool tripped() const {
    return std::any_of(center.log.begin(), center.log.end(),
                       [](const Decision& d) { return d.event == "tripped"; });
  }
};

// The lab's test of silent links: three failures, ten seconds apart.
std::vector<Outage> three(double first, double length) {
  return {{first, length}, {first + 10, length}, {first + 20, length}};
}

}  // namespace

TEST_CASE("R31 a short outage that SPF repairs is no loss of the path and brings no policy") {
  for (double length : {1.0, 3.5}) {
    for (double first : {5.0, 12.0, 33.0, 60.0}) {
      for (double phase : {0.0, 0.2, 0.4, 0.6, 0.8}) {
        Gateway<measure::ProbeRecord> g;
        g.outages = three(first + 0.1, length);
        g.run(first + 60, phase);
        INFO("outages of " << length << " s from " << first << " s, probes at +" << phase << " s");
        CHECK_FALSE(g.tripped());
        CHECK_FALSE(g.path_in_use());
      }
    }
  }
}

// Why ProbeRecord is as it is: the same outages, every lost probe counted.
template <class Record>
void counted_plainly() {
  Gateway<Record> g;
  g.knows_way = false;
  g.outages = three(12.1, 1.0);
  g.run(38, 0.2);
  CHECK(g.tripped());
  CHECK(g.path_in_use());
}

TEST_CASE("R31 counting probes lost to an outage brings a path that outlives it") {
  SECTION("over 256 probes, known from 8 on") {
    counted_plainly<measure::BasicProbeRecord<256, 8>>();
  }
  SECTION("over 64 probes, known from 32 on") {
    counted_plainly<measure::BasicProbeRecord<64, 32>>();
  }
  SECTION("for minutes") {
    Gateway<measure::BasicProbeRecord<256, 8>> g;
    g.knows_way = false;
    g.outages = three(12.1, 1.0);
    g.run(33.1 + 100, 0.2);  // the last outage ended at 33.1 s
    CHECK(g.path_in_use());
  }
}

TEST_CASE("R31 a path that loses a tenth of the probes still trips the loss threshold") {
  Gateway<measure::ProbeRecord> g;
  g.lossy = 10;
  g.run(60, 0.2);
  CHECK(g.tripped());
}
