#include "tests/sim/cases.hpp"

#include <ctime>

namespace dmsc::sim {
namespace {

constexpr std::size_t kSide = 10;
constexpr int kTries = 12;

double ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

Announced one_name(World& w, std::size_t node) {
  Announced out;
  std::string subtree = "g" + std::to_string(node + 1);
  out.grants.push_back(w.pki.grant(w.specs[node].id, *Name::parse(subtree), {}, 100 + node));
  wire::PrefixEntry entry;
  entry.name = *Name::parse(subtree + "/s");
  entry.instances.push_back({InstanceId{1}, 100});
  out.entries.push_back(entry);
  return out;
}

Time last_fib_change(const World& w) {
  Time last{};
  for (const auto& node : w.nodes) {
    if (node) last = std::max(last, node->fib_changed());
  }
  return last;
}

// From `since` to the last change of any FIB, ms; runs `wait` ahead first.
double fib_settled_ms(World& w, Time since, Duration wait) {
  w.run_until(since + wait);
  Time last = last_fib_change(w);
  return last < since ? 0 : ms(last - since);
}

// Runs a case on the quiet grid several times, on links drawn anew; the worst counts.
template <class Try>
void on_grid(CaseContext& c, Try&& one) {
  JudgeMemo memo;
  World w(c.pki, memo, c.seed, c.options);
  build_grid(w, kSide, kSide, milliseconds(1));
  std::size_t grid_links = 2 * kSide * (kSide - 1);
  for (int i = 0; i < kTries && c.wrong.empty(); ++i) {
    c.wrong = settle(w, seconds(5));
    if (c.wrong.empty()) one(w, w.rng.below(grid_links));
    w.run_until(w.now + seconds(10));  // quiet again: HOLDDOWN is over
  }
}

std::vector<Figure> announced_failure(CaseContext& c) {
  double worst = 0, second = 0;
  on_grid(c, [&](World& w, std::size_t link) {
    Time begin = w.now;
    w.cut(link, true, true);
    std::size_t other = (link + 1 + w.rng.below(2 * kSide * (kSide - 1) - 1)) % (2 * kSide * (kSide - 1));
    worst = std::max(worst, fib_settled_ms(w, begin, milliseconds(100)));
    Time again = w.now;
    w.cut(other, true, true);
    second = std::max(second, fib_settled_ms(w, again, seconds(1)));
    c.wrong = settle(w, seconds(4));
    w.restore(link);
    w.restore(other);
  });
  return {{"grid-link-failure: announced loss to last FIB change", worst, "ms", 60},
          {"grid-link-failure: a second loss 100 ms later", second, "ms", 300}};
}

std::vector<Figure> silent_failure(CaseContext& c) {
  double down = 0, worst = 0;
  on_grid(c, [&](World& w, std::size_t link) {
    Time begin = w.now;
    w.cut(link, w.rng.chance(0.5), false);
    worst = std::max(worst, fib_settled_ms(w, begin, seconds(2)));
    // One way: the end that hears nothing finds out, and says good-bye to the other.
    const SimNode& deaf = *w.nodes[w.links[link].ends[1].node];
    down = std::max(down, ms(deaf.adjacency_lost() - begin));
    c.wrong = settle(w, seconds(3));
    w.restore(link);
  });
  return {{"grid-silent-failure: silence to neighbour down", down, "ms", 350},
          {"grid-silent-failure: silence to last FIB change", worst, "ms", 450}};
}

std::vector<Figure> link_up(CaseContext& c) {
  double worst = 0;
  on_grid(c, [&](World& w, std::size_t link) {
    w.cut(link, true, true);
    w.run_until(w.now + seconds(10));
    Time begin = w.now;
    w.restore(link);
    worst = std::max(worst, fib_settled_ms(w, begin, milliseconds(1500)));
    if (c.wrong.empty()) c.wrong = check_invariants(w);
  });
  return {{"link-up: up to in use everywhere", worst, "ms", 1000}};
}

// Does anybody's route to another node lead through `node`?
bool carries_transit(const World& w, std::size_t node) {
  NodeId through = w.specs[node].id;
  bool found = false;
  for (std::size_t i = 0; i < w.nodes.size(); ++i) {
    if (!w.nodes[i] || i == node) continue;
    w.nodes[i]->fib().for_each_node([&](NodeId to, const forwarding::NodeRoute& route) {
      if (to == through) return;
      for (const auto& hop : route.next_hops()) found = found || hop.neighbour == through;
    });
  }
  return found;
}

std::vector<Figure> starting_node(CaseContext& c) {
  double early = 0, slowest = 0;
  on_grid(c, [&](World& w, std::size_t link) {
    std::size_t node = w.links[link].ends[0].node;
    std::uint64_t epoch = w.nodes[node]->epoch();
    w.crash(node);
    w.run_until(w.now + seconds(6));
    Time begin = w.now;
    w.restart(node, w.rng.chance(0.5) ? epoch : 0);
    bool synchronised = false, used = false;
    while (w.now < begin + seconds(5) && !used) {
      w.run_until(w.now + milliseconds(1));
      synchronised = synchronised || w.nodes[node]->engine().synchronised();
      used = carries_transit(w, node);
      if (used && !synchronised) early += 1;
    }
    slowest = std::max(slowest, ms(w.now - begin));
    if (!used) c.wrong = "n" + std::to_string(node + 1) + " carries no transit 5 s after its start";
  });
  return {{"starting-node: transit before it was synchronised", early, "times", 0, "sum"},
          {"starting-node: start to first transit", slowest, "ms", {}}};
}

std::vector<Figure> start_1200(CaseContext& c) {
  Options options = c.options;
  options.nodes = 1200;
  options.walk = false;
  JudgeMemo memo;
  World w(c.pki, memo, c.seed, options);
  build_topology(w);
  Time begin = w.now;
  w.start_all(seconds(1));
  double converged = 0;
  while (w.now < begin + seconds(60)) {
    w.run_until(w.now + milliseconds(500));
    c.wrong = w.now < begin + seconds(2) ? "not all have started" : check_invariants(w);
    if (c.wrong.empty()) break;
  }
  converged = std::chrono::duration<double>(w.now - begin).count();
  return {{"start-1200: start of the first node to every FIB right", converged, "virtual s", 60}};
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::vector<Figure> hours(CaseContext& c, const std::string& name, double count, Tags tags) {
  Options options = c.options;
  options.nodes = 100;
  options.tags = tags;
  options.minutes = 60 * count;
  if (options.fault_gap == 0) options.fault_gap = 30;
  if (options.liveness == Duration::zero()) options.liveness = milliseconds(50);  // the default
  double begin = cpu_seconds();
  Outcome out = run_seed(c.pki, c.seed, options);
  c.wrong = out.wrong;
  double limit = tags == Tags::stub ? 10 : 40;
  std::string with = tags == Tags::stub ? "link tags stubbed" : "link tags real";
  Figure cost{name + ": processor time of a virtual hour, " + with, (cpu_seconds() - begin) / count, "s", limit};
  return {cost,
          {name + ": packets", static_cast<double>(out.packets), "", {}, "sum"},
          {name + ": micro-loops", static_cast<double>(total(out.loops.histogram(LoopKind::waiting))), "", {}, "sum"},
          quantile_figure(name + ": micro-loops outside LONG_WAIT, p99",
                          out.loops.histogram(LoopKind::outside), 0.99, "ms"),
          {name + ": last fault to every FIB right", out.converged, "virtual s", 5}};
}

std::vector<Figure> hour(CaseContext& c) { return hours(c, "hour", 1, c.options.tags); }
std::vector<Figure> hour_real(CaseContext& c) { return hours(c, "hour-real", 1, Tags::real); }
std::vector<Figure> day(CaseContext& c) { return hours(c, "day", 24, c.options.tags); }

std::vector<Figure> repeat(CaseContext& c) {
  c.options.nodes = c.options.nodes == 0 ? 20 : c.options.nodes;
  std::uint64_t first = run_seed(c.pki, c.seed, c.options).fingerprint;
  std::uint64_t second = run_seed(c.pki, c.seed, c.options).fingerprint;
  return {{"repeat: runs of one seed that differ", first == second ? 0.0 : 1.0, "", 0, "sum"}};
}

}  // namespace

void build_grid(World& w, std::size_t columns, std::size_t rows, Duration delay) {
  for (std::size_t i = 0; i < columns * rows; ++i) w.add_node(false, false);
  for (std::size_t y = 0; y < rows; ++y) {
    for (std::size_t x = 0; x < columns; ++x) {
      std::size_t at = y * columns + x;
      if (x + 1 < columns) w.add_link(at, at + 1, delay, 10);
      if (y + 1 < rows) w.add_link(at, at + columns, delay, 10);
    }
  }
  for (std::size_t corner : {std::size_t{0}, columns - 1, columns * (rows - 1), columns * rows - 1}) {
    std::size_t gateway = w.add_node(true, false);
    w.add_link(corner, gateway, delay, 10);
    w.announced[gateway] = one_name(w, gateway);
  }
  w.start_all();
  w.run_until(w.now + seconds(10));
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"grid-link-failure", "10x10 grid: announced loss of a link, and a second one", announced_failure},
      {"grid-silent-failure", "10x10 grid: packets vanish, one way or both", silent_failure},
      {"link-up", "10x10 grid: a link comes back", link_up},
      {"starting-node", "10x10 grid: a router starts again", starting_node},
      {"path-mtu", "random networks whose links become narrower and wider", path_mtu_case},
      {"start-1200", "1,200 nodes started within 1 s all converge", start_1200},
      {"hour", "one virtual hour of 100 nodes, a fault every 30 s", hour},
      {"hour-real", "the same with the HMAC of every packet made and checked", hour_real},
      {"day", "one virtual day of 100 nodes, a fault every 30 s", day},
      {"repeat", "one seed twice: the same events, byte by byte", repeat},
  };
  return all;
}

const Case* find_case(const std::string& name) {
  for (const Case& c : cases()) {
    if (name == c.name) return &c;
  }
  return nullptr;
}

}  // namespace dmsc::sim
