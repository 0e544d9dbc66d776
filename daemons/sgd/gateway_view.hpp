// What the worker threads know of the gateway's pods: an immutable picture that the control thread
// makes anew at every change and posts to them.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sgd/announcements.hpp"

namespace dmsc::sgd {

struct GatewayView {
  std::string gateway, domain;
  bool require_grant = true;  // pods.require_grant: only who holds a grant may call
  std::vector<LocalInstance> instances;
  // Granted names by identity, in order of grant: what a caller may give as its source.
  std::map<std::string, std::vector<std::pair<Name, InstanceId>>> callers;
  std::map<NodeId, std::string> node_names;

  const LocalInstance* find(InstanceId id) const {
    for (const LocalInstance& i : instances) {
      if (i.id == id) return &i;
    }
    return nullptr;
  }
  std::string name_of(NodeId node) const {
    auto it = node_names.find(node);
    return it == node_names.end() ? std::string() : it->second;
  }
};
using GatewayViewPtr = std::shared_ptr<const GatewayView>;

// True if the instance answers for `destination`: its prefix, its pool, or a name below a covering
// prefix. Byte-wise by whole components, without allocation.
bool serves(const LocalInstance& instance, std::string_view destination);

}  // namespace dmsc::sgd
