// Links that become narrower and wider: every node's path MTUs are right after quiet (LS-V5, LS-V9, PM1, PM2).
#include "tests/sim/cases.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/scenario.hpp"

namespace dmsc::sim {
namespace {

constexpr int kRounds = 4;
constexpr Duration kSearchAgain = minutes(11);  // a wider link is looked for every ten minutes

double seconds_of(Duration d) { return std::chrono::duration<double>(d).count(); }

std::uint16_t some_mtu(World& w) {
  // Among them the least, more than any interface sends, and one the network has without that.
  constexpr std::uint16_t kSpecial[] = {1280, 1400, 1399, 9000};
  return w.rng.chance(0.25) ? kSpecial[w.rng.below(4)] : static_cast<std::uint16_t>(1281 + w.rng.below(118));
}

void change_links(World& w, bool wider) {
  for (std::size_t link = 0; link < w.links.size(); ++link) {
    if (!w.rng.chance(0.4)) continue;
    for (int end = 0; end < 2; ++end) {
      if (!w.rng.chance(0.6)) continue;
      const std::uint16_t mtu = some_mtu(w), is = w.links[link].mtu[end];
      w.set_mtu(link, end, wider ? std::max(is, mtu) : std::min(is, mtu));
    }
  }
}

// How long after now the network is quiet and every path MTU right, in seconds. `unnoticed`: it may be right by
// chance so long, and is wrong again while a link that was found narrower is searched.
double settled(World& w, CaseContext& c, Duration unnoticed, Duration limit, std::size_t& narrow) {
  const Time begin = w.now;
  w.run_until(w.now + unnoticed);
  for (;;) {
    c.wrong = check_invariants(w);
    if (c.wrong.empty()) c.wrong = check_path_mtus(w);
    if (c.wrong.empty() || w.now >= begin + limit) break;
    w.run_until(w.now + milliseconds(250));
  }
  const double took = seconds_of(w.now - begin);
  w.run_until(w.now + seconds(3));  // and it stays so
  if (c.wrong.empty()) c.wrong = check_path_mtus(w, &narrow);
  return took;
}

// A link lost on both sides, and a metric: other paths, other alternates.
void move_paths(World& w) {
  w.cut(w.rng.below(w.links.size()), true, true);
  w.set_metric(w.rng.below(w.links.size()), static_cast<int>(w.rng.below(2)),
               static_cast<std::uint32_t>(1 + w.rng.below(20)));
}

void restore_all(World& w) {
  for (std::size_t link = 0; link < w.links.size(); ++link) {
    if (w.links[link].cut[0] || w.links[link].cut[1]) w.restore(link);
  }
}

}  // namespace

std::vector<Figure> path_mtu_case(CaseContext& c) {
  Options options = c.options;
  options.walk = false;
  if (options.nodes == 0) options.nodes = 6 + c.seed % 8;
  JudgeMemo memo;
  World w(c.pki, memo, c.seed, options);
  build_topology(w);
  w.liveness = milliseconds(250);
  w.start_all();
  w.run_until(w.now + seconds(10));
  Weather weather;
  weather.loss = c.seed % 2 == 0 ? 0.01 : 0;
  w.set_weather(weather);
  double narrower = 0, moved = 0;
  std::size_t narrow = 0;
  for (int round = 0; round < kRounds && c.wrong.empty(); ++round) {
    change_links(w, false);
    narrower = std::max(narrower, settled(w, c, seconds(3), seconds(30), narrow));
    if (!c.wrong.empty()) break;
    move_paths(w);
    moved = std::max(moved, settled(w, c, Duration(0), seconds(15), narrow));
    if (!c.wrong.empty()) break;
    restore_all(w);
    change_links(w, true);
    w.run_until(w.now + kSearchAgain);
    settled(w, c, Duration(0), seconds(30), narrow);
  }
  if (c.wrong.empty() && narrow == 0) c.wrong = "no path was ever narrow: nothing was tested";
  return {{"path-mtu: links narrower to every path MTU right", narrower, "s", 12},
          {"path-mtu: a link lost to every path MTU right", moved, "s", 5},
          {"path-mtu: paths compared that carry less than 1,400", static_cast<double>(narrow), "", {}, "sum"}};
}

}  // namespace dmsc::sim
