// sgd.yaml (docs/operations.md, "sgd"): what every router node has, and the gateway's own sections
// pods, host_mode, names, listeners, services_dir, probes. Also the drop-ins of services_dir.
#pragma once
#include <string>
#include <vector>

#include "dmsc/runtime/node_config.hpp"
#include "sgd/announcements.hpp"
#include "sgd/edge.hpp"
#include "sgd/peer_identity.hpp"

namespace dmsc::sgd {

struct Config {
  runtime::RouterConfig router;
  Duration grace = seconds(3);        // pods.grace
  bool require_grant = true;          // pods.require_grant: only who holds a grant may call
  EdgeConfig edge;                    // pods.namespaces, host_mode, names, listeners
  std::string services_dir;           // "" = none
  Duration probe_interval = seconds(1);

  std::vector<NamespacePath> namespaces() const;
};

Config read_config(const runtime::ConfigNode& root);

// One announcement of a program that has no agent.
struct DropIn {
  std::string file;
  std::string identity;               // on whose behalf: "pod:NAME", "unit:NAME", "uid:N"
  AnnouncedService service;
};
// All *.yaml of a directory, in order of name; a directory that is not there holds none. The error
// lists every wrong line of every file.
Result<std::vector<DropIn>> read_services_dir(const std::string& directory);

}  // namespace dmsc::sgd
