// A node's Prometheus metrics (docs/operations.md, "Metrics").
#pragma once
#include "dmsc/node/node.hpp"
#include "dmsc/runtime/metrics.hpp"

namespace dmsc::node {

// Adds the families and refreshes them before every exposition. `node` must outlive `metrics`' use.
void register_metrics(Node& node, runtime::Metrics& metrics);

}  // namespace dmsc::node
