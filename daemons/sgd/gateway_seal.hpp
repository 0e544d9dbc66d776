// How the gateway seals (docs/protocol.md, "Sealing"): sealing workers around the node's, the
// keeper that makes their keys, and what keeps it told of identities. Control thread.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "dmsc/dataplane/seal_keeper.hpp"
#include "dmsc/node/node.hpp"
#include "dmsc/runtime/node_config.hpp"

namespace dmsc::sgd {

class GatewaySeal {
 public:
  // Null, and a loud line in the log, if the configuration says `security: none`. `node` outlives
  // it.
  static std::unique_ptr<GatewaySeal> make(node::Node& node,
                                           const runtime::DataplaneSection& config);
  GatewaySeal(node::Node& node, dataplane::Unsealed unsealed);
  ~GatewaySeal();

  // In the order of the node's. Valid while this lives.
  std::vector<dataplane::Worker*> workers() const;
  Status start();
  void stop();
  dataplane::SealKeeper& keeper() { return keeper_; }

 private:
  dataplane::DtlsIdentity identity() const;
  void trust_changed();
  void tell_peers();

  node::Node& node_;
  dataplane::SealKeeper keeper_;
  std::vector<std::unique_ptr<dataplane::SealingWorker>> workers_;
  Bytes certificate_;  // as the keeper has it
  node::ListenerId listener_ = 0;
  boost::asio::steady_timer refresh_;
  bool refresh_due_ = false, running_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Bytes of a service packet of a message before sealing. Every path carries that: what is cut into
// segments once, and sent again when its path has changed, fits whatever way it goes.
std::size_t datagram_limit(bool sealed);

// `show seals`: who this gateway shares keys with. `seal` null: says that nothing is sealed.
// `alive` turns false when the gateway ends.
void register_seal_topics(node::Node& node, GatewaySeal* seal, std::shared_ptr<bool> alive);
// Puts the handshakes' counters into the topic "counters", which is there, under "seal".
void extend_seal_counters(node::Node& node, GatewaySeal* seal, std::shared_ptr<bool> alive);

}  // namespace dmsc::sgd
