// Which service ports the domain's gateways tell of each name (wire/service_port.hpp), for DNS SRV: kept up
// to date from verified Prefix LSAs. Names without ports cost nothing. One thread; knows no clock.
#pragma once
#include <map>
#include <span>
#include <vector>

#include "dmsc/wire/lsa.hpp"

namespace dmsc::sgd {

class NamePorts {
 public:
  // A Prefix LSA as it is now. Returns the names whose ports it tells, or told before.
  std::vector<Name> installed(const wire::Lsa& lsa);
  std::vector<Name> removed(const wire::LsaKey& key);
  // What `origins` tell of the name, united; of other origins (who may not announce it) nothing.
  std::vector<wire::ServicePort> of(const Name& name, std::span<const NodeId> origins) const;
  bool knows(const Name& name) const { return ports_.count(name) != 0; }

 private:
  std::map<wire::LsaKey, std::vector<Name>> names_;  // of LSAs that tell ports
  std::map<Name, std::map<wire::LsaKey, std::vector<wire::ServicePort>>> ports_;
};

}  // namespace dmsc::sgd
