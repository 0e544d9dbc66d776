// srd.yaml: exactly what every router node has (docs/operations.md, "srd").
#pragma once
#include "dmsc/runtime/node_config.hpp"

namespace dmsc::srd {

using Config = runtime::RouterConfig;

Config read_config(const runtime::ConfigNode& root);

}  // namespace dmsc::srd
