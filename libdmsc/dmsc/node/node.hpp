// A router node: `srd` is one, `sgd` has one inside. It drives the pure rooms with sockets, netlink
// and timers, all on one control thread, the one that runs the io_context given at creation.
//
//   control sockets ─► Engine ─► LSDB events ─► TrustStore ─► Topology / prefixes ─► SPF ─► Rib ─► Fib
//   netlink ─────────►    ▲          └──► listeners (telemetry)                              │
//   SPA stream ───────────┴─ keys, authority, revocations                      DataPlane workers
//
// Every function is called on the control thread unless a comment says otherwise, and every callback
// comes on it.
#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dmsc/dataplane/data_plane.hpp"
#include "dmsc/linkstate/engine.hpp"
#include "dmsc/node/drain_state.hpp"
#include "dmsc/node/settings.hpp"
#include "dmsc/routing/path_mtu.hpp"
#include "dmsc/routing/rib.hpp"
#include "dmsc/routing/topology.hpp"
#include "dmsc/runtime/inspect_server.hpp"
#include "dmsc/trust/trust_store.hpp"

namespace grpc {
class Channel;
}

namespace dmsc::node {

using ListenerId = std::uint64_t;

// A gap-free event of the verified LSDB: after the snapshot, `sequence` rises by one per event.
struct LsdbEvent {
  enum class Kind { snapshot, snapshot_end, installed, removed } kind = Kind::installed;
  std::uint64_t sequence = 0;
  wire::LsaPtr lsa;  // not in snapshot_end
};

struct AdjacencyEvent {
  LinkId link;
  NodeId neighbour;
  bool up = false;
  std::string reason;  // of a loss
};

// A link as signalling 4 reports it.
struct LinkQuality {
  LinkId link;
  std::string name;
  NodeId neighbour;
  bool up = false;            // adjacency
  bool usable = false;        // and its data path answers
  Duration delay{}, jitter{};  // one way: half the round trip; zero = unknown
  double loss = 0;            // of keepalives, 0-1
  std::uint64_t capacity_bps = 0;   // 0 = unknown
  std::uint64_t used_bps = 0;       // the busier direction, over the last second
  std::uint64_t available_bps = 0;  // capacity - used; 0 with capacity 0 = unknown
};

// Signalling 3.
struct AuthenticationRequest {
  std::string pod_identity;
  Name prefix;
  bool covering = false;
  bool join_pool = false;
};
struct AuthenticationAnswer {
  Bytes grant;               // signed object; empty if refused
  std::string refusal_code;  // stable word
  std::string refusal;       // for people
  std::string spa;           // who answered
};

// An operator's order (docs/operations.md, "Drain").
struct DrainOrder {
  linkstate::DrainLevel level = linkstate::DrainLevel::hard;  // none = back into service
  std::string link;        // by name; empty = the whole node
  std::string reason;
  bool persistent = true;  // kept over restarts
};

// A topic of the inspect service: arguments in, `rows` (array) or `value` (object) out.
using Json = runtime::Json;
using TopicReply = std::function<void(Result<Json>)>;
using TopicHandler = std::function<void(const std::vector<std::string>& arguments, TopicReply reply)>;

// Makes the channel to one SPA, with the node's credentials. Control thread.
using SpaChannelFactory =
    std::function<std::shared_ptr<grpc::Channel>(const ServiceTarget& target)>;

class Node {
 public:
  // Checks identity and settings; binds nothing yet.
  static Result<std::unique_ptr<Node>> create(boost::asio::io_context& io, NodeSettings settings,
                                              NodeIdentity identity,
                                              SpaChannelFactory spa_channels = nullptr);
  virtual ~Node() = default;

  // ---- life -----------------------------------------------------------------------------------
  // Binds all sockets, starts workers and agents. On error nothing runs.
  virtual Status start() = 0;
  // `ready` runs once: after the first SPF with a synchronised database, or `ready_after` later.
  virtual void when_ready(std::function<void()> ready) = 0;
  // What keeps it from being ready, in words; empty when nothing does.
  virtual std::string waiting_for() const = 0;
  // Takes new settings by difference: links added, removed, changed; SPAs. An error changes nothing.
  virtual Status reload(NodeSettings settings) = 0;
  // Takes the node or a link out of use, or (level none) back into it, make before break: hard goes by
  // way of soft, until traffic has moved or five seconds have passed. `stored` runs once: when the order
  // is on disk and outlives any crash, or at once if it is not persistent. Errors: not_found (no such
  // link), internal (could not be stored; it is in force all the same).
  virtual void drain(const DrainOrder& order, std::function<void(Status)> stored) = 0;
  virtual const DrainState& drains() const = 0;
  virtual bool draining() const = 0;  // the node, at any level
  // A renewed certificate of the same key: flooded, and used for calls to the SPAs from now on.
  virtual void renew(NodeIdentity identity, SpaChannelFactory spa_channels) = 0;
  // With `drain_first`: a soft drain, not stored, and a short wait for the others' SPF. Then good-bye to the neighbours,
  // workers stopped, `done`. At most two seconds. The sinks are no longer called after `done`.
  virtual void stop(bool drain_first, std::function<void()> done) = 0;

  // ---- what a gateway originates ----------------------------------------------------------------
  // The whole set each time; kept over reconnects. Prefixes without a grant are refused by everybody,
  // this node included.
  virtual void set_prefixes(std::vector<wire::PrefixEntry> entries) = 0;
  virtual void set_grants(std::vector<Bytes> signed_grants) = 0;
  // Asks the SPAs in turn until one answers or `timeout` is over (then Errc::unavailable with what each
  // said). `done` runs once.
  virtual void authenticate(AuthenticationRequest request, Duration timeout,
                            std::function<void(Result<AuthenticationAnswer>)> done) = 0;
  // The SPA whose trust stream is up, "" if none.
  virtual std::string connected_spa() const = 0;

  // ---- events -------------------------------------------------------------------------------------
  // First, during the call, the verified LSDB as a snapshot; then every change without a gap.
  virtual ListenerId subscribe_lsdb(std::function<void(const LsdbEvent&)> listener) = 0;
  virtual ListenerId on_adjacency(std::function<void(const AdjacencyEvent&)> listener) = 0;
  // Grants, identities, revocations, parameters or the key chain changed.
  virtual ListenerId on_trust(std::function<void()> listener) = 0;
  // A RIB route changed (now in the FIB) or went.
  virtual ListenerId on_route(std::function<void(const Name& prefix)> listener) = 0;
  // What paths carry has changed; the first call is during this one. For any thread to read.
  virtual ListenerId on_path_mtus(
      std::function<void(const routing::PathMtuTablePtr&)> listener) = 0;
  virtual void remove_listener(ListenerId listener) = 0;

  // ---- policies (signalling 4) --------------------------------------------------------------------
  virtual Status set_metric_bias(LinkId link, std::uint32_t bias) = 0;  // 0 withdraws
  virtual void set_weights(const routing::WeightPolicy& policy) = 0;
  virtual void clear_weights(const Name& prefix) = 0;
  // The next hop is the neighbour `next`, over the best usable link to it; Errc::unavailable without
  // one. The entry is kept up to date as links come and go.
  virtual Status set_label(PathLabel label, NodeId egress, NodeId next) = 0;
  virtual void remove_label(PathLabel label) = 0;
  // From now on packets this node originates to `egress` for names `prefix` covers carry `label`.
  virtual void set_path(const Name& prefix, NodeId egress, PathLabel label,
                        std::vector<NodeId> nodes) = 0;
  virtual void clear_path(const Name& prefix, NodeId egress) = 0;
  virtual std::vector<LinkQuality> link_quality() const = 0;

  // ---- what it knows ------------------------------------------------------------------------------
  virtual const NodeSettings& settings() const = 0;
  virtual const NodeIdentity& identity() const = 0;
  virtual linkstate::Engine& engine() = 0;
  virtual const trust::TrustStore& trust() const = 0;
  virtual const routing::Topology& topology() const = 0;
  virtual const routing::Rib& rib() const = 0;
  virtual dataplane::DataPlane& data_plane() = 0;
  virtual std::vector<dataplane::Worker*> workers() = 0;
  virtual DomainTime domain_time() const = 0;
  // "sr-1" from the LSDB or the trust store; "node 7" if it has no name yet.
  virtual std::string name_of(NodeId node) const = 0;
  virtual NodeId find_node(const std::string& name) const = 0;  // 0 = unknown
  virtual Time now() const = 0;
  virtual boost::asio::io_context& io() = 0;

  // ---- inspect --------------------------------------------------------------------------------------
  // Adds or replaces a topic; a gateway extends `status` and `explain` by wrapping topic().
  virtual void register_topic(const std::string& name, TopicHandler handler) = 0;
  virtual const TopicHandler* topic(const std::string& name) const = 0;
  virtual std::vector<std::string> topics() const = 0;
  // What this node adds to the daemon's topic "status".
  virtual Json status() const = 0;
  // Puts every topic, those registered later too, on `server`, and tells it of changes. The server
  // outlives the node, or detach with nullptr first.
  virtual void attach_inspect(runtime::InspectServer* server) = 0;
};

}  // namespace dmsc::node
