// One simulated node: the real engine, trust store, topology, SPF, RIB and FIB, driven as a daemon
// drives them.
#pragma once
#include <map>
#include <optional>
#include <set>

#include "dmsc/forwarding/decision.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "dmsc/routing/rib.hpp"
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

class SimNode : public routing::RibSink {
 public:
  struct Shared {
    Pki& pki;
    JudgeMemo& memo;
    std::set<std::string>& violations;  // safety rules broken; each once
  };
  // `send` takes every datagram; called inside the inputs below.
  SimNode(Shared shared, NodeSpec spec, linkstate::EngineConfig config, Time now,
          std::function<void(LinkId, Bytes)> send);

  void receive(Time now, LinkId link, ByteView datagram);
  void tick(Time now);
  // The next instant tick() is wanted.
  std::optional<Time> deadline() const;
  // After any direct use of engine().
  void settle(Time now);
  void announce(Time now, const Announced& what);
  void inject(Time now, ByteView signed_object);

  linkstate::Engine& engine() { return engine_; }
  const linkstate::Engine& engine() const { return engine_; }
  const forwarding::Fib& fib() const { return fib_; }
  const routing::Rib& rib() const { return rib_; }
  const trust::TrustStore& trust() const { return trust_; }
  const NodeSpec& spec() const { return spec_; }
  bool spf_pending() const { return backoff_.due().has_value(); }
  std::uint64_t epoch() const { return epoch_; }
  // Names in the verified LSDB as originated by `origin`.
  std::set<std::string> names_of(NodeId origin) const;
  // May a packet with this destination be handed to a pod here?
  bool serves(std::string_view name) const;

 private:
  void route_changed(const routing::RibRoute& route) override;
  void route_removed(const Name& prefix) override;
  void destination_changed(NodeId node, const routing::Destination& destination) override;
  void destination_removed(NodeId node) override;
  void judge(Time now, const linkstate::VerifyWanted& wanted);
  void changed(Time now, const linkstate::LsdbChanged& change);
  void trust_changed(Time now, NodeId origin);
  void rebuild_prefixes(NodeId origin);
  void run_spf(Time now);

  Shared shared_;
  NodeSpec spec_;
  std::function<void(LinkId, Bytes)> send_;
  linkstate::Engine engine_;
  trust::TrustStore trust_;
  routing::Topology topology_;
  routing::SpfBackoff backoff_;
  forwarding::ImmediateReclaimer reclaimer_;
  forwarding::Fib fib_;
  routing::Rib rib_;
  std::map<NodeId, std::map<std::uint16_t, wire::PrefixBody>> prefix_lsas_;
  std::uint64_t epoch_ = 0;
};

}  // namespace dmsc::sim
