// What ends at this gateway, told apart: messages to the hub, L4 segments to the edge (DESIGN section
// 6). One per worker; hub and edge live on the home worker, to which the others copy.
#pragma once
#include <atomic>

#include "dmsc/dataplane/worker.hpp"
#include "sgd/edge.hpp"
#include "sgd/gateway_view.hpp"
#include "sgd/message_hub.hpp"

namespace dmsc::sgd {

class GatewaySink : public dataplane::LocalSink {
 public:
  // All outlive the sink's use.
  GatewaySink(dataplane::Worker& worker, dataplane::Worker& home, MessageHub& hub, Edge& edge)
      : worker_(worker), home_(home), hub_(hub), edge_(edge) {}
  // From now on nothing is answered or taken: the gateway is about to start again. Any thread.
  void set_quiet() { quiet_ = true; }
  void set_view(GatewayViewPtr view) { view_ = std::move(view); }  // this worker's thread
  void deliver(wire::ServicePacket& packet, LinkId from) override;
  void batch_over() override { edge_.batch_over(worker_); }
  std::optional<dataplane::ProbeHealth> probe_health(const wire::ServicePacket& probe) override;

 private:
  void deliver_at_home(wire::ServicePacket& packet);

  dataplane::Worker& worker_;
  dataplane::Worker& home_;
  MessageHub& hub_;
  Edge& edge_;
  std::atomic<bool> quiet_{false};
  GatewayViewPtr view_ = std::make_shared<GatewayView>();
};

}  // namespace dmsc::sgd
