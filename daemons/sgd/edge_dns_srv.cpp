// DNS SRV (RFC 2782): "_http._tcp.4.b.svc.dmsc" asks for the ports called "http" of B/4.
#include <algorithm>

#include "sgd/edge_dns.hpp"

namespace dmsc::sgd::dns {
namespace {

struct ServiceName {
  std::string_view service;    // without its underscore; empty: "_tcp.X"
  std::uint8_t protocol = 0;
  std::string_view owner;      // X
};

bool same(std::string_view label, std::string_view text) {
  return std::equal(label.begin(), label.end(), text.begin(), text.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
  });
}

std::uint8_t protocol_of(std::string_view label) {
  return same(label, "_tcp") ? wire::kPortTcp : same(label, "_udp") ? wire::kPortUdp : 0;
}

std::optional<ServiceName> split(std::string_view name) {
  ServiceName out;
  std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || name.empty() || name[0] != '_') return std::nullopt;
  out.protocol = protocol_of(name.substr(0, dot));
  if (out.protocol == 0) {
    out.service = name.substr(1, dot - 1);
    name.remove_prefix(dot + 1);
    dot = name.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    out.protocol = protocol_of(name.substr(0, dot));
  }
  out.owner = name.substr(dot + 1);
  if (out.protocol == 0) return std::nullopt;
  return out;
}

// The largest weight first.
std::vector<Answer::Service> weighed(const std::vector<wire::ServicePort>& ports,
                                     const ServiceName& asked) {
  std::vector<Answer::Service> out;
  for (const wire::ServicePort& p : ports) {
    if (p.name.empty() || (p.protocols & asked.protocol) == 0 || !same(asked.service, p.name)) continue;
    out.push_back({p.capacity, p.port});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.weight > b.weight; });
  if (out.size() > kMaxServices) out.resize(kMaxServices);
  return out;
}

}  // namespace

std::optional<Answer> Zone::service_lookup(const Query& query, Time now, bool ipv6) {
  const auto asked = split(query.name);
  if (!asked) return std::nullopt;
  const auto whole = from_dns(query.name, zone_);
  if (whole && directory_.holds(*whole)) return std::nullopt;  // somebody's name looks like that
  const auto owner = from_dns(asked->owner, zone_);
  const auto known = owner ? directory_.resolve(*owner) : std::nullopt;
  const auto target = known ? to_dns(*known, zone_) : std::nullopt;
  if (!target) return std::nullopt;
  Answer out{.authoritative = true, .ttl = ttl_};
  if (query.type == kTypeSrv || query.type == kTypeAny) {
    out.services = weighed(directory_.ports(*known), *asked);
  }
  if (out.services.empty()) {
    out.soa_authority = true;  // NODATA: the name is there, the service is not
    return out;
  }
  out.target = *target;
  out.address = addresses_.allocate(known->text(), now);
  if (out.address && ipv6 && prefix6_) out.address6 = prefix6_->of(*out.address);
  return out;
}

}  // namespace dmsc::sgd::dns
