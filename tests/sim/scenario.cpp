#include "tests/sim/scenario.hpp"

#include <algorithm>

namespace dmsc::sim {
namespace {

Name name_of(const std::string& text) { return *Name::parse(text); }

// Each gateway owns the subtree g<i>; every third may join the pool.
std::string subtree_of(std::size_t node) { return "g" + std::to_string(node + 1); }
bool may_pool(std::size_t node) { return node % 3 == 0; }
std::uint64_t serial_of(std::size_t node) { return 100 + node; }

Announced random_announcement(World& w, std::size_t node) {
  Announced out;
  NodeId id = w.specs[node].id;
  std::vector<Name> pools;
  if (may_pool(node)) pools.push_back(name_of("pool"));
  out.grants.push_back(w.pki.grant(id, name_of(subtree_of(node)), pools, serial_of(node)));
  std::size_t count = w.rng.chance(0.1) ? 40 + w.rng.below(60) : 1 + w.rng.below(6);
  for (std::size_t i = 0; i < count; ++i) {
    if (w.rng.chance(0.3)) continue;
    wire::PrefixEntry entry;
    entry.name = name_of(subtree_of(node) + "/s" + std::to_string(i));
    entry.instances.push_back({InstanceId{1}, static_cast<std::uint16_t>(1 + w.rng.below(100))});
    out.entries.push_back(std::move(entry));
  }
  if (may_pool(node) && w.rng.chance(0.7)) {
    out.entries.push_back({name_of("pool"), false, 0, {{InstanceId{1}, 100}}});
  }
  if (w.specs[node].rogue) {  // hijacks a neighbour's name, a pool and a name of nobody
    out.entries.push_back({name_of(subtree_of(node == 0 ? 1 : node - 1)), true, 0, {{InstanceId{1}, 9}}});
    out.entries.push_back({name_of("nobody/owns/this"), false, 0, {{InstanceId{1}, 9}}});
    if (!may_pool(node)) out.entries.push_back({name_of("pool"), false, 0, {{InstanceId{1}, 9}}});
  }
  return out;
}

Weather draw_weather(World& w, double worst_loss) {
  auto share = [&](double option, double most) {
    double drawn = w.rng.chance(0.4) ? 0 : most * static_cast<double>(w.rng.below(1001)) / 1000;
    return option >= 0 ? option : drawn;
  };
  Weather weather;
  weather.loss = share(w.options.loss, worst_loss);
  weather.duplicate = share(w.options.duplicate, 0.1);
  weather.reorder = share(w.options.reorder, 0.1);
  weather.corrupt = share(w.options.corrupt, 0.02);
  return weather;
}

// Fair weather with up to 5 % loss, and in half of the seeds storms of up to 20 %. The last spell is
// fair and does not end: what is lost after the last fault must be repaired as well.
void schedule_weather(World& w, Time begin, Time stop) {
  Weather fair = draw_weather(w, 0.05);
  w.set_weather(fair);
  if (w.rng.chance(0.5)) return;
  for (Time t = begin; t < stop;) {
    Time end = std::min(stop, t + w.rng.between(seconds(1), seconds(10)));
    Weather storm = draw_weather(w, 0.2);
    w.at(t, [&w, storm] { w.set_weather(storm); });
    w.at(end, [&w, fair] { w.set_weather(fair); });
    t = end + w.rng.between(seconds(1), seconds(20));
  }
}

void flap(World& w, std::size_t link, Time from, int times) {
  for (int i = 0; i < times; ++i) {
    bool announced = w.rng.chance(0.5);
    w.at(from, [&w, link, announced] { w.cut(link, true, announced); });
    from += w.rng.between(milliseconds(20), milliseconds(300));
    w.at(from, [&w, link] { w.restore(link); });
    from += w.rng.between(milliseconds(20), milliseconds(300));
  }
}

void crash_and_restart(World& w, std::size_t node, Time when, Time back) {
  // The epoch of the last life is known, lost, or a day old.
  int memory = static_cast<int>(w.rng.below(3));
  auto epoch = std::make_shared<std::uint64_t>(0);
  w.at(when, [&w, node, memory, epoch] {
    if (!w.nodes[node]) return;
    std::uint64_t last = w.nodes[node]->epoch();
    *epoch = memory == 0 ? last : memory == 1 ? 0 : last / 2;
    w.crash(node);
  });
  w.at(back, [&w, node, epoch] {
    if (!w.nodes[node]) w.restart(node, *epoch);
  });
}

// A node and those around it, up to half of all; or any mixture, which tears most links.
std::vector<bool> random_side(World& w) {
  std::vector<bool> side(w.specs.size());
  if (w.specs.size() <= 20 && w.rng.chance(0.5)) {
    for (std::size_t i = 0; i < side.size(); ++i) side[i] = w.rng.chance(0.5);
    return side;
  }
  std::size_t wanted = 1 + w.rng.below(side.size() / 2);
  std::vector<std::size_t> todo{w.rng.below(side.size())};
  for (std::size_t at = 0; at < todo.size() && wanted > 0; ++at) {
    if (side[todo[at]]) continue;
    side[todo[at]] = true;
    --wanted;
    for (std::size_t link : w.links_of[todo[at]]) {
      for (const LinkEnd& end : w.links[link].ends) todo.push_back(end.node);
    }
  }
  return side;
}

void one_fault(World& w, Time when, Time stop) {
  Time back = std::min(when + w.rng.between(milliseconds(100), seconds(6)), stop);
  std::size_t node = w.rng.below(w.specs.size()), link = w.rng.below(w.links.size());
  int end = static_cast<int>(w.rng.below(2));
  auto level = w.rng.chance(0.5) ? linkstate::DrainLevel::soft : linkstate::DrainLevel::hard;
  switch (w.rng.below(11)) {
    case 0:
    case 1: {
      bool both = w.rng.chance(0.7), announced = w.rng.chance(0.5);
      w.at(when, [&w, link, both, announced] { w.cut(link, both, announced); });
      return w.at(back, [&w, link] { w.restore(link); });
    }
    case 2: return crash_and_restart(w, node, when, back);
    case 3: {
      w.at(when, [&w, side = random_side(w)] { w.set_partition(side); });
      return w.at(back, [&w] { w.set_partition({}); });
    }
    case 4: return flap(w, link, when, 2 + static_cast<int>(w.rng.below(6)));
    case 5: {
      w.at(when, [&w, node] { w.set_overload(node, true); });
      return w.at(back, [&w, node] { w.set_overload(node, false); });
    }
    case 6: {
      auto metric = static_cast<std::uint32_t>(1 + w.rng.below(40));
      return w.at(when, [&w, link, end, metric] { w.set_metric(link, end, metric); });
    }
    case 7: {
      w.at(when, [&w, node, level] { w.set_drain(node, level); });
      if (w.rng.chance(0.2)) return;  // some stay drained
      return w.at(back, [&w, node] { w.set_drain(node, linkstate::DrainLevel::none); });
    }
    case 8: {
      w.at(when, [&w, link, end, level] { w.set_link_drain(link, end, level); });
      if (w.rng.chance(0.2)) return;
      return w.at(back, [&w, link, end] { w.set_link_drain(link, end, linkstate::DrainLevel::none); });
    }
    default: {
      if (!w.specs[node].gateway) return;
      Announced what = random_announcement(w, node);
      return w.at(when, [&w, node, what] { w.announce(node, what); });
    }
  }
}

}  // namespace

void build_topology(World& w) {
  std::size_t total = w.options.nodes != 0 ? w.options.nodes : 5 + w.rng.below(36);
  std::size_t gateways = std::max<std::size_t>(2, total * (2 + w.rng.below(4)) / 10);
  std::size_t routers = total - std::min(gateways, total - 2);
  bool rogue = w.rng.chance(0.3);
  for (std::size_t i = 0; i < total; ++i) {
    w.add_node(i >= routers, rogue && i + 1 == total);
    if (i == 0) continue;
    if (i < routers) {
      w.add_link(w.rng.below(i), i);  // a random tree first, so that all are connected
    } else {
      std::size_t homes = 1 + w.rng.below(2);
      for (std::size_t h = 0; h < homes; ++h) w.add_link(w.rng.below(routers), i);
    }
  }
  for (std::size_t extra = 0; extra < routers * 3 / 4; ++extra) {
    std::size_t a = w.rng.below(routers), b = w.rng.below(routers);
    if (a != b) w.add_link(a, b);
  }
  for (std::size_t i = routers; i < total; ++i) w.announced[i] = random_announcement(w, i);
}

bool granted(const World& world, std::size_t node, const std::string& name) {
  if (!world.specs[node].gateway || world.revoked.count(serial_of(node)) != 0) return false;
  if (name == "pool") return may_pool(node);
  return name.rfind(subtree_of(node) + "/", 0) == 0;
}

Time build_scenario(World& w) {
  build_topology(w);
  w.liveness = milliseconds(w.specs.size() <= 10 ? 50 : w.specs.size() <= 30 ? 100 : 250);
  if (w.options.liveness > Duration::zero()) w.liveness = w.options.liveness;
  w.start_all();
  auto length = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::ratio<60>>(w.options.minutes));
  Time begin = w.now + std::min<Duration>(seconds(3), length / 8);
  Time stop = w.now + std::max<Duration>(length - seconds(15), length / 2);
  schedule_weather(w, begin, stop);
  double gap_ms = w.options.fault_gap > 0 ? w.options.fault_gap * 333 : w.specs.size() > 100 ? 1000 : 250;
  for (Time t = begin; t < stop - seconds(3);) {
    one_fault(w, t, stop);
    t += w.rng.between(Duration(0), milliseconds(static_cast<int>(gap_ms * 6)));
  }
  if (w.rng.chance(0.4)) {
    std::size_t node = w.specs.size() - 1 - w.rng.below(2);
    w.at(begin + (stop - begin) / 2, [&w, node] {
      if (w.specs[node].gateway) w.revoke({Pki::kIssuer, serial_of(node)});
    });
  }
  // One node in five seeds stays dead: what it said must lose its effect, not its place.
  if (w.rng.chance(0.2)) {
    std::size_t node = w.rng.below(w.specs.size());
    w.at(stop, [&w, node] { w.crash(node); });
  }
  return stop;
}

}  // namespace dmsc::sim
