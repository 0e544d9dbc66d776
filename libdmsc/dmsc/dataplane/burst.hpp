// The datagrams of one receive call on their way through the worker together.
#pragma once
#include <array>

#include "dmsc/dataplane/link_table.hpp"
#include "dmsc/forwarding/decision_batch.hpp"

namespace dmsc::dataplane {

struct Arrival {
  wire::ServicePacket packet;  // in the receive buffer
  const LinkEntry* entry = nullptr;
};

struct Burst {
  std::array<Arrival, forwarding::kDecideAtOnce> arrivals;
  std::size_t count = 0;
  bool full() const { return count == arrivals.size(); }
};

}  // namespace dmsc::dataplane
