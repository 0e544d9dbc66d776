// What a gateway plugs into a worker: the place where packets for this node's own pods end. A router
// has none and answers them with an error.
#pragma once
#include <optional>

#include "dmsc/core/ids.hpp"
#include "dmsc/wire/service_header.hpp"

namespace dmsc::dataplane {

// What a gateway says of one of its instances in the answer to a probe (docs/protocol.md, "Probe
// answers").
enum class Health : std::uint8_t {
  unknown = 0,   // never checked, or nothing to check: a router, a pod without a check
  healthy = 1,   // the pod's last self-check passed
  failing = 2,   // it did not
};
struct ProbeHealth {
  Health health = Health::unknown;
  std::uint16_t load_permille = 0;  // share of the instance's capacity in use; 0 = unknown
};

class LocalSink {
 public:
  virtual ~LocalSink() = default;
  // A packet whose egress is this node: any kind but an unanswered probe or trace. Replies to
  // Worker::probe() are matched before and do not come here. Called on the worker's thread; `packet`
  // is valid only during the call. `from` is 0 for a packet this node originated itself.
  virtual void deliver(wire::ServicePacket& packet, LinkId from) = 0;
  // Packets delivered with a `from` stay in memory, payload and all, until this call: it ends a batch of
  // them. Worker thread.
  virtual void batch_over() {}
  // A probe or trace for the instance it names (or, with instance 0, for its destination name).
  // nullopt = no such instance here: answered with `no_instance`. Worker thread.
  virtual std::optional<ProbeHealth> probe_health(const wire::ServicePacket& probe) = 0;
};

}  // namespace dmsc::dataplane
