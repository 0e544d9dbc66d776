// A network under random edits, as LSAs would bring them: metrics, links and nodes that come and
// go, one end of a link heard before the other, overload, transit, fragments. For the tests of what
// is updated incrementally.
#pragma once
#include <algorithm>
#include <string>

#include "tests/unit/routing/graphs.hpp"

namespace dmsc::routing {

class RandomEdits {
 public:
  RandomEdits(std::mt19937& random, std::uint32_t nodes, std::uint32_t metrics)
      : random_(random),
        nodes_(nodes),
        metrics_(metrics),
        net_(random_network(random, nodes, metrics)) {
    for (const auto& [id, body] : net_.bodies) publish(id);
    settle();
  }

  const Topology& topology() const { return topology_; }
  const TestNetwork& network() const { return net_; }
  std::uint32_t node_limit() const { return nodes_; }

  // One edit; what it changed is heard at once, or (now and then) from one end only, or later.
  void edit() {
    switch (random_() % 12) {
      case 0:
      case 1:
      case 2:
      case 3:
        change_metric();
        break;
      case 4:
      case 5:
        add_link();
        break;
      case 6:
      case 7:
        drop_link();
        break;
      case 8:
        flip_transit();
        break;
      case 9:
        node_comes_or_goes();
        break;
      case 10:
        flip_starting();
        break;
      default:
        settle();
        break;
    }
    if (waiting_.size() > 4) settle();
  }
  // Everybody has heard everything.
  void settle() {
    std::shuffle(waiting_.begin(), waiting_.end(), random_);
    for (std::uint32_t id : waiting_) hear(id);
    waiting_.clear();
  }

 private:
  std::uint32_t pick(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  std::uint32_t some_node() { return 1 + pick(nodes_); }

  void publish(std::uint32_t id) { waiting_.push_back(id); }
  // The ends of an edit: most often both are heard at once.
  void tell(std::uint32_t a, std::uint32_t b) {
    for (std::uint32_t id : {a, b}) {
      if (random_() % 8 == 0) {
        publish(id);
      } else {
        hear(id);
      }
    }
  }
  // Gives the topology the node's body, now and then in two fragments.
  void hear(std::uint32_t id) {
    auto held = net_.bodies.find(id);
    if (held == net_.bodies.end()) {
      for (std::uint16_t fragment : {0, 1}) topology_.remove(NodeId{id}, fragment);
      return;
    }
    wire::NodeBody first = held->second, second;
    if (random_() % 6 == 0) {
      std::size_t keep = first.adjacencies.size() / 2;
      second.adjacencies.assign(first.adjacencies.begin() + static_cast<std::ptrdiff_t>(keep),
                                first.adjacencies.end());
      first.adjacencies.resize(keep);
    }
    if (random_() % 2 == 0) std::reverse(first.adjacencies.begin(), first.adjacencies.end());
    topology_.set(NodeId{id}, 0, first);
    topology_.set(NodeId{id}, 1, second);
  }

  wire::Adjacency* some_adjacency(std::uint32_t& id) {
    id = some_node();
    auto held = net_.bodies.find(id);
    if (held == net_.bodies.end() || held->second.adjacencies.empty()) return nullptr;
    auto& list = held->second.adjacencies;
    return &list[pick(static_cast<std::uint32_t>(list.size()))];
  }
  void change_metric() {
    std::uint32_t id = 0;
    if (wire::Adjacency* a = some_adjacency(id)) {
      a->metric = 1 + pick(metrics_);
      tell(id, id);
    }
  }
  void flip_starting() {
    std::uint32_t id = 0;
    if (wire::Adjacency* a = some_adjacency(id)) {
      a->flags ^= random_() % 2 == 0 ? wire::kAdjacencyStarting : wire::kAdjacencyUsable;
      tell(id, id);
    }
  }
  void add_link() {
    std::uint32_t a = some_node(), b = some_node();
    if (a == b || net_.bodies.count(a) == 0 || net_.bodies.count(b) == 0) return;
    net_.connect(a, b, 1 + pick(metrics_), random_() % 3 == 0 ? 1 + pick(metrics_) : 0);
    tell(a, b);
  }
  void drop_link() {
    std::uint32_t id = 0;
    wire::Adjacency* a = some_adjacency(id);
    if (a == nullptr) return;
    std::uint32_t far = a->neighbour.value, link = a->link;
    for (std::uint32_t end : {id, far}) {
      auto held = net_.bodies.find(end);
      if (held == net_.bodies.end()) continue;
      auto& list = held->second.adjacencies;
      list.erase(std::remove_if(list.begin(), list.end(),
                                [&](const wire::Adjacency& x) { return x.link == link; }),
                 list.end());
    }
    tell(id, far);
  }
  void flip_transit() {
    auto held = net_.bodies.find(some_node());
    if (held == net_.bodies.end()) return;
    bool& flag = random_() % 2 == 0 ? held->second.overload : held->second.no_transit;
    flag = !flag && random_() % 2 == 0;
    tell(held->first, held->first);
  }
  void node_comes_or_goes() {
    std::uint32_t id = some_node();
    auto held = net_.bodies.find(id);
    if (held == net_.bodies.end()) {
      net_.bodies[id];
      std::uint32_t links = 1 + pick(3);
      for (std::uint32_t i = 0; i < links; ++i) {
        std::uint32_t far = some_node();
        if (far == id || net_.bodies.count(far) == 0) continue;
        net_.connect(id, far, 1 + pick(metrics_));
        tell(far, far);
      }
      tell(id, id);
    } else if (net_.bodies.size() > 2) {
      net_.bodies.erase(held);  // its neighbours still advertise their links to it
      tell(id, id);
    }
  }

  std::mt19937& random_;
  std::uint32_t nodes_, metrics_;
  TestNetwork net_;
  Topology topology_;
  std::vector<std::uint32_t> waiting_;
};

}  // namespace dmsc::routing
