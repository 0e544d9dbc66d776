// The domain as the scheduling center sees it: the verified LSDB, learnt from the event streams of a
// few nodes ("feeds"), never from configuration (DESIGN section 9). Single-threaded, no I/O.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "dmsc/measure/quality.hpp"
#include "dmsc/routing/rib.hpp"
#include "dmsc/routing/topology.hpp"
#include "dmsc/trust/trust_store.hpp"

namespace dmsc::scscd {

// A link by its two ends, lower node id first.
struct LinkName {
  NodeId a, b;
  friend auto operator<=>(const LinkName&, const LinkName&) = default;
};
inline LinkName link_between(NodeId x, NodeId y) { return x < y ? LinkName{x, y} : LinkName{y, x}; }

struct ServingInstance {
  routing::Instance instance;
  std::uint16_t capacity = 0;
};

class DomainView {
 public:
  DomainView(DomainId domain, trust::TrustStore trust);

  enum class Event { snapshot, snapshot_end, installed, removed };
  // One event of `feed`. Returns an error for bytes that are no LSA or whose signature is wrong; the
  // view is unchanged then. LSAs that cannot be judged yet wait for the identity or issuer.
  Status apply(NodeId feed, Event event, ByteView lsa);
  // A feed's session ended: what only it held stays until the next complete snapshot of any feed.
  void feed_lost(NodeId feed);
  void heard_time(Time now, DomainTime time) { trust_.heard_time(now, time); }
  void set_now(Time now) { now_ = now; }
  // Learns authority, revocations and parameters that came from the SPA itself.
  void learn_object(ByteView signed_object);

  std::string node_name(NodeId node) const;
  std::optional<NodeId> node_by_name(std::string_view name) const;
  std::vector<NodeId> nodes() const;
  const routing::NodeAttributes* attributes(NodeId node) const {
    return topology_.attributes(node);
  }
  // All instances a usable, granted prefix of that very name has.
  std::vector<ServingInstance> instances(const Name& prefix) const;
  std::vector<Name> prefixes() const;

  // Node ids of the shortest path by metric, both ends included; empty if there is none.
  std::vector<NodeId> spf_path(NodeId from, NodeId to) const;
  std::uint32_t distance(NodeId from, NodeId to) const;
  // The path of least `cost` (positive) over two-way links, gateways never transit; a link for which
  // `cost` gives nullopt is not used.
  using LinkCost = std::function<std::optional<double>(LinkName)>;
  std::vector<NodeId> best_path(NodeId from, NodeId to, const LinkCost& cost) const;
  // The link id `node` uses for its link to `neighbour`; 0 if there is none.
  std::uint32_t link_id(NodeId node, NodeId neighbour) const;
  std::size_t lsa_count() const { return held_.size(); }
  std::uint64_t generation() const { return generation_; }

 private:
  struct Held {
    wire::LsaPtr lsa;
    std::set<NodeId> feeds;
    bool verified = false;
  };
  void install(Held& held);
  void uninstall(const wire::LsaKey& key);
  void retry_waiting();
  void end_snapshot(NodeId feed);

  DomainId domain_;
  trust::TrustStore trust_;
  Time now_{};
  routing::Topology topology_;
  std::map<wire::LsaKey, Held> held_;
  std::map<NodeId, std::map<std::uint16_t, std::vector<wire::PrefixEntry>>> prefixes_;
  std::map<NodeId, std::set<wire::LsaKey>> snapshots_;  // keys seen in a snapshot under way
  std::set<NodeId> lost_feeds_;
  std::uint64_t generation_ = 0;
};

}  // namespace dmsc::scscd
