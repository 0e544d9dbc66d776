// A few engines under virtual time, joined by links whose packets a test may drop, copy or change.
// Certificates are bare public keys here: the engine never looks inside one.
#pragma once
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>

#include "dmsc/linkstate/engine.hpp"
#include "dmsc/wire/pdu.hpp"

namespace dmsc::linkstate::test {

crypto::Key32 seed(std::uint8_t fill);
crypto::KeyChain chain(std::initializer_list<std::uint16_t> ids, std::uint16_t active);
wire::PrefixEntry prefix(const std::string& name, std::uint16_t capacity = 100);

struct Packet {
  int from = 0, to = 0;      // node indices
  LinkId link;               // at the receiver
  Bytes datagram;
};

class Net;

// One node: the engine, and what its driver has seen.
struct Node {
  explicit Node(EngineConfig c, Time now) : config(c), engine(std::move(c), now) {}
  EngineConfig config;
  Engine engine;
  std::map<LinkId, std::pair<int, LinkId>> wires;      // own link -> (node, its link)
  std::map<NodeId, crypto::PublicKey> identities;      // learned from identity LSAs
  std::map<wire::LsaKey, wire::LsaPtr> heard;          // by LsdbChanged events only
  std::vector<std::string> adjacency_log, misbehaviour;
  std::vector<LsdbChanged> changes;
  std::vector<LimitExceeded> exceeded;
  std::size_t synchronised_events = 0;
  std::uint64_t epoch = 0;
  bool alive = true;
  Duration skew{};                                     // of its own clock
  AdjacencyState state(std::uint32_t link = 1) const;
  NeighbourView view(std::uint32_t link = 1) const;
};

class Net {
 public:
  Time now{};
  std::vector<std::unique_ptr<Node>> nodes;
  Duration delay = milliseconds(1);
  std::function<bool(Packet&)> deliver;                // false = lost; may change the datagram
  std::function<std::optional<bool>(const wire::Lsa&, const Node&)> judge_override;
  std::uint64_t packets = 0;

  Net();
  // Node i has id i + 1 and name "n<i+1>".
  // `skew`: how far its monotonic clock is ahead of the others'.
  int add(std::function<void(EngineConfig&)> change = {}, Duration skew = {});
  // Joins two nodes by a new link; its id is the next free one at each.
  void join(int a, int b, std::function<void(LinkConfig&)> change = {});
  // Line of n nodes, joined in a row. Tests of hours use a slow `liveness`.
  static Net line(int n, Duration liveness = milliseconds(50));
  void run(Duration time);
  // All nodes stand still: nothing is sent or read; what is on its way waits.
  void pause(Duration time);
  // Runs until `done` or fails after `limit`.
  void until(const std::function<bool()>& done, Duration limit = seconds(5));
  // Forgets a node's state; it starts again with a new session and `stored_epoch`.
  void restart(int node, std::uint64_t stored_epoch, std::uint64_t clock_seconds = 0);
  // What the node's own clock says now.
  Time local(int node) { return now + (*this)[node].skew; }
  void inject(Packet packet, Duration after);
  // Hands the outputs of a node over; called by run() after every event.
  void drain(int node);
  bool equal_databases() const;
  Node& operator[](int i) { return *nodes[static_cast<std::size_t>(i)]; }

 private:
  bool step(Time end);
  void judge(int node, const VerifyWanted& wanted);
  std::multimap<Time, Packet> queue_;
  std::uint64_t sessions_ = 100;
};

}  // namespace dmsc::linkstate::test
