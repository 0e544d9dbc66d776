#include "tests/sim/oracle.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <set>

#include "tests/sim/scenario.hpp"
#include "tests/sim/walks.hpp"

namespace dmsc::sim {
namespace {

using linkstate::DrainLevel;

constexpr std::uint64_t kFar = ~0ULL >> 1, kDrainedMetric = (1U << 24) - 1;

std::string node_name(std::size_t i) { return "n" + std::to_string(i + 1); }

// A directed, working link out of a node.
struct Arc {
  std::size_t to = 0;
  std::uint64_t metric = 0;
  std::uint32_t link = 0;
};

class Truth {
 public:
  explicit Truth(const World& w)
      : world_(w), out_(w.specs.size()), in_(w.specs.size()), joined_(w.specs.size()) {
    for (const LinkSpec& link : w.links) {
      if (!works(link)) continue;
      for (int end = 0; end < 2; ++end) {
        const LinkEnd &from = link.ends[end], &to = link.ends[1 - end];
        joined_[from.node].push_back(to.node);
        if (std::max(link.drain[0], link.drain[1]) == DrainLevel::hard) continue;
        out_[from.node].push_back({to.node, metric(link, end), from.id.value});
        in_[to.node].push_back({from.node, metric(link, end), from.id.value});
      }
    }
    component_.assign(w.specs.size(), w.specs.size());
    for (std::size_t i = 0; i < component_.size(); ++i) color(i, i);
  }
  bool works(const LinkSpec& link) const {
    return world_.nodes[link.ends[0].node] && world_.nodes[link.ends[1].node] && !link.cut[0] &&
           !link.cut[1];
  }
  bool transit(std::size_t node) const {
    return !world_.specs[node].gateway && !world_.overloaded[node] &&
           world_.drained[node] != DrainLevel::hard;
  }
  // What is drained has the largest metric: of a link at both ends, of a node on its own side.
  std::uint64_t metric(const LinkSpec& link, int end) const {
    bool drained = std::max(link.drain[0], link.drain[1]) != DrainLevel::none ||
                   world_.drained[link.ends[end].node] != DrainLevel::none;
    return drained ? kDrainedMetric : link.ends[end].metric;
  }
  std::size_t component(std::size_t node) const { return component_[node]; }
  const std::vector<Arc>& out(std::size_t node) const { return out_[node]; }

  // Distance of every node to `target`: the plain Dijkstra, on reversed arcs. Valid while this is.
  const std::vector<std::uint64_t>& distances_to(std::size_t target) const {
    std::vector<std::uint64_t>& distance = distances_[target];
    if (!distance.empty()) return distance;
    distance.assign(out_.size(), kFar);
    using Item = std::pair<std::uint64_t, std::size_t>;
    std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
    distance[target] = 0;
    queue.push({0, target});
    while (!queue.empty()) {
      auto [so_far, node] = queue.top();
      queue.pop();
      if (so_far > distance[node] || (node != target && !transit(node))) continue;
      for (const Arc& arc : in_[node]) {
        if (so_far + arc.metric >= distance[arc.to]) continue;
        distance[arc.to] = so_far + arc.metric;
        queue.push({distance[arc.to], arc.to});
      }
    }
    return distance;
  }

 private:
  void color(std::size_t start, std::size_t number) {
    if (component_[start] != component_.size() || !world_.nodes[start]) return;
    std::vector<std::size_t> todo{start};
    while (!todo.empty()) {
      std::size_t node = todo.back();
      todo.pop_back();
      if (component_[node] != component_.size()) continue;
      component_[node] = number;
      for (std::size_t next : joined_[node]) todo.push_back(next);
    }
  }
  const World& world_;
  std::vector<std::vector<Arc>> out_, in_;              // usable
  std::vector<std::vector<std::size_t>> joined_;        // adjacent: they share a database
  std::vector<std::size_t> component_;
  mutable std::map<std::size_t, std::vector<std::uint64_t>> distances_;
};

std::string check_adjacencies(const World& w, const Truth& truth) {
  for (std::size_t number = 0; number < w.links.size(); ++number) {
    const LinkSpec& link = w.links[number];
    for (const LinkEnd& end : link.ends) {
      if (!w.nodes[end.node]) continue;
      for (const auto& view : w.nodes[end.node]->neighbours(w.now)) {
        bool up = view.state == linkstate::AdjacencyState::up;
        if (view.link == end.id && up != truth.works(link)) {
          return "link l" + std::to_string(number) + " is " + (up ? "up" : "down") + " at " +
                 node_name(end.node) + " (" + view.last_down_reason + ")";
        }
      }
    }
  }
  return {};
}

std::string check_databases(const World& w, const Truth& truth) {
  std::map<std::size_t, std::size_t> first;  // component -> node
  for (std::size_t i = 0; i < w.nodes.size(); ++i) {
    if (!w.nodes[i]) continue;
    auto [it, fresh] = first.try_emplace(truth.component(i), i);
    if (fresh) continue;
    const auto &a = w.nodes[it->second]->engine(), &b = w.nodes[i]->engine();
    if (a.digest() != b.digest() || a.lsa_count() != b.lsa_count()) {
      return "databases of " + node_name(it->second) + " and " + node_name(i) + " differ: " +
             std::to_string(a.lsa_count()) + " and " + std::to_string(b.lsa_count()) + " LSAs";
    }
  }
  return {};
}

std::string check_announcements(const World& w, const Truth& truth) {
  for (std::size_t g = 0; g < w.specs.size(); ++g) {
    if (!w.nodes[g] || !w.specs[g].gateway) continue;
    std::set<std::string> wanted;
    for (const auto& entry : w.announced[g].entries) wanted.insert(entry.name.text());
    for (std::size_t i = 0; i < w.specs.size(); ++i) {
      if (!w.nodes[i] || truth.component(i) != truth.component(g)) continue;
      std::set<std::string> held = w.nodes[i]->names_of(w.specs[g].id);
      if (held == wanted) continue;
      for (const auto& name : held) {
        if (wanted.count(name) == 0) {
          return node_name(i) + " still holds " + name + ", withdrawn by " + node_name(g);
        }
      }
      return node_name(i) + " lacks a name announced by " + node_name(g);
    }
  }
  return {};
}

std::string check_routes(const World& w, const Truth& truth) {
  for (std::size_t target = 0; target < w.specs.size(); ++target) {
    const std::vector<std::uint64_t>& distance = truth.distances_to(target);
    for (std::size_t i = 0; i < w.specs.size(); ++i) {
      if (!w.nodes[i] || i == target) continue;
      if (w.nodes[i]->spf_pending()) return node_name(i) + " has an SPF run pending";
      const forwarding::NodeRoute route = w.nodes[i]->fib().node(w.specs[target].id);
      bool reachable = w.nodes[target] && distance[i] < kFar;
      std::string where = node_name(i) + " to " + node_name(target);
      if (!reachable) {
        if (route && !route.next_hops().empty()) return where + ": a route to nowhere";
        continue;
      }
      if (!route) return where + ": no route";
      if (route.distance != distance[i]) {
        return where + ": distance " + std::to_string(route.distance) + ", best " +
               std::to_string(distance[i]);
      }
      std::set<std::uint32_t> best, used;
      for (const Arc& arc : truth.out(i)) {
        bool through = arc.to == target || truth.transit(arc.to);
        if (through && distance[arc.to] < kFar && arc.metric + distance[arc.to] == distance[i]) {
          best.insert(arc.link);
        }
      }
      for (const auto& hop : route.next_hops()) used.insert(hop.link);
      if (best != used) return where + ": next hops are not the equal-cost best ones";
    }
  }
  return {};
}

struct WalkEnd {
  forwarding::Verdict verdict;
  std::size_t node = 0;
  int hops = 0;
};

// Carries one packet through the FIBs as the data plane would.
WalkEnd walk(World& w, std::size_t from, const std::string& name, NodeId egress,
             std::uint64_t flow) {
  wire::ServicePacketSpec spec;
  spec.hop_limit = 255;
  spec.destination = name;
  spec.ingress = w.specs[from].id;
  spec.egress = egress;
  spec.flow = flow;
  WalkEnd end;
  end.node = from;
  auto bytes = wire::build_service_packet(spec, {});
  if (!bytes) return end;
  auto packet = wire::ServicePacket::parse(*bytes);
  if (!packet) return end;
  for (; end.hops < 300; ++end.hops) {
    if (!w.nodes[end.node]) return end;
    end.verdict = forwarding::decide(w.nodes[end.node]->fib(), w.specs[end.node].id, *packet,
                                     end.hops == 0);
    if (end.verdict.action != forwarding::Action::forward) return end;
    bool moved = false;
    for (std::size_t number : w.links_of[end.node]) {
      const LinkSpec& link = w.links[number];
      for (int e = 0; e < 2 && !moved; ++e) {
        if (link.ends[e].node != end.node || link.ends[e].id.value != end.verdict.next_hop.link) {
          continue;
        }
        moved = true;
        if (link.cut[e]) return end;  // lost on the wire: no delivery
        end.node = link.ends[1 - e].node;
      }
      if (moved) break;
    }
    if (!moved) return end;
  }
  return end;
}

// What a node's link carries of what the node sends: the answers to its probes are small.
std::uint16_t carried(const World& w, std::size_t node, std::uint32_t id) {
  const auto [number, end] = w.wire_at(node, LinkId{id});
  return std::clamp(w.links[number].mtu[end], wire::kLeastLinkMtu, wire::kUntoldLinkMtu);
}

// The least of all links on the way of a packet from `from` to `target`, whichever equal branches it takes.
std::uint16_t least_on_the_way(const World& w, const Truth& truth, std::size_t from, std::size_t target) {
  const std::vector<std::uint64_t>& distance = truth.distances_to(target);
  std::uint16_t least = wire::kUntoldLinkMtu;
  std::set<std::size_t> seen{from};
  std::vector<std::size_t> todo{from};
  while (!todo.empty()) {
    const std::size_t node = todo.back();
    todo.pop_back();
    for (const Arc& arc : truth.out(node)) {
      const bool through = arc.to == target || truth.transit(arc.to);
      if (!through || distance[arc.to] == kFar || arc.metric + distance[arc.to] != distance[node]) continue;
      least = std::min(least, carried(w, node, arc.link));
      if (seen.insert(arc.to).second) todo.push_back(arc.to);
    }
  }
  return least;
}

// And by the alternate that the forwarding plane has in hand.
std::uint16_t wanted_mtu(const World& w, const Truth& truth, std::size_t from, std::size_t target) {
  std::uint16_t least = least_on_the_way(w, truth, from, target);
  const forwarding::NodeRoute route = w.nodes[from]->fib().node(w.specs[target].id);
  if (!route || !route.alternate()) return least;
  const auto [number, end] = w.wire_at(from, LinkId{route.alternate()->link});
  const std::size_t next = w.links[number].ends[1 - end].node;
  least = std::min(least, carried(w, from, route.alternate()->link));
  return next == target ? least : std::min(least, least_on_the_way(w, truth, next, target));
}

std::vector<std::string> all_names(const World& w) {
  std::set<std::string> names{"pool", "nobody/owns/this", "g1/s0", "no/such/name"};
  for (const Announced& a : w.announced) {
    for (const auto& entry : a.entries) names.insert(entry.name.text());
  }
  return {names.begin(), names.end()};
}

std::string check_delivery(World& w, const Truth& truth) {
  std::vector<std::string> names = all_names(w);
  Rng rng(w.packets);
  std::size_t walks = std::min<std::size_t>(400, names.size() * 8);
  for (std::size_t n = 0; n < walks; ++n) {
    const std::string& name = rng.pick(names);
    std::size_t from = rng.below(w.specs.size());
    if (!w.nodes[from]) continue;
    bool expected = false;
    for (std::size_t g = 0; g < w.specs.size() && !expected; ++g) {
      if (!w.nodes[g] || !granted(w, g, name)) continue;
      for (const auto& entry : w.announced[g].entries) {
        expected = expected || (entry.name.text() == name &&
                                (g == from || truth.distances_to(g)[from] < kFar));
      }
    }
    std::uint64_t flow = rng.next();
    WalkEnd end = walk(w, from, name, NodeId{}, flow);
    bool delivered = end.verdict.action == forwarding::Action::deliver;
    std::string what = "a packet from " + node_name(from) + " to " + name;
    if (end.hops >= 255) return what + " loops";
    if (delivered != expected) {
      return what + (delivered ? " is delivered at " + node_name(end.node)
                               : std::string(" is dropped at ") + node_name(end.node) + ": " +
                                     forwarding::to_string(end.verdict.reason));
    }
    if (!delivered) continue;
    if (!granted(w, end.node, name)) return what + " reaches " + node_name(end.node) + ", not granted";
    // The same with the egress pinned, as an ingress gateway sends it.
    WalkEnd pinned = walk(w, from, name, w.specs[end.node].id, flow);
    if (pinned.verdict.action != forwarding::Action::deliver || pinned.node != end.node) {
      return what + " pinned to " + node_name(end.node) + " is not delivered there";
    }
  }
  return {};
}

}  // namespace

std::string check_invariants(World& w) {
  Truth truth(w);
  for (auto check : {check_adjacencies, check_databases, check_announcements, check_routes}) {
    if (std::string wrong = check(w, truth); !wrong.empty()) return wrong;
  }
  if (w.options.walk) {
    w.walks().sample();
    if (std::string loop = w.walks().looping(); !loop.empty()) return loop;
  }
  return check_delivery(w, truth);
}

std::string check_path_mtus(const World& w, std::size_t* narrow) {
  const Truth truth(w);
  for (std::size_t i = 0; i < w.specs.size(); ++i) {
    if (!w.nodes[i]) continue;
    const routing::PathMtuTable table = w.nodes[i]->path_mtus();
    for (std::size_t target = 0; target < w.specs.size(); ++target) {
      if (target == i || !w.nodes[target] || truth.distances_to(target)[i] == kFar) continue;
      const std::uint16_t wanted = wanted_mtu(w, truth, i, target), is = table.to(w.specs[target].id);
      if (narrow != nullptr && wanted < wire::kUntoldLinkMtu) ++*narrow;
      if (is == wanted) continue;
      return node_name(i) + " takes the paths to " + node_name(target) + " to carry " +
             std::to_string(is) + " bytes, they carry " + std::to_string(wanted);
    }
  }
  return {};
}

std::string check_walk_safety(World& w, Rng& rng) {
  std::vector<std::string> names = all_names(w);
  for (int n = 0; n < 4; ++n) {
    const std::string& name = rng.pick(names);
    std::size_t from = rng.below(w.specs.size());
    if (!w.nodes[from]) continue;
    WalkEnd end = walk(w, from, name, NodeId{}, rng.next());
    if (end.verdict.action != forwarding::Action::deliver) continue;
    // A revocation needs a moment to arrive; a name never granted must never be delivered.
    bool ever = granted(w, end.node, name) || !w.revoked.empty();
    if (!ever) {
      return "a packet from " + node_name(from) + " to " + name + " reaches " +
             node_name(end.node) + ", which was never granted it";
    }
  }
  return {};
}

}  // namespace dmsc::sim
