// The configuration of spad: config/spad.yaml shows every key.
#pragma once
#include <optional>
#include <string>

#include "dmsc/runtime/config.hpp"
#include "dmsc/runtime/node_config.hpp"
#include "spad/domain_limits.hpp"
#include "spad/office.hpp"
#include "spad/registrar.hpp"

namespace dmsc::spad {

struct Config {
  runtime::NodeSection node;
  std::string domain;                        // the writer's first start makes the root for it
  runtime::Endpoint listen, advertise;
  std::optional<runtime::Endpoint> writer;   // none = this is the writer
  runtime::EnrolSection enrol;               // replicas
  std::string registry_file;
  GrantPolicy grants;
  IdentityPolicy identities;
  wire::DomainParameters limits;             // the writer's; without header
};

Config read_config(const runtime::ConfigNode& root);

}  // namespace dmsc::spad
