// The RIB and the FIB it writes against a reference that keeps plain maps and computes everything
// anew, over random edits: rules S11-S17 and F1-F3 of docs/protocol.md together.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "dmsc/forwarding/fib_writer.hpp"
#include "tests/unit/forwarding/fixtures.hpp"

using namespace dmsc;
using namespace dmsc::forwarding;
using routing::Instance;
using routing::RibRoute;

namespace {

constexpr std::uint32_t kSelf = 1, kNodes = 6, kFragments = 3;
const char* const kNames[] = {"a", "a/b", "a/b/c", "b", "b/a", "b/b", "c/a/b", "c", "d/d", "d"};

// One instance as the reference sees it.
struct Said {
  std::uint16_t capacity = 0;
  bool covering = false;
};

struct Reference {
  std::map<std::pair<std::uint32_t, std::uint16_t>, std::vector<wire::PrefixEntry>> fragments;
  std::map<std::uint32_t, std::uint32_t> distances;  // reachable nodes
  std::map<std::string, std::map<Instance, std::uint32_t>> policies;

  struct Prefix {
    bool covering = false;
    std::map<Instance, Said> instances;
    std::set<std::uint32_t> egresses;  // also those without an instance
  };

  std::map<std::string, Prefix> prefixes() const {
    std::map<std::string, Prefix> out;
    for (std::uint32_t origin = 1; origin <= kNodes; ++origin) {
      std::map<std::string, std::pair<bool, std::map<Instance, Said>>> own;
      for (const auto& [key, entries] : fragments) {
        if (key.first != origin) continue;
        for (const wire::PrefixEntry& e : entries) {
          auto& [covering, instances] = own[e.name.text()];
          covering = covering || e.covering;
          for (const auto& i : e.instances)
            instances.try_emplace({NodeId{origin}, i.id}, Said{i.capacity, false});
        }
      }
      for (auto& [text, said] : own) {
        Prefix& p = out[text];
        p.covering = p.covering || said.first;
        p.egresses.insert(origin);
        for (auto& [instance, what] : said.second)
          p.instances[instance] = {what.capacity, said.first};
      }
    }
    return out;
  }

  // nullopt: unreachable. A prefix of one egress is weighed as if that could be reached.
  std::optional<std::uint32_t> distance(NodeId node, bool alone) const {
    if (node.value == kSelf || alone) return 0;
    auto it = distances.find(node.value);
    return it == distances.end() ? std::nullopt : std::optional(it->second);
  }

  std::map<Instance, std::uint32_t> weights(const std::string& text, const Prefix& p, bool alone,
                                            bool& by_policy) const {
    std::map<Instance, std::uint32_t> out;
    by_policy = false;
    auto policy = policies.find(text);
    if (policy != policies.end()) {
      for (const auto& [instance, said] : p.instances) {
        auto it = policy->second.find(instance);
        if (it == policy->second.end() || said.capacity == 0 || !distance(instance.egress, alone))
          continue;
        out[instance] = it->second;
        by_policy = by_policy || it->second != 0;
      }
      if (by_policy) return out;
      out.clear();
    }
    std::optional<std::uint32_t> nearest;
    for (const auto& [instance, said] : p.instances) {
      auto d = distance(instance.egress, alone);
      if (d && said.capacity != 0 && (!nearest || *d < *nearest)) nearest = d;
    }
    if (!nearest) return out;
    for (const auto& [instance, said] : p.instances) {
      auto d = distance(instance.egress, alone);
      if (d && *d * 4 <= *nearest * 5) out[instance] = said.capacity;
    }
    return out;
  }

  RibRoute route(const std::string& text, const Prefix& p) const {
    RibRoute out;
    out.prefix = name(text);
    out.covering = p.covering;
    bool by_policy = false;
    auto shares = weights(text, p, false, by_policy);
    out.from_policy = by_policy;
    for (const auto& [instance, said] : p.instances) {
      auto d = distance(instance.egress, false);
      if (d)
        out.choices.push_back({instance, *d, shares[instance], said.capacity == 0, said.covering});
    }
    std::stable_sort(out.choices.begin(), out.choices.end(), [](const auto& a, const auto& b) {
      return std::tie(a.distance, a.instance) < std::tie(b.distance, b.instance);
    });
    return out;
  }
};

struct Live {
  ImmediateReclaimer reclaimer;
  Fib fib{crypto::Key16{3, 1, 4}, reclaimer};
  FibWriter writer{fib};
  routing::Rib rib{NodeId{kSelf}, writer, 25, NameKey{2, 7, 1}};
  routing::Topology topology;
  routing::Spf spf{NodeId{kSelf}};
};

wire::PrefixEntry random_entry(std::mt19937& random) {
  wire::PrefixEntry e;
  e.name = name(kNames[random() % std::size(kNames)]);
  e.covering = random() % 3 == 0;
  for (std::size_t n = random() % 4; n-- > 0;) {
    std::uint16_t capacity = random() % 4 == 0 ? 0 : static_cast<std::uint16_t>(1 + random() % 9);
    e.instances.push_back({InstanceId{static_cast<std::uint16_t>(1 + random() % 4)}, capacity});
  }
  return e;
}

void set_fragment(Live& live, Reference& want, std::mt19937& random) {
  std::uint32_t origin = 1 + random() % kNodes;
  std::uint16_t fragment = static_cast<std::uint16_t>(random() % kFragments);
  auto& entries = want.fragments[{origin, fragment}];
  entries.clear();
  for (std::size_t n = random() % 6; n-- > 0;) entries.push_back(random_entry(random));
  live.rib.set_fragment(NodeId{origin}, fragment, entries);
}

// By difference, as a new version of an LSA comes: entries stay, go, move, change or are new.
void update_fragment(Live& live, Reference& want, std::mt19937& random) {
  std::uint32_t origin = 1 + random() % kNodes;
  std::uint16_t fragment = static_cast<std::uint16_t>(random() % kFragments);
  auto& entries = want.fragments[{origin, fragment}];
  std::set<std::string> names;
  for (const auto& e : entries) names.insert(e.name.text());
  if (names.size() != entries.size()) return set_fragment(live, want, random);
  std::vector<std::uint16_t> layout;
  std::vector<wire::PrefixEntry> next, fresh;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (random() % 4 == 0) continue;
    layout.push_back(static_cast<std::uint16_t>(i));
    next.push_back(entries[i]);
  }
  for (std::size_t n = random() % 3; n-- > 0;) {
    wire::PrefixEntry e = random_entry(random);
    auto at = static_cast<std::ptrdiff_t>(random() % (next.size() + 1));
    layout.insert(layout.begin() + at, routing::Rib::kFresh);
    next.insert(next.begin() + at, e);
  }
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (layout[i] == routing::Rib::kFresh) fresh.push_back(next[i]);
  }
  names.clear();
  for (const auto& e : next) names.insert(e.name.text());
  bool good = names.size() == next.size();
  REQUIRE(live.rib.update_fragment(NodeId{origin}, fragment, layout, fresh) == good);
  if (good) entries = next;
}

void set_spf(Live& live, Reference& want, std::mt19937& random) {
  wire::NodeBody self;
  self.name = "self";
  want.distances.clear();
  for (std::uint32_t node = 2; node <= kNodes; ++node) {
    wire::NodeBody body;
    body.name = "node";
    live.topology.set(NodeId{node}, 0, body);
    if (random() % 4 == 0) continue;
    auto metric = static_cast<std::uint32_t>(8 + random() % 6);
    wire::Adjacency there;
    there.neighbour = NodeId{node};
    there.link = there.neighbour_link = node;
    there.metric = metric;
    there.flags = wire::kAdjacencyUsable;
    self.adjacencies.push_back(there);
    there.neighbour = NodeId{kSelf};
    body.adjacencies.push_back(there);
    live.topology.set(NodeId{node}, 0, body);
    want.distances[node] = metric;
  }
  live.topology.set(NodeId{kSelf}, 0, self);
  live.spf.update(live.topology);
  live.rib.set_spf(live.topology, live.spf);
}

void set_policy(Live& live, Reference& want, std::mt19937& random, std::uint64_t version) {
  std::string text = kNames[random() % std::size(kNames)];
  if (random() % 3 == 0) {
    live.rib.clear_weights(name(text));
    want.policies.erase(text);
    return;
  }
  routing::WeightPolicy policy{name(text), {}, version};
  for (std::size_t n = 1 + random() % 3; n-- > 0;) {
    Instance instance{NodeId{1 + static_cast<std::uint32_t>(random() % kNodes)},
                      InstanceId{static_cast<std::uint16_t>(1 + random() % 4)}};
    policy.weights[instance] = random() % 4;
  }
  live.rib.set_weights(policy);
  want.policies[text] = policy.weights;
}

void check_group(const Reference& want, const std::string& text, const Reference::Prefix& p,
                 const InstanceGroup& group) {
  bool by_policy = false;
  auto shares = want.weights(text, p, p.egresses.size() == 1, by_policy);
  REQUIRE(group.covering() == p.covering);
  REQUIRE(group.instances().size() == p.instances.size());
  auto it = p.instances.begin();
  for (const InstanceEntry& e : group.instances()) {
    const auto& [instance, said] = *it++;
    REQUIRE((e.egress == instance.egress && e.id == instance.id));
    REQUIRE(e.weight == shares[instance]);
    REQUIRE(e.draining == (said.capacity == 0));
    REQUIRE(e.covering == said.covering);
  }
}

std::string describe(const RibRoute& route) {
  std::string out = route.prefix.text() + (route.covering ? " covering" : "") +
                    (route.from_policy ? " by policy" : "");
  for (const auto& c : route.choices) {
    out += " {" + std::to_string(c.instance.egress.value) + "/" +
           std::to_string(c.instance.id.value) + " at " + std::to_string(c.distance) + " weight " +
           std::to_string(c.weight) + (c.draining ? " draining" : "") +
           (c.covering ? " covering}" : "}");
  }
  return out;
}

void check(Live& live, const Reference& want) {
  auto prefixes = want.prefixes();
  std::vector<RibRoute> routes = live.rib.routes();
  REQUIRE(routes.size() == prefixes.size());
  REQUIRE(live.fib.prefix_count() == prefixes.size());
  auto told = routes.begin();
  for (const auto& [text, p] : prefixes) {
    REQUIRE(describe(*told++) == describe(want.route(text, p)));
    REQUIRE(live.rib.origins(name(text)).size() == p.egresses.size());
    Match found = live.fib.find(text);
    REQUIRE(found);
    check_group(want, text, p, *found);
  }
  for (const char* asked :
       {"a", "a/b", "a/b/c", "a/b/c/d", "b/x", "c/a/b/x", "d/d", "d/d/d", "e"}) {
    std::string best;
    for (std::string at = asked;; at.resize(at.rfind('/'))) {
      auto it = prefixes.find(at);
      if (it != prefixes.end() && (it->second.covering || at == asked)) best = at;
      if (!best.empty() || at.find('/') == std::string::npos) break;
    }
    REQUIRE(live.fib.match(asked).prefix == best);
    auto route = live.rib.match(name(asked));
    REQUIRE((route ? route->prefix.text() : "") == best);
  }
  for (std::uint32_t node = 2; node <= kNodes; ++node) {
    auto it = want.distances.find(node);
    const NodeRoute route = live.fib.node(NodeId{node});
    REQUIRE(static_cast<bool>(route) == (it != want.distances.end()));
    if (route) REQUIRE(route.distance == it->second);
  }
}

}  // namespace

TEST_CASE("S11-S17 rib and fib: equal to a naive reference after every one of many random edits") {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    Live live;
    Reference want;
    for (std::uint64_t step = 1; step <= 2500; ++step) {
      switch (random() % 8) {
        case 0:
          set_spf(live, want, random);
          break;
        case 1:
          set_policy(live, want, random, step);
          break;
        case 2:
        case 3:
        case 4:
          set_fragment(live, want, random);
          break;
        default:
          update_fragment(live, want, random);
          break;
      }
      check(live, want);
    }
    for (std::uint32_t origin = 1; origin <= kNodes; ++origin)
      live.rib.set_prefixes(NodeId{origin}, {});
    CHECK(live.rib.prefix_count() == 0);
    CHECK(live.rib.group_count() == 0);
    CHECK(live.fib.prefix_count() == 0);
    CHECK(live.fib.memory().groups == 0);
  }
}
