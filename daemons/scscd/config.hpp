// config/scscd.yaml as read.
#pragma once
#include <string>
#include <vector>

#include "dmsc/runtime/node_config.hpp"
#include "scscd/decider.hpp"

namespace dmsc::scscd {

struct Config {
  runtime::NodeSection node;
  runtime::EnrolSection enrol;
  std::string listen;              // "address:port"
  Duration report_interval = seconds(1);
  std::vector<runtime::Endpoint> spa;
  DeciderConfig decider;
};

Config read_config(const runtime::ConfigNode& root);

}  // namespace dmsc::scscd
