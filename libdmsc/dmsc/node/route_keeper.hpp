// From the verified LSDB to the FIB: topology, prefixes filtered by grants, SPF under its delay, RIB,
// labels (DESIGN section 5). Driven by the node on the control thread; knows no socket and no clock.
//
//   Node LSAs ───► Topology ─► SpfBackoff ─► run_spf + alternates ─┐
//   Prefix LSAs ─► grants? ─► usable entries per origin ───────────┴─► Rib ─► FibWriter ─► Fib
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dmsc/forwarding/fib.hpp"
#include "dmsc/routing/rib.hpp"
#include "dmsc/routing/spf_backoff.hpp"
#include "dmsc/routing/topology.hpp"
#include "dmsc/trust/trust_store.hpp"

namespace dmsc::node {

// A prefix in the LSDB that this node does not use, for `explain`.
struct RefusedPrefix {
  NodeId origin;
  Name name;
  std::string reason;
};

class RouteKeeper final : public routing::RibSink {
 public:
  struct Hooks {
    std::function<void(const Name&)> route;  // changed or gone, already in the FIB; must not call back
    std::function<void()> spf_done;
  };
  RouteKeeper(NodeId self, const trust::TrustStore& trust, forwarding::Fib& fib, Hooks hooks,
              routing::SpfDelayConfig delays = {});
  ~RouteKeeper() override;

  // A verified Node or Prefix LSA was installed or refreshed, or (removed) left the LSDB. Bodies that
  // do not decode count as empty.
  void lsa_installed(Time now, DomainTime domain_now, const wire::Lsa& lsa);
  void lsa_removed(Time now, DomainTime domain_now, const wire::LsaKey& key);
  // Grants, identities, revocations or domain time changed: decides again about every prefix, and
  // about the nodes whose identity is no longer good.
  void reconsider(Time now, DomainTime domain_now);
  // When the first grant in use ends: reconsider() then. Nothing in use ends: the zero time.
  DomainTime next_expiry() const { return next_expiry_; }

  // An own adjacency: its link carries data or not. Takes effect on the FIB at once.
  void link_up(LinkId link, NodeId neighbour, std::uint32_t metric);
  void link_down(LinkId link);

  void tick(Time now);  // runs SPF when due
  std::optional<Time> next_deadline() const;

  // Explicit paths. Errc::unavailable if no link to `next` is up; the entry then waits for one.
  Status set_label(PathLabel label, NodeId egress, NodeId next);
  void remove_label(PathLabel label);
  // Packets this node originates to `egress` for names `prefix` covers carry `label`.
  void set_path(const Name& prefix, NodeId egress, PathLabel label);
  void clear_path(const Name& prefix, NodeId egress);
  const std::map<std::pair<Name, NodeId>, PathLabel>& paths() const { return paths_; }
  struct LabelState {
    PathLabel label;
    NodeId egress, next;
    LinkId link;  // 0 = waits for a link to `next`
  };
  std::vector<LabelState> labels() const;

  routing::Rib& rib() { return rib_; }
  const routing::Rib& rib() const { return rib_; }
  const routing::Topology& topology() const { return topology_; }
  const std::map<std::pair<NodeId, Name>, std::string>& refused() const { return refused_; }
  // Every LSDB entry of exactly that name, usable or not: origin and entry.
  std::vector<std::pair<NodeId, wire::PrefixEntry>> announced(const Name& name) const;
  std::uint64_t spf_runs() const { return spf_runs_; }
  const routing::SpfBackoff& backoff() const { return backoff_; }
  Duration last_spf_took() const { return last_spf_took_; }
  void set_stopwatch(std::function<Time()> clock) { clock_ = std::move(clock); }
  // What was written to the FIB since the start, and when last, by the stopwatch: how convergence is
  // measured on a real node.
  struct FibWrites {
    std::uint64_t nodes = 0, prefixes = 0;
    Time last_node{}, last_new_node{}, last_prefix{};  // zero: never, or no stopwatch
  };
  const FibWrites& fib_writes() const { return fib_writes_; }

  // routing::RibSink
  void route_changed(const routing::RibRoute& route) override;
  void route_removed(const Name& prefix) override;
  void destination_changed(NodeId node, const routing::Destination& destination) override;
  void destination_removed(NodeId node) override;

 private:
  bool trusted(NodeId origin) const;
  void apply_node(Time now, NodeId origin, std::uint16_t fragment);
  void apply_prefixes(NodeId origin, DomainTime domain_now);
  void topology_changed(Time now, NodeId origin, const routing::TopologyChange& change);
  bool reaches_new(NodeId origin) const;
  std::vector<wire::PrefixEntry> entries_of(NodeId origin) const;
  void publish_paths();
  bool usable(NodeId origin, const wire::PrefixEntry& entry, DomainTime domain_now,
              std::string& reason, DomainTime& until) const;
  void find_expiry();
  void run_spf();
  void stamp(std::uint64_t& writes, Time& last);
  void refresh_labels();
  LinkId best_link(NodeId neighbour) const;

  NodeId self_;
  const trust::TrustStore& trust_;
  forwarding::Fib& fib_;
  Hooks hooks_;
  routing::Topology topology_;
  routing::SpfBackoff backoff_;
  routing::Rib rib_;
  using FragmentKey = std::pair<NodeId, std::uint16_t>;
  std::map<FragmentKey, wire::NodeBody> node_bodies_;
  std::set<FragmentKey> in_topology_;
  std::map<NodeId, std::map<std::uint16_t, wire::PrefixBody>> prefix_bodies_;
  std::map<std::pair<NodeId, Name>, std::string> refused_;
  std::map<NodeId, DomainTime> expiry_;  // earliest end of a grant in use, by origin
  DomainTime next_expiry_;
  struct OwnLink {
    NodeId neighbour;
    std::uint32_t metric = 0;
  };
  std::map<LinkId, OwnLink> own_links_;
  std::map<PathLabel, LabelState> labels_;
  std::map<std::pair<Name, NodeId>, PathLabel> paths_;
  std::uint64_t spf_runs_ = 0;
  Duration last_spf_took_{};
  FibWrites fib_writes_;
  std::function<Time()> clock_;
};

}  // namespace dmsc::node
