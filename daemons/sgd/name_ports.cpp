#include "sgd/name_ports.hpp"

#include <algorithm>

#include "dmsc/wire/tlv.hpp"
#include "sgd/announcements.hpp"

namespace dmsc::sgd {
namespace {

bool tells_ports(ByteView body) {
  wire::TlvReader tlvs(body);
  while (tlvs.next()) {
    if (tlvs.type() == wire::kServicePortsTlv) return true;
  }
  return false;
}

}  // namespace

std::vector<Name> NamePorts::removed(const wire::LsaKey& key) {
  auto known = names_.find(key);
  if (known == names_.end()) return {};
  std::vector<Name> out = std::move(known->second);
  names_.erase(known);
  for (const Name& name : out) {
    auto at = ports_.find(name);
    if (at == ports_.end()) continue;
    at->second.erase(key);
    if (at->second.empty()) ports_.erase(at);
  }
  return out;
}

std::vector<Name> NamePorts::installed(const wire::Lsa& lsa) {
  std::vector<Name> changed = removed(lsa.key);
  if (!tells_ports(lsa.body())) return changed;
  auto body = wire::decode_prefix_body(lsa.body());
  if (!body) return changed;
  std::vector<Name> told;
  for (const wire::PrefixEntry& entry : body->entries) {
    if (entry.ports.empty()) continue;
    auto& ports = ports_[entry.name][lsa.key];
    ports.insert(ports.end(), entry.ports.begin(), entry.ports.end());
    told.push_back(entry.name);
  }
  changed.insert(changed.end(), told.begin(), told.end());
  if (!told.empty()) names_[lsa.key] = std::move(told);
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  return changed;
}

std::vector<wire::ServicePort> NamePorts::of(const Name& name,
                                             std::span<const NodeId> origins) const {
  std::vector<wire::ServicePort> out;
  auto known = ports_.find(name);
  if (known == ports_.end()) return out;
  for (const auto& [key, ports] : known->second) {
    if (std::find(origins.begin(), origins.end(), key.origin) == origins.end()) continue;
    out.insert(out.end(), ports.begin(), ports.end());
  }
  return united(out);
}

}  // namespace dmsc::sgd
