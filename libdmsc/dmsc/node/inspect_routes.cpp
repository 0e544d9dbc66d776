// routes (RIB), fib, paths (destinations), labels.
#include "dmsc/node/inspect.hpp"

namespace dmsc::node::inspect {
namespace {

Json via_list(const NodeImpl& node, std::span<const forwarding::NextHop> hops) {
  Json out = Json::array();
  for (const forwarding::NextHop& hop : hops) out.push_back(via(node, hop.link, hop.neighbour));
  return out;
}

// Ways out of this node towards an egress, as the FIB has them.
Json fib_via(const NodeImpl& node, const forwarding::Fib& fib, NodeId egress) {
  if (egress == node.identity().id) return Json::array({"local"});
  const forwarding::NodeRoute route = fib.node(egress);
  return route ? via_list(node, route.next_hops()) : Json::array();
}

}  // namespace

Json routes(const NodeImpl& node) {
  Json rows = Json::array();
  for (const routing::RibRoute& route : node.rib().routes()) {
    if (route.choices.empty()) {
      rows.push_back(Json{{"prefix", route.prefix.text()},
                          {"covering", route.covering},
                          {"state", "no reachable instance"}});
    }
    for (const routing::InstanceChoice& choice : route.choices) {
      rows.push_back(Json{{"prefix", route.prefix.text()},
                          {"covering", choice.covering},
                          {"egress", node.name_of(choice.instance.egress)},
                          {"egress_id", choice.instance.egress.value},
                          {"instance", choice.instance.id.value},
                          {"distance", choice.distance},
                          {"weight", choice.weight},
                          {"state", choice.draining    ? "draining"
                                    : choice.weight > 0 ? "serving"
                                                        : "standby"},
                          {"from_policy", route.from_policy}});
    }
  }
  return rows;
}

Json fib(dataplane::DataPlane& plane, const NodeImpl& node) {
  Json rows = Json::array();
  const forwarding::Fib& table = plane.fib();
  table.for_each_prefix([&](std::string_view prefix, const forwarding::InstanceGroup& group) {
    for (const forwarding::InstanceEntry& i : group.instances()) {
      rows.push_back(Json{{"prefix", prefix},
                          {"covering", i.covering},
                          {"egress", node.name_of(i.egress)},
                          {"instance", i.id.value},
                          {"weight", std::uint32_t{i.weight}},
                          {"via", fib_via(node, table, i.egress)}});
    }
  });
  return rows;
}

Json paths(const NodeImpl& node) {
  Json rows = Json::array();
  const routing::Topology& topology = node.topology();
  for (std::uint32_t i = 0; i < topology.node_count(); ++i) {
    NodeId id = topology.node(i);
    const auto d = node.rib().destination(id);
    if (!d) continue;
    Json hops = Json::array();
    for (const routing::FirstHop& hop : d->next_hops) {
      hops.push_back(via(node, hop.link, hop.neighbour));
    }
    static const char* const kProtection[] = {"none", "link", "node"};
    Json row{{"node", node.name_of(id)},
             {"id", id.value},
             {"distance", d->distance},
             {"mtu", node.routes().path_mtus()->to(id)},
             {"via", hops},
             {"alternate", d->alternate ? via(node, d->alternate->link, d->alternate->neighbour)
                                        : std::string()},
             {"protection", kProtection[static_cast<std::size_t>(d->protection)]},
             {"path", names_of(node, routing::shortest_path(topology, node.identity().id, id))}};
    rows.push_back(std::move(row));
  }
  return rows;
}

Json labels(const NodeImpl& node) {
  Json rows = Json::array();
  for (const RouteKeeper::LabelState& l : node.routes().labels()) {
    rows.push_back(Json{{"label", l.label.value},
                        {"egress", node.name_of(l.egress)},
                        {"next", node.name_of(l.next)},
                        {"link", l.link ? link_name(node, l.link) : ""},
                        {"state", l.link ? "usable" : "waits for a link"}});
  }
  for (const auto& [key, path] : node.routes().paths()) {
    std::string state = "in use at this ingress";
    if (path.obstacle) {
      state = "void: " + node.name_of(path.obstacle->node) + " to " +
              node.name_of(path.obstacle->next) + ": " + to_string(path.obstacle->kind);
    }
    rows.push_back(Json{{"label", path.label.value},
                        {"egress", node.name_of(key.second)},
                        {"prefix", key.first.text()},
                        {"state", state}});
  }
  return rows;
}

}  // namespace dmsc::node::inspect
