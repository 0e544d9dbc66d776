// Every 10 ms a packet walks from every node to every prefix, hop by hop through the real FIBs and the
// real per-packet decision. Only what changed walks again.
//
// A prefix of one gateway is forwarded as its gateway is, or dropped where it is not known; so one graph
// per gateway stands for all its prefixes, pinned to the egress or by name. A name that several gateways
// announce has a graph of its own, by name. In a graph every node has one next hop for the graph's flow
// (two: a packet that was repaired once decides differently), taken from decide() and taken anew only
// when that node's FIB changed where it matters.
#pragma once
#include <map>
#include <string>

#include "dmsc/wire/service_header.hpp"
#include "tests/sim/world.hpp"

namespace dmsc::sim {

// How long packets went in circles.
class LoopTally {
 public:
  void add(std::uint64_t samples, bool long_wait);
  std::uint64_t count(bool with_long_wait) const;
  // Milliseconds that a share `q` of the loops did not exceed; 0 if there was none.
  double quantile_ms(double q, bool with_long_wait) const;
  void merge(const LoopTally& other);

 private:
  std::map<std::uint64_t, std::uint64_t> outside_, inside_;  // samples -> loops, by LONG_WAIT
};

class Walks final : public FibWatch {
 public:
  static constexpr Duration kPeriod = milliseconds(10);
  Walks(World& world, std::uint64_t seed);

  void destination(NodeId at, NodeId to) override;
  void route(NodeId at, const std::string& name) override;
  void links(NodeId at) override;
  void physical() { physical_ = true; }        // links or nodes came or went
  void names_changed() { names_ = true; }

  // Samples every period up to `when`, in which nothing happens.
  void sample_before(Time when);
  // Nodes whose packets go in circles now, in words; empty if none.
  std::string looping() const;
  // Looked at now, whether or not a period has passed.
  void sample();
  // Counts loops that still are.
  void finish();
  const LoopTally& tally() const { return tally_; }
  std::uint64_t decisions() const { return decisions_; }
  std::uint64_t samples() const { return samples_; }

 private:
  static constexpr std::uint32_t kEnd = ~0U;   // delivered or dropped
  struct Graph {
    std::string name;
    NodeId egress;                             // 0 = by name
    Bytes bytes;
    std::vector<std::uint32_t> next;           // by 2 * node + repaired: link * 4 + end * 2 + repaired
    std::vector<bool> stale;
    std::vector<std::uint32_t> stale_list;
    std::vector<std::uint64_t> since;          // first sample at which packets of a node circled
    std::vector<bool> long_wait;               // a node of the circle waits in LONG_WAIT
    bool queued = false;
    std::size_t circling = 0;
  };
  void build();
  Graph make(const std::string& name, NodeId egress, std::uint64_t flow) const;
  void mark(Graph& graph, std::size_t node);
  void enqueue(Graph& graph);
  void refresh(Graph& graph);
  std::uint32_t decide(wire::ServicePacket& packet, std::size_t node, bool repaired);
  std::uint32_t follow(const Graph& graph, std::uint32_t state) const;
  void color(Graph& graph);
  void judge(Graph& graph, std::size_t node, bool circles, bool long_wait);

  World& world_;
  std::uint64_t seed_;
  std::vector<Graph> graphs_;
  std::map<std::string, std::size_t, std::less<>> by_name_;  // shared names only
  std::vector<std::size_t> by_egress_;                       // node -> graph, or none
  std::vector<std::vector<std::size_t>> shared_of_;          // gateway -> graphs of shared names
  std::vector<std::uint32_t> queue_;
  std::vector<std::uint8_t> color_;                          // scratch
  std::vector<std::uint32_t> path_;
  bool physical_ = false, names_ = true;
  Time next_{};
  std::uint64_t sample_ = 0, samples_ = 0, decisions_ = 0;
  LoopTally tally_;
};

}  // namespace dmsc::sim
