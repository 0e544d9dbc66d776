// Proxy registration (draft 5-1): drives Announcements with the outside world. Pods' streams and
// drop-ins come in; the SPA is asked through the node; what is granted and well is given to the node
// to originate, and to the data paths as a new GatewayView. Control thread.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "dmsc/node/node.hpp"
#include "sgd/announcement_store.hpp"
#include "sgd/announcements.hpp"
#include "sgd/config.hpp"
#include "sgd/gateway_view.hpp"
#include "sgd/instance_ids.hpp"
#include "sgd/net_checker.hpp"
#include "sgd/pod_server.hpp"

namespace dmsc::sgd {

class Registrar : private PodEvents {
 public:
  // `node` and `identities` outlive it. `changed` gets every new picture of the gateway.
  Registrar(node::Node& node, const Config& config, const IdentityResolver& identities,
            InstanceIds ids, std::function<void(GatewayViewPtr)> changed);
  ~Registrar() override;

  // Takes what was announced before a restart (U18), listens on `pod_socket` and reads the drop-ins.
  dmsc::Status start(const std::string& pod_socket);
  // Grace, require_grant, namespaces, drop-ins by difference. An error changes nothing.
  dmsc::Status reload(const Config& config);
  void set_draining(bool draining, const std::string& reason);
  void stop();

  // Rows of `show pods`; `bound`: (lease, prefix) for which a program serves messages.
  node::Json pods(const std::set<std::pair<std::string, std::string>>& bound) const;
  node::Json counters() const;
  GatewayViewPtr view() const { return view_; }

 private:
  void pod_hello(StreamId stream, const PeerIdentity& peer, const std::string& client,
                 const std::string& resume_lease) override;
  void pod_announce(StreamId stream, AnnouncedService service) override;
  void pod_invalid(StreamId stream, const std::string& prefix, const std::string& why) override;
  void pod_withdraw(StreamId stream, const std::string& prefix) override;
  void pod_checked(StreamId stream, std::uint64_t id, bool healthy,
                   const std::string& detail) override;
  void pod_closed(StreamId stream) override;

  const std::string* lease_of(StreamId stream) const;
  void pump();
  void ask(const Announcements::Question& question);
  void run_check(const Announcements::CheckRun& run);
  void tell(const Announcements::Status& status);
  void publish();
  void restore();
  void save_soon();
  void make_view();
  void arm();
  void set_drop_ins(std::vector<DropIn> drop_ins);
  void lsdb_changed(const node::LsdbEvent& event);
  Announcements::Config announcements_config(const Config& config);

  node::Node& node_;
  InstanceIds ids_;
  std::function<void(GatewayViewPtr)> changed_;
  Config config_;
  std::map<std::string, std::string> netns_of_;       // identity -> path, for checks
  std::map<std::string, std::uint16_t> interface_of_;  // identity -> pod interface number
  Announcements announcements_;
  NetChecker checker_;
  PodServer server_;
  struct Stream {
    std::string lease, client;
    PeerIdentity peer;
  };
  std::map<StreamId, Stream> streams_;
  std::map<std::string, StreamId> stream_of_;  // lease -> the stream that keeps it
  std::map<std::string, DropIn> drop_ins_;     // lease -> what it announces
  std::map<NodeId, std::string> node_names_;
  GatewayViewPtr view_;
  boost::asio::steady_timer timer_, save_timer_;
  AnnouncementStore store_;
  bool save_due_ = false;
  bool pumping_ = false, pump_again_ = false, view_dirty_ = true, stopped_ = false;
  node::ListenerId lsdb_listener_ = 0, trust_listener_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::uint64_t granted_ = 0, refused_ = 0, invalid_ = 0, asked_ = 0, unanswered_ = 0;
};

}  // namespace dmsc::sgd
