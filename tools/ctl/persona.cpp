#include "persona.hpp"

#include <algorithm>

namespace dmsc::ctl {

const std::vector<Persona>& personas() {
  static const std::vector<std::string> node{"status",    "neighbors", "discovery", "links",    "lsdb",
                                             "routes",    "fib",       "paths",     "labels",   "trust",
                                             "grants",    "policies",  "counters",  "events",   "metrics"};
  static const std::vector<Persona> all = [] {
    std::vector<std::string> gateway = node;
    gateway.insert(gateway.end(), {"pods", "namespaces", "instances", "services", "flows", "seals", "calls", "names",
                                   "listeners"});
    return std::vector<Persona>{
        {"sgctl", "sgd", "service gateway", gateway},
        {"srctl", "srd", "service router", node},
        {"spactl",
         "spad",
         "service prefix authentication",
         {"status", "nodes", "prefixes", "grants", "revocations", "audit", "tokens", "issuers",
          "journal", "parameters", "counters", "events", "metrics"}},
        {"scscctl",
         "scscd",
         "scheduling center",
         {"status", "nodes", "links", "quality", "services", "paths", "policies", "thresholds", "history",
          "counters", "events", "metrics"}},
    };
  }();
  return all;
}

const Persona* persona_of(std::string_view argv0) {
  std::string_view name = argv0.substr(argv0.rfind('/') + 1);
  auto found = std::find_if(personas().begin(), personas().end(),
                            [&](const Persona& p) { return p.program == name; });
  return found == personas().end() ? nullptr : &*found;
}

}  // namespace dmsc::ctl
