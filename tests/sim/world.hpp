// The simulated network: nodes, links with their faults, virtual time. Everything that happens
// follows from the seed.
#pragma once
#include <memory>
#include <queue>

#include "tests/sim/node.hpp"

namespace dmsc::sim {

struct Options {
  std::size_t nodes = 0;          // 0 = by the seed, 5-200
  double minutes = 1;
  double loss = -1, duplicate = -1, reorder = -1, corrupt = -1;  // shares; -1 = by the seed
  bool verbose = false;
};

// One end of a link; `links[2k]` and `links[2k+1]` are the two ends of link k.
struct LinkEnd {
  std::size_t node = 0;
  LinkId id;
  std::uint32_t metric = 10;
};
struct LinkSpec {
  LinkEnd ends[2];
  Duration delay = milliseconds(1);
  bool cut[2] = {false, false};   // direction from ends[i] to ends[1-i]
};

class World {
 public:
  World(Pki& pki, JudgeMemo& memo, std::uint64_t seed, const Options& options);

  // ---- building, used by the scenario
  std::size_t add_node(bool gateway, bool rogue);
  std::size_t add_link(std::size_t a, std::size_t b);
  void start_all();

  // ---- faults and changes
  void crash(std::size_t node);
  void restart(std::size_t node, std::uint64_t stored_epoch);
  void cut(std::size_t link, bool both_ways, bool announced);
  void restore(std::size_t link);
  void set_partition(std::vector<bool> side);  // empty = healed
  void announce(std::size_t node, Announced what);
  void revoke(wire::Revocation::GrantRef grant);
  void set_overload(std::size_t node, bool overload);
  void set_metric(std::size_t link, int end, std::uint32_t metric);
  void at(Time when, std::function<void()> action);
  void log(const std::string& line);

  void run_until(Time end);

  Time now{};
  Rng rng;
  Options options;
  double loss = 0, duplicate = 0, reorder = 0, corrupt = 0;
  Duration liveness = milliseconds(50);
  std::vector<NodeSpec> specs;
  std::vector<std::unique_ptr<SimNode>> nodes;  // null = crashed
  std::vector<std::vector<std::size_t>> links_of;
  std::vector<LinkSpec> links;
  std::vector<Announced> announced;
  std::vector<bool> overloaded;
  std::set<std::uint64_t> revoked;              // grant serials
  std::uint64_t packets = 0, events = 0;
  std::set<std::string> violations;
  Pki& pki;

 private:
  struct Event {
    Time at;
    std::uint64_t order = 0;
    std::size_t node = 0;
    std::uint64_t life = 0;                     // of the node when it was made
    LinkId link;                                // 0 = wake-up
    Bytes datagram;
    std::function<void()> action;
    bool operator<(const Event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  void boot(std::size_t node, std::uint64_t stored_epoch);
  void send(std::size_t node, LinkId link, Bytes datagram);
  void deliver(std::size_t node, LinkId link, Bytes datagram, Duration delay);
  void wake(std::size_t node);
  void push(Event event);
  linkstate::LinkConfig link_config(std::size_t link, int end) const;
  LinkSpec& link_at(std::size_t node, LinkId id, int& end);

  JudgeMemo& memo_;
  std::priority_queue<Event> queue_;
  std::uint64_t order_ = 0;
  std::vector<std::optional<Time>> wake_at_;
  std::vector<std::uint64_t> life_;
  std::vector<std::map<LinkId, std::pair<std::size_t, int>>> wires_;
  std::vector<bool> side_;
  std::vector<wire::Revocation::GrantRef> revocations_;
};

}  // namespace dmsc::sim
