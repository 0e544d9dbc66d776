// A node's side of signalling 4 (draft sections 4.1, 5-3, 5-4): one session with the scheduling center,
// the first of the configured ones that answers. Reports links, instances and names in use; streams
// the LSDB when asked; applies policies and acknowledges them. Everything on the control thread; gRPC
// threads only post. Nothing on the path of a packet depends on it.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "dmsc/node/instance_prober.hpp"
#include "dmsc/node/node.hpp"
#include "dmsc/node/policy_book.hpp"
#include "dmsc/runtime/background_writer.hpp"
#include "dmsc/runtime/identity.hpp"

namespace dmsc::node {

class SchedulingAgent : public std::enable_shared_from_this<SchedulingAgent> {
 public:
  // `prober`: of a gateway; null at a router.
  SchedulingAgent(Node& node, runtime::Identity identity, std::vector<ServiceTarget> centers,
                  std::shared_ptr<InstanceProber> prober);
  ~SchedulingAgent();
  // Loads the policies kept on disk and dials. No effect without centers.
  void start();
  void stop();
  void set_centers(std::vector<ServiceTarget> centers);

  bool connected() const { return connected_; }
  std::string center() const { return center_; }
  const PolicyBook& policies() const { return book_; }
  // Rows of the topic "policies".
  Json policies_json() const;
  Json status_json() const;

 private:
  class Stream;
  friend class Stream;
  class Target;

  void dial();
  void redial();
  void on_message(const std::shared_ptr<Stream>& stream, const void* message);
  void on_closed(const std::shared_ptr<Stream>& stream, const std::string& why);
  void report();
  void subscribe(bool on);
  void expire();
  void store();
  void load();

  Node& node_;
  runtime::Identity identity_;
  std::vector<ServiceTarget> centers_;
  std::shared_ptr<InstanceProber> prober_;
  std::unique_ptr<Target> target_;
  PolicyBook book_;
  runtime::BackgroundWriter files_;
  boost::asio::steady_timer dial_timer_, report_timer_, expire_timer_;
  std::shared_ptr<Stream> stream_;
  std::size_t next_center_ = 0;
  bool connected_ = false, stopped_ = false;
  std::string center_, last_error_;
  Duration report_interval_ = seconds(1);
  std::uint64_t report_sequence_ = 0;
  ListenerId lsdb_listener_ = 0;
};

}  // namespace dmsc::node
