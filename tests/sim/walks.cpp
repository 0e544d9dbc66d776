#include "tests/sim/walks.hpp"

#include <algorithm>

namespace dmsc::sim {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};
enum Color : std::uint8_t { unseen, on_path, ends, circles };  // and the other kinds of circles

}  // namespace

// ---- tally ----------------------------------------------------------------------------------------

void LoopTally::add(std::uint64_t samples, LoopKind kind) { ++loops_[static_cast<int>(kind)][samples]; }

Histogram LoopTally::histogram(LoopKind last) const {
  Histogram out;
  for (int kind = 0; kind <= static_cast<int>(last); ++kind) {
    for (const auto& [samples, n] : loops_[kind]) out[samples * (Walks::kPeriod / milliseconds(1))] += n;
  }
  return out;
}

void LoopTally::merge(const LoopTally& other) {
  for (int kind = 0; kind < 3; ++kind) {
    for (const auto& [samples, n] : other.loops_[kind]) loops_[kind][samples] += n;
  }
}

// ---- what walks again -------------------------------------------------------------------------------

Walks::Walks(World& world, std::uint64_t seed) : world_(world), seed_(seed) {
  if (world.options.trace_loops > Duration::zero()) {
    trace_ = std::make_unique<LoopTrace>(world.now, world.options.trace_loops);
  }
}

void Walks::holds(NodeId at, const wire::LsaKey& key, const wire::LsaVersion& version) {
  trace_->holds(at.value - 1, key, version);
}

void Walks::tell(NodeId at, const std::string& what) { trace_->note(world_.now, at.value - 1, what); }

Walks::Graph Walks::make(const std::string& name, NodeId egress, std::uint64_t flow) const {
  wire::ServicePacketSpec spec;
  spec.destination = name;
  spec.egress = egress;
  spec.ingress = NodeId{kMaxNodeId};
  spec.flow = flow;
  Graph graph;
  graph.name = name;
  graph.egress = egress;
  if (auto bytes = wire::build_service_packet(spec, {})) graph.bytes = std::move(bytes).value();
  std::size_t n = world_.specs.size();
  graph.next.assign(2 * n, kEnd);
  graph.stale.assign(n, false);
  graph.since.assign(n, 0);
  graph.kind.assign(n, LoopKind::outside);
  return graph;
}

// A graph per gateway, made once; a graph per shared name, made when it first is shared.
void Walks::build() {
  names_ = false;
  std::size_t n = world_.specs.size();
  if (by_egress_.size() != n) {
    by_egress_.assign(n, kNone);
    shared_of_.assign(n, {});
    for (std::size_t g = 0; g < n; ++g) {
      if (!world_.specs[g].gateway) continue;
      by_egress_[g] = graphs_.size();
      graphs_.push_back(make("n" + std::to_string(g + 1), world_.specs[g].id, seed_ * 1000003 + g));
      for (std::size_t v = 0; v < n; ++v) mark(graphs_.back(), v);
    }
  }
  std::map<std::string, std::set<std::size_t>> holders;
  for (std::size_t g = 0; g < n; ++g) {
    for (const auto& entry : world_.announced[g].entries) holders[entry.name.text()].insert(g);
  }
  for (auto& shared : shared_of_) shared.clear();
  for (const auto& [name, gateways] : holders) {
    auto known = by_name_.find(name);
    if (known == by_name_.end()) {
      if (gateways.size() < 2) continue;
      known = by_name_.emplace(name, graphs_.size()).first;
      graphs_.push_back(make(name, NodeId{}, seed_ * 2000003 + graphs_.size()));
    }
    for (std::size_t g : gateways) shared_of_[g].push_back(known->second);
    for (std::size_t v = 0; v < n; ++v) mark(graphs_[known->second], v);
  }
}

void Walks::enqueue(Graph& graph) {
  if (graph.queued) return;
  graph.queued = true;
  queue_.push_back(static_cast<std::uint32_t>(&graph - graphs_.data()));
}

void Walks::mark(Graph& graph, std::size_t node) {
  if (!graph.stale[node]) {
    graph.stale[node] = true;
    graph.stale_list.push_back(static_cast<std::uint32_t>(node));
  }
  enqueue(graph);
}

void Walks::destination(NodeId at, NodeId to) {
  if (is_issuer_origin(to) || to.value > by_egress_.size() || by_egress_[to.value - 1] == kNone) return;
  mark(graphs_[by_egress_[to.value - 1]], at.value - 1);
  for (std::size_t graph : shared_of_[to.value - 1]) mark(graphs_[graph], at.value - 1);
}

void Walks::route(NodeId at, const std::string& name) {
  if (auto it = by_name_.find(name); it != by_name_.end()) mark(graphs_[it->second], at.value - 1);
}

void Walks::links(NodeId at) {
  for (Graph& graph : graphs_) mark(graph, at.value - 1);
}

// ---- walking ----------------------------------------------------------------------------------------

void Walks::sample_before(Time when) {
  if (next_ == Time{}) next_ = world_.now + kPeriod;
  if (when < next_) return;
  std::uint64_t passed = static_cast<std::uint64_t>((when - next_) / kPeriod) + 1;
  samples_ += passed;
  next_ += passed * kPeriod;
  ++sample_;
  sample();
  sample_ += passed - 1;  // nothing happens between them: one look serves all
}

void Walks::sample() {
  if (names_) build();
  if (physical_) {
    physical_ = false;
    for (Graph& graph : graphs_) enqueue(graph);
  }
  for (std::uint32_t number : std::exchange(queue_, {})) {
    Graph& graph = graphs_[number];
    graph.queued = false;
    refresh(graph);
    color(graph);
  }
}

void Walks::refresh(Graph& graph) {
  auto packet = wire::ServicePacket::parse(graph.bytes);
  if (!packet) return;
  for (std::uint32_t node : std::exchange(graph.stale_list, {})) {
    graph.stale[node] = false;
    for (bool repaired : {false, true}) graph.next[2 * node + repaired] = decide(*packet, node, repaired);
  }
}

std::uint32_t Walks::decide(wire::ServicePacket& packet, std::size_t node, bool repaired) {
  if (!world_.nodes[node]) return kEnd;
  ++decisions_;
  packet.set_flags(repaired ? wire::kFlagRepaired : 0);
  packet.set_hop_limit(64);
  forwarding::Verdict verdict =
      forwarding::decide(world_.nodes[node]->fib(), world_.specs[node].id, packet, false);
  if (verdict.action != forwarding::Action::forward) return kEnd;
  auto [link, end] = world_.wire_at(node, LinkId{verdict.next_hop.link});
  bool now_repaired = (packet.flags() & wire::kFlagRepaired) != 0;
  return static_cast<std::uint32_t>(link * 4 + static_cast<std::size_t>(end) * 2 + (now_repaired ? 1 : 0));
}

// The state after this one's hop; kEnd if the packet is delivered, dropped or lost on the way.
std::uint32_t Walks::follow(const Graph& graph, std::uint32_t state) const {
  std::uint32_t hop = graph.next[state];
  if (hop == kEnd || !world_.nodes[state / 2]) return kEnd;
  std::size_t link = hop / 4;
  int end = static_cast<int>(hop / 2 % 2);
  if (!world_.carries(link, end)) return kEnd;
  return static_cast<std::uint32_t>(2 * world_.links[link].ends[1 - end].node + hop % 2);
}

// Follows the packet from every node; each state is visited once.
void Walks::color(Graph& graph) {
  std::size_t n = world_.specs.size();
  color_.assign(2 * n, unseen);
  for (std::size_t start = 0; start < n; ++start) {
    path_.clear();
    std::uint32_t state = static_cast<std::uint32_t>(2 * start);
    while (state != kEnd && color_[state] == unseen) {
      color_[state] = on_path;
      path_.push_back(state);
      state = follow(graph, state);
    }
    Color found = state == kEnd ? ends : static_cast<Color>(color_[state]);
    if (found == on_path) found = static_cast<Color>(circles + static_cast<int>(kind_of(path_, state)));
    for (std::uint32_t seen : path_) color_[seen] = found;
  }
  for (std::size_t v = 0; v < n; ++v) {
    bool circling = color_[2 * v] >= circles;
    judge(graph, v, circling, static_cast<LoopKind>(circling ? color_[2 * v] - circles : 0));
  }
}

// Of the circle that begins at `first` and ends with the path.
LoopKind Walks::kind_of(const std::vector<std::uint32_t>& path, std::uint32_t first) const {
  LoopKind kind = LoopKind::outside;
  for (auto it = std::find(path.begin(), path.end(), first); it != path.end(); ++it) {
    const auto& node = world_.nodes[*it / 2];
    if (!node || !node->long_wait()) continue;
    kind = std::max(kind, node->spf_pending() ? LoopKind::waiting : LoopKind::idle);
  }
  return kind;
}

void Walks::judge(Graph& graph, std::size_t node, bool circling, LoopKind kind) {
  bool before = graph.since[node] != 0;
  if (trace_ && (circling || before)) trace(graph, node, circling, before);
  if (circling) {
    if (!before) {
      graph.since[node] = sample_ + 1;  // 0 = does not circle
      graph.kind[node] = LoopKind::outside;
      ++graph.circling;
    }
    graph.kind[node] = std::max(graph.kind[node], kind);
  } else if (before) {
    std::uint64_t from = std::exchange(graph.since[node], 0) - 1;
    tally_.add(std::max<std::uint64_t>(sample_ - from, 1), graph.kind[node]);
    --graph.circling;
  }
}

// Called before judge() forgets. A loop is told when it ends.
void Walks::trace(Graph& graph, std::size_t node, bool circling, bool before) {
  graph.circle.resize(graph.since.size());
  graph.began.resize(graph.since.size());
  graph.causes.resize(graph.since.size());
  if (circling) {
    if (!before) {
      graph.circle[node].clear();
      graph.began[node] = next_ - kPeriod;
      graph.causes[node].clear();
    }
    std::set<std::uint32_t> seen;
    std::uint32_t state = static_cast<std::uint32_t>(2 * node);
    while (state != kEnd && seen.insert(state).second) state = follow(graph, state);
    std::set<std::size_t> now;
    bool pending = false;
    std::string circle = " [";
    for (std::uint32_t first = state; state != kEnd;) {
      graph.circle[node].insert(state / 2);
      now.insert(state / 2);
      pending = pending || world_.nodes[state / 2]->spf_pending();
      circle += " n" + std::to_string(state / 2 + 1) + (state % 2 ? "r" : "");
      state = follow(graph, state);
      if (state == first) break;
    }
    graph.causes[node] += (trace_->differ(now) ? " N" : pending ? " W" : " O") + circle + " ]";
  } else {
    static const char* const kKinds[] = {" outside", " idle", " waiting"};
    graph.causes[node] += kKinds[static_cast<int>(graph.kind[node])];
    Time until = graph.began[node] + (sample_ + 1 - graph.since[node]) * kPeriod;
    trace_->circled(graph.began[node], until, graph.circle[node], graph.name + " from n" + std::to_string(node + 1), graph.causes[node]);
  }
}

std::string Walks::looping() const {
  for (const Graph& graph : graphs_) {
    if (graph.circling == 0) continue;
    for (std::size_t v = 0; v < graph.since.size(); ++v) {
      if (graph.since[v] != 0) {
        return "packets from n" + std::to_string(v + 1) + " to " + graph.name + " go in circles";
      }
    }
  }
  return {};
}

void Walks::finish() {
  for (Graph& graph : graphs_) {
    for (std::size_t v = 0; v < graph.since.size(); ++v) judge(graph, v, false, LoopKind::outside);
  }
}

}  // namespace dmsc::sim
