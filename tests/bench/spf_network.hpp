// Grids for the benchmarks of shortest paths, fed to a Topology LSA by LSA, and edited link by link.
#pragma once
#include <algorithm>
#include <random>
#include <vector>

#include "dmsc/routing/spf.hpp"

namespace dmsc::bench {

class Grid {
 public:
  // side x side nodes, ids from 1, metrics 1..metrics, each direction of its own.
  Grid(std::uint32_t side, std::uint32_t metrics) : side_(side), metrics_(metrics) {
    for (std::uint32_t node = 0; node < side * side; ++node) announce(node);
  }
  std::uint32_t nodes() const { return side_ * side_; }
  NodeId middle() const { return NodeId{nodes() / 2 + side_ / 2 + 1}; }
  const routing::Topology& topology() const { return topology_; }

  struct Link {
    std::uint32_t a = 0, b = 0;
  };
  Link some_link(std::mt19937& random) const {
    auto node = static_cast<std::uint32_t>(random() % nodes());
    std::uint32_t x = node % side_, y = node / side_;
    if (random() % 2 == 0) return x + 1 < side_ ? Link{node, node + 1} : Link{node - 1, node};
    return y + 1 < side_ ? Link{node, node + side_} : Link{node - side_, node};
  }
  // The link gets other metrics, or (metrics 0) goes; both ends say so.
  void change(Link link, std::uint32_t there, std::uint32_t back) {
    announce(link.a, link.b, there);
    announce(link.b, link.a, back);
  }
  void restore(Link link) {
    announce(link.a);
    announce(link.b);
  }
  // A link of its own from the middle to that node.
  void join_middle(std::uint32_t node, std::uint32_t metric) {
    extra_.push_back({node, metric});
    announce(middle().value - 1);
    announce(node);
  }

 private:
  struct Extra {
    std::uint32_t node = 0, metric = 0;
  };
  std::uint32_t metric(std::uint32_t from, std::uint32_t to) const {
    std::uint64_t h = (std::uint64_t{from} << 32 | to) * 0x9e3779b97f4a7c15ULL;
    h = (h ^ h >> 31) * 0xbf58476d1ce4e5b9ULL;
    return 1 + static_cast<std::uint32_t>((h >> 33) % metrics_);
  }
  // The Node LSA of `node`; its link to `other`, if given, with that metric, or without it.
  void announce(std::uint32_t node, std::uint32_t other = ~0U, std::uint32_t with = 0) {
    wire::NodeBody body;
    auto add = [&](std::uint32_t to, std::uint32_t metric, std::uint32_t link) {
      if (to == other) metric = with;
      if (metric == 0) return;
      wire::Adjacency a;
      a.neighbour = NodeId{to + 1};
      a.link = a.neighbour_link = link;
      a.metric = metric;
      a.flags = wire::kAdjacencyUsable;
      body.adjacencies.push_back(a);
    };
    std::uint32_t x = node % side_, y = node / side_, middle = this->middle().value - 1;
    if (y > 0) add(node - side_, metric(node, node - side_), 2 * (node - side_) + 2);
    if (x > 0) add(node - 1, metric(node, node - 1), 2 * (node - 1) + 1);
    if (x + 1 < side_) add(node + 1, metric(node, node + 1), 2 * node + 1);
    if (y + 1 < side_) add(node + side_, metric(node, node + side_), 2 * node + 2);
    for (std::size_t i = 0; i < extra_.size(); ++i) {
      auto link = 2 * nodes() + 10 + static_cast<std::uint32_t>(i);
      if (node == middle) add(extra_[i].node, extra_[i].metric, link);
      if (node == extra_[i].node) add(middle, extra_[i].metric, link);
    }
    topology_.set(NodeId{node + 1}, 0, body);
  }

  std::uint32_t side_, metrics_;
  routing::Topology topology_;
  std::vector<Extra> extra_;
};

}  // namespace dmsc::bench
