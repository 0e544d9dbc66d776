// One simulated node: the real engine, trust store, topology, SPF, RIB and FIB, driven as a daemon
// drives them.
#pragma once
#include <map>
#include <optional>
#include <set>

#include "dmsc/forwarding/decision.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "dmsc/linkstate/primitives.hpp"
#include "dmsc/forwarding/fib_writer.hpp"
#include "dmsc/routing/path_mtu.hpp"
#include "dmsc/routing/rib.hpp"
#include "dmsc/routing/spf.hpp"
#include "dmsc/routing/spf_backoff.hpp"
#include "tests/sim/pki.hpp"
#include "tests/sim/rng.hpp"

namespace dmsc::sim {

// What a node is, apart from its running process.
struct NodeSpec {
  NodeId id;
  bool gateway = false;
  bool rogue = false;  // announces names it has no grant for
};

// What a gateway's pods announce now. Survives a crash: the pods announce again.
struct Announced {
  std::vector<wire::PrefixEntry> entries;
  std::vector<Bytes> grants;
};

// Hears of every change of a FIB, so that packets walk only where something changed.
class FibWatch {
 public:
  virtual ~FibWatch() = default;
  virtual void destination(NodeId at, NodeId to) = 0;
  virtual void route(NodeId at, const std::string& name) = 0;
  virtual void links(NodeId at) = 0;  // one of its links is alive or dead now, or the node is new
  // What the node has computed or been told, for the story of a loop; asked for only if told() is true.
  virtual bool told() const = 0;
  virtual void tell(NodeId at, const std::string& what) = 0;
  // The Node LSA that the node holds now; sequence 0: none.
  virtual void holds(NodeId at, const wire::LsaKey& key, const wire::LsaVersion& version) = 0;
};

// Takes every datagram a node sends; called inside the inputs of the node.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual void send(std::size_t node, LinkId link, Bytes datagram) = 0;
};

// Deliberate faults of the code, to see that the oracle notices them.
enum class Mutation { none, no_digest, stuck_fib, deaf_to_withdrawals, any_origin, deaf_to_mtus };

class SimNode : public routing::RibSink {
 public:
  struct Shared {
    Pki& pki;
    JudgeMemo& memo;
    Wire& wire;
    linkstate::Primitives& primitives;  // of all engines
    linkstate::Outputs& outputs;        // what settle() reads them into, one node after the other
    std::shared_ptr<trust::CertificateCache> certificates;
    FibWatch* watch = nullptr;
    Mutation mutation = Mutation::none;
  };
  // Instants given and returned are the world's; the node's own monotonic clock is `clock` ahead of it.
  SimNode(Shared shared, NodeSpec spec, linkstate::EngineConfig config, Time now, Duration clock);

  void receive(Time now, LinkId link, Bytes datagram);
  void tick(Time now);
  // The next instant tick() is wanted; Time::max() = none.
  Time deadline() const;
  // After any direct use of engine().
  void settle(Time now);
  void announce(Time now, const Announced& what);
  void inject(Time now, ByteView signed_object);
  void add_link(Time now, linkstate::LinkConfig link) { engine_.add_link(now + clock_, std::move(link)); }
  void change_link(Time now, linkstate::LinkConfig link);
  void interface_state(Time now, LinkId link, bool up);
  void set_overload(Time now, bool overload);
  void set_drain(Time now, linkstate::DrainLevel level);
  void set_link_drain(Time now, LinkId link, linkstate::DrainLevel level);
  std::vector<linkstate::NeighbourView> neighbours(Time now) const { return engine_.neighbours(now + clock_); }

  const linkstate::Engine& engine() const { return engine_; }
  const forwarding::Fib& fib() const { return fib_; }
  const routing::Rib& rib() const { return rib_; }
  const routing::SpfBackoff& backoff() const { return backoff_; }
  const trust::TrustStore& trust() const { return trust_; }
  const NodeSpec& spec() const { return spec_; }
  bool spf_pending() const { return backoff_.due().has_value(); }
  bool long_wait() const { return backoff_.state() == routing::SpfBackoff::State::long_wait; }
  // What it takes the paths to carry, by the Node LSAs it holds.
  routing::PathMtuTable path_mtus() const { return routing::path_mtus(topology_, spf_, link_mtus_, {}); }
  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t spf_runs() const { return spf_runs_; }
  // The world's instant of the last change of this node's FIB, and of its last adjacency lost.
  Time fib_changed() const { return fib_changed_; }
  Time adjacency_lost() const { return adjacency_lost_; }
  // Names in the verified LSDB as originated by `origin`.
  std::set<std::string> names_of(NodeId origin) const;
  // May a packet with this destination be handed to a pod here?
  bool serves(std::string_view name) const;

 private:
  void group_added(routing::InstanceGroupId group, bool covering,
                   std::span<const routing::GroupMember> members) override;
  void group_weights(routing::InstanceGroupId group,
                     std::span<const std::uint32_t> weights) override;
  void group_removed(routing::InstanceGroupId group) override;
  void route_changed(std::string_view prefix, routing::InstanceGroupId group) override;
  void route_removed(std::string_view prefix) override;
  void next_hops_added(routing::GroupId group, const routing::NextHopGroup& ways) override;
  void next_hops_removed(routing::GroupId group) override;
  void destination_changed(NodeId node, std::uint32_t distance, routing::GroupId next_hops) override;
  void destination_removed(NodeId node) override;
  void touched_route(const std::string& name);
  void read_outputs(Time now);
  bool judge(Time now, const linkstate::VerifyWanted& wanted);
  void changed(Time now, const linkstate::LsdbChanged& change);
  void trust_changed(Time now, NodeId origin);
  void rebuild_prefixes(NodeId origin);
  bool reaches_new(NodeId origin) const;
  void run_spf(Time now);
  void run_alternates();
  void touched_destination(NodeId node);
  void tell(const std::string& what) const;
  void tell_change(const wire::Lsa& lsa, bool gone, bool moved, bool urgent) const;

  // What a keepalive touches stands in front.
  linkstate::Engine engine_;
  Duration clock_;
  Time now_;                         // the world's, of the input being handled
  Time routes_due_ = Time::max();    // when SPF, its delays or alternates want to be called, by the node's clock
  bool routes_moved_ = true;         // that is to be looked at
  bool alternates_pending_ = false;
  NodeSpec spec_;
  Shared shared_;
  trust::TrustStore trust_;
  routing::Topology topology_;
  routing::LinkMtus link_mtus_;
  routing::SpfBackoff backoff_;
  routing::Spf spf_;
  forwarding::ImmediateReclaimer reclaimer_;
  forwarding::Fib fib_;
  forwarding::FibWriter writer_;
  routing::Rib rib_;
  std::map<std::string, routing::InstanceGroupId, std::less<>> group_of_;  // by prefix
  std::map<NodeId, std::map<std::uint16_t, wire::PrefixBody>> prefix_lsas_;
  std::uint64_t epoch_ = 0, spf_runs_ = 0;
  Time fib_changed_{}, adjacency_lost_{};
};

}  // namespace dmsc::sim
