// What srd and sgd have in common as daemons: identity, node, scheduling agent, certificate renewal,
// status, metrics, watchdog. A gateway adds its own between open() and start().
#pragma once
#include <memory>
#include <string>

#include "dmsc/node/node.hpp"
#include "dmsc/node/scheduling_agent.hpp"
#include "dmsc/runtime/daemon.hpp"
#include "dmsc/runtime/enrol.hpp"
#include "dmsc/runtime/node_config.hpp"

namespace dmsc::node {

class Router {
 public:
  // Loads the identity, enrolling first if there is none (blocks until an SPA answers), and makes the
  // node; nothing is bound yet. `role`: "sr" or "sg"; `program`: "srd" or "sgd".
  static Result<std::unique_ptr<Router>> open(runtime::Daemon& daemon,
                                              const runtime::RouterConfig& config,
                                              const std::string& role, const std::string& program);
  ~Router();

  // Starts the node and the agent to the scheduling centers. `prober`: of a gateway, else null.
  // Daemon::ready() is called when the node is.
  Status start(std::shared_ptr<InstanceProber> prober);
  // Links, liveness, metrics, SPAs, SCSCs by difference. The text tells what changed.
  Result<std::string> reload(const runtime::RouterConfig& config);
  void stop(runtime::StopReason reason, std::function<void()> done);
  void drain(const runtime::DrainOrder& order, runtime::AdminHandlers::Done done);
  void undrain(const std::string& link, runtime::AdminHandlers::Done done);

  Node& node() { return *node_; }
  const runtime::Identity& identity() const { return *identity_; }
  SchedulingAgent* scheduling() { return scheduling_.get(); }  // null before start()

 private:
  Router(runtime::Daemon& daemon, runtime::RouterConfig config, std::string program);
  void watch_workers();
  void show_status();

  runtime::Daemon& daemon_;
  runtime::RouterConfig config_;
  std::string program_;
  std::shared_ptr<runtime::Identity> identity_;
  std::unique_ptr<Node> node_;
  std::shared_ptr<SchedulingAgent> scheduling_;
  std::unique_ptr<runtime::CertificateRenewer> renewer_;
  boost::asio::steady_timer status_timer_;
};

}  // namespace dmsc::node
