// From the verified LSDB to the FIB: topology, prefixes filtered by grants, SPF under its delay, RIB,
// labels (DESIGN section 5). Driven by the node on the control thread; knows no socket and no clock.
//
//   Node LSAs ───► Topology ─► SpfBackoff ─► Spf, later alternates ┐
//   Prefix LSAs ─► PrefixKeeper: grants, limits, differences ──────┴─► Rib ─► FibWriter ─► Fib
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dmsc/forwarding/fib_writer.hpp"
#include "dmsc/routing/path_check.hpp"
#include "dmsc/routing/path_mtu.hpp"
#include "dmsc/routing/prefix_keeper.hpp"
#include "dmsc/routing/rib.hpp"
#include "dmsc/routing/spf.hpp"
#include "dmsc/routing/spf_backoff.hpp"
#include "dmsc/routing/topology.hpp"
#include "dmsc/trust/trust_store.hpp"

namespace dmsc::node {

class RouteKeeper {
 public:
  struct Hooks {
    // Came, changed its instances or went, and the FIB has it; must not call back. Not told: weights.
    std::function<void(const Name&)> route;
    std::function<void()> spf_done;  // and again when its alternates are there
    // The LSDB's copy of an LSA, null if it has none: nothing of an LSA is kept here.
    routing::PrefixKeeper::Reader read;
    // An origin has more usable prefixes than the domain allows; must not call back.
    routing::PrefixKeeper::OverLimit over_limit;
    std::function<void(const routing::PathMtuTablePtr&)> path_mtus;  // they are others now
  };
  RouteKeeper(NodeId self, const trust::TrustStore& trust, forwarding::Fib& fib, Hooks hooks,
              routing::SpfDelayConfig delays = {});
  ~RouteKeeper();

  // A verified Node or Prefix LSA was installed or refreshed, or (removed) left the LSDB. Bodies that
  // do not decode count as empty.
  void lsa_installed(Time now, DomainTime domain_now, const wire::Lsa& lsa);
  void lsa_removed(Time now, DomainTime domain_now, const wire::LsaKey& key);
  // A hint: these will be installed next, in that order. Many prefix changes cost a fraction then.
  void foresee(std::span<const wire::LsaPtr> lsas) { prefixes_.foresee(lsas); }
  // Issuers, revocations or parameters changed: decides again about every prefix, and about the
  // nodes whose identity is no longer good.
  void reconsider(Time now, DomainTime domain_now);
  // The same for what one node originates: its identity or grants changed.
  void reconsider(Time now, DomainTime domain_now, NodeId origin);
  // Decides again where a grant in use has ended.
  void end_grants(DomainTime domain_now) { prefixes_.end_grants(domain_now); }
  // When the first grant in use ends: end_grants() then. Nothing in use ends: the zero time.
  DomainTime next_expiry() const { return prefixes_.next_expiry(); }

  // An own adjacency: its link carries data or not. Takes effect on the FIB at once.
  void link_up(LinkId link, NodeId neighbour, std::uint32_t metric);
  void link_down(LinkId link);
  // A drained link is the last choice for an explicit path's next hop; kept while the link is down.
  void link_drained(LinkId link, bool drained);

  void tick(Time now);  // runs SPF when due
  std::optional<Time> next_deadline() const;

  // Explicit paths. Errc::unavailable if no link to `next` is up; the entry then waits for one.
  Status set_label(PathLabel label, NodeId egress, NodeId next);
  void remove_label(PathLabel label);
  // Once a second: names withdrawn are forgotten in time (F17).
  void age_withdrawn(Time now);
  // Packets this node originates to `egress` for names `prefix` covers carry `label`, while nothing
  // is in the way of `nodes`, the path from this node to the egress.
  void set_path(const Name& prefix, NodeId egress, PathLabel label, std::vector<NodeId> nodes);
  void clear_path(const Name& prefix, NodeId egress);
  struct PathState {
    PathLabel label;
    std::vector<NodeId> nodes;
    std::optional<routing::PathObstacle> obstacle;  // it is void, and SPF is followed
  };
  const std::map<std::pair<Name, NodeId>, PathState>& paths() const { return paths_; }
  struct LabelState {
    PathLabel label;
    NodeId egress, next;
    LinkId link;  // 0 = waits for a link to `next`
  };
  std::vector<LabelState> labels() const;

  routing::Rib& rib() { return rib_; }
  const routing::Rib& rib() const { return rib_; }
  const routing::Topology& topology() const { return topology_; }
  // Every LSDB entry of a name, usable or not and why; how many there are.
  const routing::PrefixKeeper& prefixes() const { return prefixes_; }
  std::uint64_t spf_runs() const { return spf_runs_; }
  // What paths from here carry; never null.
  const routing::PathMtuTablePtr& path_mtus() const { return path_mtus_; }
  // Destinations by how their alternate protects them.
  routing::Spf::Protected protection() const { return spf_.count_protected(); }
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

 private:
  using FragmentKey = std::pair<NodeId, std::uint16_t>;
  bool trusted(NodeId origin) const;
  void apply_node(Time now, const FragmentKey& key, bool& in_topology, ByteView body);
  void leave_topology(Time now, const FragmentKey& key);
  void read_node(Time now, const FragmentKey& key, bool& in_topology);
  void stamp(std::uint64_t& writes, Time& last);
  forwarding::FibWriter::Hooks writer_hooks();
  void topology_changed(Time now, NodeId origin, const routing::TopologyChange& change);
  bool reaches_new(NodeId origin) const;
  void publish_paths();
  void check_paths();
  void run_spf();
  void run_alternates();
  void refresh_label(LabelState& state);
  LinkId best_link(NodeId neighbour) const;
  void refresh_path_mtus();

  NodeId self_;
  const trust::TrustStore& trust_;
  forwarding::Fib& fib_;
  Hooks hooks_;
  routing::Topology topology_;
  routing::SpfBackoff backoff_;
  routing::Spf spf_;
  bool alternates_pending_ = false;
  forwarding::FibWriter writer_;
  routing::Rib rib_;
  routing::PrefixKeeper prefixes_;
  std::map<FragmentKey, bool> node_lsas_;  // true: counts for the topology
  struct OwnLink {
    NodeId neighbour;
    std::uint32_t metric = 0;
  };
  std::map<LinkId, OwnLink> own_links_;
  std::set<LinkId> drained_links_;
  std::map<PathLabel, LabelState> labels_;
  std::map<std::pair<Name, NodeId>, PathState> paths_;
  Time withdrawn_aged_{};
  routing::LinkMtus link_mtus_;
  bool path_mtus_stale_ = false;
  routing::PathMtuTablePtr path_mtus_ = std::make_shared<routing::PathMtuTable>();
  std::uint64_t spf_runs_ = 0;
  Duration last_spf_took_{};
  FibWrites fib_writes_;
  std::function<Time()> clock_;
};

}  // namespace dmsc::node
