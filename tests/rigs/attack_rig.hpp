// A node of the domain that floods, against its honest peers under virtual time: rogue R and honest origin O
// are neighbours of H, and P is behind H. Every node judges one LSA at a time, each in 70 us, and asks for
// the grant of each name: there is none. Measured: how late O's changes reach P, and how much memory the
// peers take. Soaks and unit tests share it.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "dmsc/linkstate/auth.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "dmsc/routing/prefix_keeper.hpp"

namespace dmsc::rigs {

class AttackRig {
 public:
  enum class Mode {
    own_names,     // well signed LSAs of its own, every one with other names
    junk_origins,  // LSAs that claim to be of many other nodes
  };
  struct Options {
    Mode mode = Mode::own_names;
    std::uint64_t names = 10'000'000;
    std::uint64_t lsas_per_second = 20'000;
  };
  struct Outcome {
    Duration quiet_delay{}, attacked_delay{};  // the longest, of O's changes to P
    std::uint64_t changes = 0, lsas_sent = 0;
    std::uint64_t installed = 0;               // of the rogue, at P
    std::size_t refused_names = 0;             // that P knows of in the end
    std::size_t waiting_most = 0;              // LSAs waiting at H
    std::int64_t memory_most = 0;              // bytes more on the heap, all three peers together
    std::size_t adjacencies_lost = 0;
    std::vector<linkstate::LimitExceeded> told;
  };
  explicit AttackRig(const Options& options);
  Outcome run();

 private:
  static constexpr std::size_t kH = 0, kP = 1, kO = 2, kR = 3, kNodes = 4;
  struct Wire {
    std::size_t node = 0;
    LinkId link;
  };
  struct Packet {
    Time at;
    Wire to;
    Bytes datagram;
  };
  // Where prefixes are used: no grant is known, so every name is refused.
  struct Routes : routing::RibSink {
    Routes(NodeId self, const linkstate::Engine& engine);
    void take(const linkstate::LsdbChanged& change);
    void group_added(routing::InstanceGroupId, bool, std::span<const routing::GroupMember>) override {}
    void group_weights(routing::InstanceGroupId, std::span<const std::uint32_t>) override {}
    void group_removed(routing::InstanceGroupId) override {}
    void route_changed(std::string_view, routing::InstanceGroupId) override {}
    void route_removed(std::string_view) override {}
    void next_hops_added(routing::GroupId, const routing::NextHopGroup&) override {}
    void next_hops_removed(routing::GroupId) override {}
    void destination_changed(NodeId, std::uint32_t, routing::GroupId) override {}
    void destination_removed(NodeId) override {}

    trust::TrustStore trust;
    routing::Rib rib;
    routing::PrefixKeeper keeper;
  };
  struct Node {
    std::unique_ptr<linkstate::Engine> engine;
    std::unique_ptr<Routes> routes;
    std::map<LinkId, Wire> wires;
    std::deque<linkstate::VerifyWanted> to_judge;
    Time judge_free;
  };
  void join(std::size_t a, LinkId la, std::size_t b, LinkId lb);
  void run_until(Time end);
  bool step(Time end);
  void drain(std::size_t node);
  void judge(Node& node);
  void change_honest();
  void note(const linkstate::LsdbChanged& change);
  void attack();
  Bytes rogue_lsa();
  Bytes reseal(Bytes datagram);

  Options options_;
  Outcome outcome_;
  Time now_;
  Node nodes_[kNodes];
  std::deque<Packet> flying_;
  linkstate::ControlKeys keys_;
  std::uint64_t counter_ = 1ULL << 62, round_ = 0, sequence_ = 0, random_ = 88172645463325252ULL;
  std::deque<std::pair<std::uint64_t, Time>> pending_;  // O's changes that P has not heard
  bool attacked_ = false;
};

}  // namespace dmsc::rigs
