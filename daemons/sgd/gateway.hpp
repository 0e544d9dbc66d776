// sgd as the daemon skeleton runs it: a router node that is never transit, and on top of it what a
// gateway adds (DESIGN section 7).
//
//   pod.sock ──► PodServer ─► Registrar ─► node (prefixes, grants; SPA)        control thread
//                                │ GatewayView
//   message.sock ──► MessageHub ◄┤                                              home worker
//   TUN, DNS, listeners ─► Edge ◄┘
//                        GatewaySink ◄─ packets whose egress is this node       every worker
//                        GatewaySeal: around the workers, seals and opens what passes
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "dmsc/node/router.hpp"
#include "dmsc/runtime/daemon.hpp"
#include "sgd/config.hpp"
#include "sgd/gateway_seal.hpp"
#include "sgd/gateway_sink.hpp"
#include "sgd/name_ports.hpp"
#include "sgd/registrar.hpp"

namespace dmsc::sgd {

class Gateway final : public runtime::Service<Config> {
 public:
  // Enrols if needed, binds all sockets and starts the workers. An error: nothing is left running.
  static Result<std::unique_ptr<runtime::Service<Config>>> start(runtime::Daemon& daemon,
                                                                 Config config);
  ~Gateway() override;

  Result<std::string> reload(Config config) override;
  void stop(runtime::StopReason reason, std::function<void()> done) override;
  void drain(const runtime::DrainOrder& order, runtime::AdminHandlers::Done done) override;
  void undrain(const std::string& link, runtime::AdminHandlers::Done done) override;

 private:
  Gateway(runtime::Daemon& daemon, Config config, std::unique_ptr<node::Router> router);
  dmsc::Status open();
  void make_edge();
  void attach_sinks();
  dmsc::Status open_message_socket();
  void follow_routes();
  void route_changed(const Name& prefix);
  void follow_ports();
  void ports_changed(const Name& name);
  void view_changed(GatewayViewPtr view);
  void update_endpoints(const GatewayView& view);
  void update_sources(const GatewayView& view);
  void count_uses();
  void stop_data_paths();
  // Topics (gateway_topics.cpp).
  void register_topics();
  void extend_counters();
  void with_edge(FlowsWanted flows, std::function<node::Json(const EdgeSnapshot&)> make,
                 node::TopicReply reply);
  // Runs `ask` on the home worker and `use` with its result on the control thread.
  void from_hub(std::function<node::Json(MessageHub&)> ask, std::function<void(node::Json)> use);

  runtime::Daemon& daemon_;
  Config config_;
  std::unique_ptr<node::Router> router_;
  node::Node& node_;
  std::unique_ptr<GatewaySeal> seal_;  // null: dataplane.security is none
  std::vector<dataplane::Worker*> workers_;  // the node's, or sealing ones around them
  dataplane::Worker& home_;
  IdentityResolver identities_;
  // What paths carry; the home worker's.
  std::shared_ptr<routing::PathMtuTablePtr> path_mtus_ =
      std::make_shared<routing::PathMtuTablePtr>(std::make_shared<routing::PathMtuTable>());
  std::unique_ptr<MessageHub> hub_;
  std::unique_ptr<Edge> edge_;
  std::vector<std::unique_ptr<GatewaySink>> sinks_;  // by worker
  std::unique_ptr<Registrar> registrar_;
  std::shared_ptr<node::InstanceProber> prober_;
  NamePorts name_ports_;
  std::map<InstanceId, AnnouncedService> endpoints_;  // told to the edge
  std::map<std::string, std::pair<Name, InstanceId>> sources_;
  boost::asio::steady_timer uses_timer_, stop_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool data_paths_open_ = false;
  bool quiet_ = false;  // told to start again: what comes is for the next process
};

}  // namespace dmsc::sgd
