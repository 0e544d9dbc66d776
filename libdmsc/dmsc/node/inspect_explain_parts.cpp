#include <algorithm>

#include "dmsc/node/inspect_explain.hpp"

namespace dmsc::node::inspect {
namespace {

constexpr std::uint32_t kDrainedMetric = (1U << 24) - 1;

// Does the grant allow it, whatever its time?
bool allows(const wire::Grant& grant, const Name& name, bool covering) {
  bool own = grant.subtree.covers(name) && 
             name.component_count() - grant.subtree.component_count() <= grant.depth &&
             (!covering || grant.covering);
  return own || (!covering && std::find(grant.pools.begin(), grant.pools.end(), name) != grant.pools.end());
}

}  // namespace

LsaReference reference(NodeImpl& node, const wire::LsaKey& key) {
  std::string text = "LSA " + node.name_of(key.origin) + "/" + wire::to_string(key.type) + "/" +
                     std::to_string(key.fragment);
  Json json{{"origin", node.name_of(key.origin)},
            {"type", wire::to_string(key.type)},
            {"fragment", key.fragment}};
  auto entry = node.engine().entry(node.now(), key);
  if (!entry) return {text + ", no longer held", json};
  const wire::Lsa& lsa = *entry->lsa;
  std::uint32_t age = lsa.lifetime - std::min(lsa.lifetime, entry->remaining);
  json["epoch"] = lsa.version.epoch;
  json["sequence"] = lsa.version.sequence;
  json["age_s"] = age;
  json["remaining_s"] = entry->remaining;
  text += ", epoch " + std::to_string(lsa.version.epoch) + ", sequence " +
          std::to_string(lsa.version.sequence) + ", " + std::to_string(age) + " s old";
  return {text, json};
}

GrantReference grant_of(const NodeImpl& node, NodeId origin, const Name& name, bool covering) {
  const wire::Grant* best = nullptr;
  for (const wire::Grant& grant : node.trust().grants_of(origin)) {
    bool revoked = node.trust().revoked({grant.header.issuer, grant.header.serial});
    if (revoked || !allows(grant, name, covering)) continue;
    if (best == nullptr || trust::accepted_until(*best) < trust::accepted_until(grant)) best = &grant;
  }
  if (best == nullptr) return {"allowed, by a grant that is no longer held", Json::object()};
  std::string issuer = node.name_of(issuer_origin(best->header.issuer));
  std::uint64_t until = trust::accepted_until(*best).seconds;
  bool pool = !best->subtree.covers(name);
  std::string what = pool ? name.text() + " as a pool"
                          : best->subtree.text() + " and " + std::to_string(best->depth) +
                                " components below";
  return {"granted by " + issuer + ", serial " + std::to_string(best->header.serial) + ": " + what +
              ", until " + std::to_string(until),
          Json{{"issuer", issuer},
               {"serial", best->header.serial},
               {"subtree", best->subtree.text()},
               {"depth", best->depth},
               {"covering", best->covering},
               {"pool", pool},
               {"until", until}}};
}

PathHop path_hop(NodeImpl& node, NodeId from, NodeId to) {
  const routing::Topology& topology = node.topology();
  PathHop out;
  std::uint32_t link = 0, target = topology.index(to);
  for (const routing::Edge& edge : topology.edges(topology.index(from))) {
    if (edge.to != target || (out.metric != 0 && edge.metric >= out.metric)) continue;
    out.metric = edge.metric;
    link = edge.link;
  }
  if (out.metric == kDrainedMetric) out.drained = " (drained)";
  out.json = Json{{"from", node.name_of(from)},
                  {"to", node.name_of(to)},
                  {"link", link},
                  {"metric", out.metric},
                  {"lsa", reference(node, {from, wire::LsaType::node, 0}).json}};
  return out;
}

}  // namespace dmsc::node::inspect
