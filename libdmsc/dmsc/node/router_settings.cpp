#include "dmsc/node/router_settings.hpp"

#include "dmsc/runtime/grpc_tls.hpp"

namespace dmsc::node {

std::vector<ServiceTarget> targets(const std::vector<runtime::Endpoint>& configured,
                                   const std::vector<runtime::Endpoint>& enrolled) {
  std::vector<ServiceTarget> out;
  for (const runtime::Endpoint& e : configured.empty() ? enrolled : configured) {
    out.push_back({e.host, e.port});
  }
  return out;
}

NodeSettings node_settings(const runtime::RouterConfig& config, const runtime::Identity& identity,
                           const std::string& daemon) {
  NodeSettings out;
  out.daemon = daemon;
  out.state_dir = config.node.state_dir;
  out.no_transit = identity.certificate.role == "sg";  // a gateway is never transit
  out.workers = config.dataplane.workers;
  out.offloads = {config.dataplane.udp_segment, config.dataplane.udp_gro};
  out.busy_poll = config.dataplane.busy_poll;
  for (const runtime::LinkSection& link : config.links) {
    LinkSettings l;
    l.name = link.name;
    l.peer = link.peer;
    l.interface = link.interface;
    l.local = link.local.host;
    l.local_port = link.local.port;
    l.remote = link.remote.host;
    l.remote_port = link.remote.port;
    l.metric = link.metric;
    l.capacity_bps = link.bandwidth_bps;
    l.liveness = link.liveness;
    if (link.mtu) l.mtu = *link.mtu;
    if (link.discover) {
      out.finders.push_back({link.name, link.interface, link.local.host, link.local.port,
                             link.ipv6, link.max_neighbours, std::move(l)});
    } else {
      out.links.push_back(std::move(l));
    }
  }
  out.spas = targets(config.spa, identity.spas);
  out.record = {config.record.file, config.record.limit};
  return out;
}

NodeIdentity node_identity(const runtime::Identity& identity) {
  NodeIdentity out;
  out.name = identity.certificate.name;
  out.id = identity.certificate.node;
  out.domain = identity.certificate.domain;
  out.domain_id = identity.domain_id;
  out.role = identity.certificate.role == "sg" ? wire::NodeRole::gateway : wire::NodeRole::router;
  out.key_seed = identity.key.seed();
  out.certificate = identity.certificate.der;
  out.root = identity.root.der;
  out.link_keys = identity.link_keys;
  for (const Bytes& object : {identity.authority, identity.parameters}) {
    if (!object.empty()) out.signed_objects.push_back(object);
  }
  out.signed_objects.insert(out.signed_objects.end(), identity.revocations.begin(),
                            identity.revocations.end());
  out.domain_time = identity.domain_time;
  return out;
}

SpaChannelFactory spa_channels(std::shared_ptr<const runtime::Identity> identity) {
  auto credentials = runtime::tls_client_credentials(*identity);
  return [identity, credentials](const ServiceTarget& target) {
    std::string host = target.host.find(':') != std::string::npos ? "[" + target.host + "]"
                                                                  : target.host;
    return runtime::tls_channel(host + ":" + std::to_string(target.port), "spa",
                                identity->certificate.domain, credentials);
  };
}

}  // namespace dmsc::node
