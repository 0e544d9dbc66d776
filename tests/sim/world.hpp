// The simulated network: nodes, links with their faults, virtual time. Everything that happens
// follows from the seed.
#pragma once
#include <cstdio>
#include <memory>

#include "dmsc/linkstate/input_log.hpp"
#include "tests/sim/node.hpp"
#include "tests/sim/queue.hpp"
#include "tests/sim/shared.hpp"

namespace dmsc::sim {

class Walks;

struct Options {
  std::size_t nodes = 0;          // 0 = by the seed, 5-40
  double minutes = 1;
  double fault_gap = 0;           // mean seconds between faults; 0 = by the size
  Duration liveness{};            // of every link; 0 = by the size
  double loss = -1, duplicate = -1, reorder = -1, corrupt = -1;  // shares; -1 = by the seed
  Tags tags = Tags::stub;
  bool walk = true;               // a packet walks from every node to every prefix every 10 ms
  Mutation mutation = Mutation::none;
  Duration trace_loops{};         // tell why packets circled for longer than that; 0 = do not
  bool verbose = false;
  std::FILE* log = nullptr;       // every event, one line each
};

// One end of a link; `links[2k]` and `links[2k+1]` are the two ends of link k.
struct LinkEnd {
  std::size_t node = 0;
  LinkId id;
  std::uint32_t metric = 10;
};
struct alignas(64) LinkSpec {
  LinkEnd ends[2];
  Duration delay = milliseconds(1), jitter{};
  std::uint16_t mtu[2] = {0xffff, 0xffff};  // larger datagrams vanish; by direction as below
  bool cut[2] = {false, false};   // direction from ends[i] to ends[1-i]
  linkstate::DrainLevel drain[2] = {};  // by each end's operator; outlives its crash
};

// The record of one node's inputs, of its present life.
struct Tape final : linkstate::InputSink {
  Bytes bytes;
  void write(ByteView entry) override { bytes.insert(bytes.end(), entry.begin(), entry.end()); }
};

// Shares of packets, the same on every link.
struct Weather {
  double loss = 0, duplicate = 0, reorder = 0, corrupt = 0;
};

class World final : public Wire {
 public:
  World(Pki& pki, JudgeMemo& memo, std::uint64_t seed, const Options& options);
  ~World() override;

  // ---- building, used by the scenario
  std::size_t add_node(bool gateway, bool rogue);
  std::size_t add_link(std::size_t a, std::size_t b);           // random delay and metrics
  std::size_t add_link(std::size_t a, std::size_t b, Duration delay, std::uint32_t metric);
  void start_all(Duration within = milliseconds(500));

  // ---- faults and changes
  void crash(std::size_t node);
  void restart(std::size_t node, std::uint64_t stored_epoch);
  void cut(std::size_t link, bool both_ways, bool announced);
  void restore(std::size_t link);
  void set_partition(std::vector<bool> side);  // empty = healed
  void announce(std::size_t node, Announced what);
  void revoke(wire::Revocation::GrantRef grant);
  void set_overload(std::size_t node, bool overload);
  void set_drain(std::size_t node, linkstate::DrainLevel level);
  void set_link_drain(std::size_t link, int end, linkstate::DrainLevel level);
  void set_metric(std::size_t link, int end, std::uint32_t metric);
  void set_mtu(std::size_t link, int end, std::uint16_t mtu);
  void set_weather(const Weather& weather);
  void at(Time when, std::function<void()> action);
  void log(const std::string& line);

  void run_until(Time end);
  // True if packets sent by that end of the link arrive, weather apart.
  bool carries(std::size_t link, int end) const {
    const LinkSpec& l = links[link];
    return !l.cut[end] && (side_.empty() || side_[l.ends[end].node] == side_[l.ends[1 - end].node]);
  }
  // The link of a node's own link id, and which end of it the node is.
  std::pair<std::size_t, int> wire_at(std::size_t node, LinkId id) const;
  Walks& walks() { return *walks_; }
  // Of everything that happened so far: two runs of one seed have the same.
  std::uint64_t fingerprint() const { return fingerprint_; }
  // Records a node from its next start on; its latest life is on the tape.
  void record(std::size_t node) { recorded_ = node; }
  std::size_t recorded() const { return recorded_; }
  const Tape& tape() const { return tape_; }

  Time now{};
  Rng rng;
  Options options;
  Weather weather;
  Duration liveness = milliseconds(50);
  std::vector<NodeSpec> specs;
  std::vector<std::unique_ptr<SimNode>> nodes;  // null = crashed
  std::vector<std::vector<std::size_t>> links_of;
  std::vector<LinkSpec> links;
  std::vector<Announced> announced;
  std::vector<bool> overloaded;
  std::vector<linkstate::DrainLevel> drained;
  std::set<std::uint64_t> revoked;              // grant serials
  std::uint64_t packets = 0, events = 0;
  Pki& pki;

 private:
  void boot(std::size_t node, std::uint64_t stored_epoch);
  linkstate::EngineConfig engine_config(std::size_t node, std::uint64_t stored_epoch);
  void send(std::size_t node, LinkId link, Bytes datagram) override;
  void deliver(std::size_t node, LinkId link, Bytes datagram, Duration delay);
  void wake(std::size_t node);
  void step(const Queue::Next& next);
  void step_packet();
  void note(std::size_t node, ByteView datagram);
  linkstate::LinkConfig link_config(std::size_t link, int end) const;

  JudgeMemo& memo_;
  std::shared_ptr<SharedWork> work_;
  std::shared_ptr<trust::CertificateCache> certificates_ = std::make_shared<trust::CertificateCache>();
  std::unique_ptr<Walks> walks_;
  Queue queue_;
  std::vector<Duration> wall_;                  // how far a node's calendar clock is off
  std::vector<bool> calendar_;                  // false: it has no calendar clock at all
  std::vector<std::vector<std::uint32_t>> wires_;  // by link id - 1: 2 * link + end
  linkstate::Outputs outputs_;
  std::vector<bool> side_;
  std::vector<wire::Revocation::GrantRef> revocations_;
  std::uint64_t fingerprint_ = 0;
  std::size_t recorded_ = ~std::size_t{0};
  Tape tape_;
};

}  // namespace dmsc::sim
