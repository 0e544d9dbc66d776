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
#include "tests/sim/loop_trace.hpp"
#include "tests/sim/report.hpp"
#include "tests/sim/world.hpp"

namespace dmsc::sim {

// Of the nodes packets circled over, at any of the samples: none was in LONG_WAIT; some were, but had no
// run to wait for; some waited in it.
enum class LoopKind : std::uint8_t { outside, idle, waiting };

// How long packets went in circles.
class LoopTally {
 public:
  void add(std::uint64_t samples, LoopKind kind);
  void merge(const LoopTally& other);
  // Milliseconds -> loops of the kinds up to `last`.
  Histogram histogram(LoopKind last) const;

 private:
  std::map<std::uint64_t, std::uint64_t> loops_[3];  // samples -> loops, by kind
};

class Walks final : public FibWatch {
 public:
  static constexpr Duration kPeriod = milliseconds(10);
  Walks(World& world, std::uint64_t seed);

  void destination(NodeId at, NodeId to) override;
  void route(NodeId at, const std::string& name) override;
  void links(NodeId at) override;
  bool told() const override { return trace_ != nullptr; }
  void tell(NodeId at, const std::string& what) override;
  void holds(NodeId at, const wire::LsaKey& key, const wire::LsaVersion& version) override;
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
  LoopTrace* trace() { return trace_.get(); }
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
    std::vector<LoopKind> kind;                // of the circle of each node's packets, so far
    std::vector<std::set<std::size_t>> circle; // only for a trace: the nodes it ran over, and when it began
    std::vector<Time> began;
    std::vector<std::string> causes;
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
  LoopKind kind_of(const std::vector<std::uint32_t>& path, std::uint32_t first) const;
  void judge(Graph& graph, std::size_t node, bool circles, LoopKind kind);
  void trace(Graph& graph, std::size_t node, bool circles, bool before);

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
  std::unique_ptr<LoopTrace> trace_;
};

}  // namespace dmsc::sim
