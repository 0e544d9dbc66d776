// The one implementation of Node, by concern:
//   node_life.cpp     create, start, ready, reload, stop
//   node_drain.cpp    drains of node and links
//   node_links.cpp    links, their addresses, interfaces
//   node_finders.cpp  links to neighbours that were found
//   node_feeds.cpp    what is streamed row by row
//   node_engine.cpp   driving the engine: inputs, outputs, timers, verification
//   node_trust.cpp    what LSAs and SPAs teach; keys; domain time; grants that end
//   node_quality.cpp  once a second: data paths, bandwidth in use
//   node_api.cpp      events, policies, names
//   inspect_*.cpp     topics
#pragma once
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>

#include "dmsc/node/control_sockets.hpp"
#include "dmsc/node/interface_watcher.hpp"
#include "dmsc/node/link_finder.hpp"
#include "dmsc/node/node.hpp"
#include "dmsc/node/node_store.hpp"
#include "dmsc/node/record_file.hpp"
#include "dmsc/node/route_keeper.hpp"
#include "dmsc/node/spa_agent.hpp"
#include "dmsc/node/verifier.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::node {

// A configured link and what is known of it now.
struct LinkRecord {
  LinkId id;
  LinkSettings settings;
  SocketAddress local;
  std::vector<std::uint16_t> data_ports;
  bool adjacent = false;
  Time adjacent_since{}, hinted{};
  NodeId neighbour;
  dataplane::Neighbour data;        // as the data plane has it, while adjacent
  bool usable = true;               // the data path answers
  int interface_index = 0;
  bool open = true;                 // its sockets are bound
  std::string finder;               // who found it; empty = configured
  NodeId found;                     // whom
  bool resolving = false;
  Time resolve_again{};
  // Bandwidth in use, from the counters of a second ago.
  dataplane::LinkCounterValues counters;
  Time counted{};
  std::uint64_t used_bps = 0;
  std::uint64_t told_available_bps = 0;
  bool told_usable = true;
};

class NodeImpl final : public Node {
 public:
  NodeImpl(boost::asio::io_context& io, NodeSettings settings, NodeIdentity identity,
           trust::TrustStore trust, NodeStore store, std::unique_ptr<dataplane::DataPlane> plane,
           SessionId session, std::unique_ptr<RecordFile> record, SpaChannelFactory channels);
  ~NodeImpl() override;

  Status start() override;
  void when_ready(std::function<void()> ready) override;
  std::string waiting_for() const override;
  Status reload(NodeSettings settings) override;
  void drain(const DrainOrder& order, std::function<void(Status)> stored) override;
  const DrainState& drains() const override { return drains_; }
  bool draining() const override { return drains_.node.has_value(); }
  void renew(NodeIdentity identity, SpaChannelFactory spa_channels) override;
  void stop(bool drain_first, std::function<void()> done) override;

  void set_prefixes(std::vector<wire::PrefixEntry> entries) override;
  void set_grants(std::vector<Bytes> signed_grants) override;
  void authenticate(AuthenticationRequest request, Duration timeout,
                    std::function<void(Result<AuthenticationAnswer>)> done) override;
  std::string connected_spa() const override { return spa_ ? spa_->connected() : ""; }

  ListenerId subscribe_lsdb(std::function<void(const LsdbEvent&)> listener) override;
  ListenerId on_adjacency(std::function<void(const AdjacencyEvent&)> listener) override;
  ListenerId on_trust(std::function<void()> listener) override;
  ListenerId on_route(std::function<void(const Name&)> listener) override;
  ListenerId on_path_mtus(
      std::function<void(const routing::PathMtuTablePtr&)> listener) override;
  void remove_listener(ListenerId listener) override;

  Status set_metric_bias(LinkId link, std::uint32_t bias) override;
  void set_weights(const routing::WeightPolicy& policy) override;
  void clear_weights(const Name& prefix) override;
  Status set_label(PathLabel label, NodeId egress, NodeId next) override;
  void remove_label(PathLabel label) override;
  void set_path(const Name& prefix, NodeId egress, PathLabel label,
                std::vector<NodeId> nodes) override;
  void clear_path(const Name& prefix, NodeId egress) override;
  std::vector<LinkQuality> link_quality() const override;

  const NodeSettings& settings() const override { return settings_; }
  const NodeIdentity& identity() const override { return identity_; }
  linkstate::Engine& engine() override { return engine_; }
  const trust::TrustStore& trust() const override { return trust_; }
  const routing::Topology& topology() const override { return routes_.topology(); }
  const routing::Rib& rib() const override { return routes_.rib(); }
  dataplane::DataPlane& data_plane() override { return *plane_; }
  std::vector<dataplane::Worker*> workers() override { return plane_->workers(); }
  DomainTime domain_time() const override { return trust_.domain_time(now()); }
  std::string name_of(NodeId node) const override;
  NodeId find_node(const std::string& name) const override;
  Time now() const override;
  boost::asio::io_context& io() override { return io_; }

  void register_topic(const std::string& name, TopicHandler handler) override;
  const TopicHandler* topic(const std::string& name) const override;
  std::vector<std::string> topics() const override;
  Json status() const override;  // inspect_status.cpp
  // A row of what node_feeds.cpp streams; nullopt: there is none.
  std::optional<Json> lsdb_row(const std::string& key) const;
  std::optional<Json> route_row(const std::string& prefix) const;
  std::optional<Json> path_row(const std::string& node) const;
  std::optional<Json> neighbor_row(const std::string& link) const;
  void attach_inspect(runtime::InspectServer* server) override;

  // For the topics.
  const RouteKeeper& routes() const { return routes_; }
  const std::map<LinkId, LinkRecord>& links() const { return links_; }
  const ControlSockets& control() const { return control_; }
  const std::map<std::string, std::unique_ptr<LinkFinder>>& finders() const { return finders_; }
  Time started() const { return started_; }
  Time drained_at() const { return drained_at_; }  // the last order to drain, or to end a drain
  bool ready() const { return ready_; }
  // "none", "soft", "hard", or "moving": on its way from soft to hard. Link 0 is the node.
  std::string drain_word(LinkId link) const;
  Json links_drained() const;
  std::size_t unjudged() const { return verifier_.pending(); }
  const Verifier& verifier() const { return verifier_; }
  const RecordFile* record() const { return record_.get(); }

 private:
  // node_life.cpp
  void check_ready();
  void finish_stop(std::function<void()> done);
  void register_topics();  // inspect.cpp
  void changed(const std::string& topic);

  // node_drain.cpp
  void restore_drains();
  void restore_drain(const LinkRecord& link);
  void apply_drain(LinkId link, linkstate::DrainLevel level);
  void set_level(LinkId link, linkstate::DrainLevel level);
  void watch_drains();
  void look_at_drains();
  std::uint64_t passed(LinkId link) const;
  linkstate::DrainLevel wanted_drain(LinkId link) const;

  // node_finders.cpp
  void start_finders(const std::vector<FinderSettings>& wanted);
  void start_finder(const FinderSettings& settings);
  bool change_finder(LinkFinder& finder, const FinderSettings& wanted);
  void sync_found(const std::string& finder);
  bool configured_to(const std::string& address, std::uint16_t port) const;
  void found_link(const LinkFinder& finder, NodeId node, const linkstate::Discovery::Neighbour& n);
  void drop_link(LinkId link);

  // node_links.cpp
  Status open_link(LinkRecord& link);
  void close_link(LinkRecord& link);
  linkstate::LinkConfig engine_link(const LinkRecord& link) const;
  Status add_link(const LinkSettings& settings, const std::string& finder = "", NodeId found = {});
  void resolve(LinkRecord& link);
  void remote_found(LinkId id, const SocketAddress& remote);
  void interface_changed(const std::string& name, const InterfaceState& state);
  void apply_interface(LinkRecord& link, const InterfaceState* state);
  void reopen(LinkRecord& link);
  void hint(LinkId link);
  void data_unreachable(const SocketAddress& whom);
  LinkRecord* find_link(LinkId id);

  // node_engine.cpp
  void pump();
  void foresee(const linkstate::Outputs& outputs, std::size_t from);
  void schedule();
  void on_timer();
  void take(const linkstate::Transmit& output) { control_.send(output.link, output.datagram); }
  void take(const linkstate::VerifyWanted& output);
  void take(const linkstate::AdjacencyUp& output);
  void take(const linkstate::AdjacencyDown& output);
  void take(const linkstate::LsdbChanged& output);
  void take(const linkstate::Synchronised& output);
  void take(const linkstate::Epoch& output);
  void take(const linkstate::Misbehaviour& output);
  void take(const linkstate::LimitExceeded& output);
  void take(const linkstate::LinkCarries& output);
  bool judged(const std::vector<Verifier::Answer>& answers);

  // node_trust.cpp
  void load_trust();
  bool learn_object(ByteView object, const char* source);
  void inject(ByteView object);
  void news(const TrustNews& news);
  void set_link_keys(const crypto::KeyChain& keys);
  void heard_time(DomainTime time);
  void trust_learnt(NodeId origin);
  void reconsider();
  void look_at_expiry();

  // node_quality.cpp
  void every_second();
  void tidy_memory();
  void measure(LinkRecord& link, const dataplane::LinkStats& stats);

  // node_api.cpp
  void route_changed(const Name& prefix);
  void tell_lsdb(LsdbEvent::Kind kind, const wire::LsaPtr& lsa);
  void put_topic(const std::string& name);

  // node_feeds.cpp
  void attach_feeds();
  std::vector<std::string> path_keys() const;
  void tell_paths();
  void tell_neighbors();
  using RowMaker = std::function<std::optional<Json>(const std::string& key)>;
  void tell_differences(const std::string& topic, const std::vector<std::string>& keys,
                        std::map<std::string, std::string>& told, const RowMaker& row);

  boost::asio::io_context& io_;
  NodeSettings settings_;
  NodeIdentity identity_;
  trust::TrustStore trust_;
  Verifier verifier_;
  NodeStore store_;
  std::unique_ptr<dataplane::DataPlane> plane_;
  std::unique_ptr<RecordFile> record_;  // before the engine, which writes into it to its end
  linkstate::Engine engine_;
  RouteKeeper routes_;
  ControlSockets control_;
  IcmpWatch data_errors_;  // of the workers' sockets
  InterfaceWatcher watcher_;
  std::unique_ptr<SpaAgent> spa_;
  crypto::KeyChain keys_;
  std::map<LinkId, LinkRecord> links_;
  std::map<std::string, std::unique_ptr<LinkFinder>> finders_;
  SessionId session_;
  std::map<LinkId, std::shared_ptr<boost::asio::ip::udp::resolver>> resolvers_;

  std::uint64_t lsas_seen_ = 0, lsas_tidied_ = 0;
  boost::asio::steady_timer timer_, second_timer_, stop_timer_, drain_timer_;
  std::vector<wire::LsaPtr> foreseen_;  // room used again
  std::optional<Time> armed_;  // what timer_ waits for
  bool pumping_ = false, started_once_ = false, stopping_ = false, stopped_ = false;
  runtime::log::RateLimiter refusal_log_{seconds(1), 20};
  bool trust_dirty_ = false;
  bool ask_again_ = false;          // learnt from the SPA: LSAs that wait may be judged now
  std::set<NodeId> trust_dirty_origins_;  // 0: all
  Time reconsidered_{};
  std::set<wire::Revocation::NodeRef> rechecked_;

  Time started_{}, drained_at_{};
  std::optional<Time> call_spas_at_;  // or once synchronised
  bool synchronised_ = false, spf_after_sync_ = false, ready_ = false;
  std::vector<std::function<void()>> when_ready_;
  DrainState drains_;
  // A hard drain on its way: soft, until nothing uses what is drained any more.
  struct DrainMove {
    Time since;
    std::uint64_t counted = 0;
    unsigned quiet = 0;  // turns without traffic
  };
  std::map<LinkId, DrainMove> drain_moves_;  // link 0 = the node

  ListenerId next_listener_ = 1;
  struct LsdbListener {
    std::function<void(const LsdbEvent&)> call;
    std::uint64_t sequence = 0;
  };
  std::map<ListenerId, LsdbListener> lsdb_listeners_;
  std::map<ListenerId, std::function<void(const AdjacencyEvent&)>> adjacency_listeners_;
  std::map<ListenerId, std::function<void()>> trust_listeners_;
  std::map<ListenerId, std::function<void(const Name&)>> route_listeners_;
  std::map<ListenerId, std::function<void(const routing::PathMtuTablePtr&)>> path_mtu_listeners_;
  std::set<Name> routes_to_tell_;
  bool routes_told_ = false;  // posted

  std::map<std::string, TopicHandler> topics_;
  runtime::InspectServer* inspect_ = nullptr;
  bool feeds_attached_ = false;
  std::map<std::string, std::string> told_paths_, told_neighbors_;  // while followed: rows as told
  // Expires with the node: guards callbacks that come from elsewhere.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dmsc::node
