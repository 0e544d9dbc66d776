#include <algorithm>
#include <ctime>

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

// "3 h 12 min": the two largest units.
std::string span_text(std::uint64_t seconds) {
  struct Unit {
    std::uint64_t seconds;
    const char* name;
  };
  constexpr Unit units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
  for (std::size_t i = 0; i < std::size(units); ++i) {
    if (seconds < units[i].seconds) continue;
    std::string out = std::to_string(seconds / units[i].seconds) + " " + units[i].name;
    std::uint64_t rest = seconds % units[i].seconds;
    if (i + 1 == std::size(units) || rest < units[i + 1].seconds) return out;
    return out + " " + std::to_string(rest / units[i + 1].seconds) + " " + units[i + 1].name;
  }
  return "0 s";
}

}  // namespace

std::string end_text(DomainTime end, DomainTime now) {
  auto at = static_cast<std::time_t>(end.seconds);
  std::tm utc{};
  char text[40] = "";
  if (gmtime_r(&at, &utc) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  bool past = end.seconds <= now.seconds;
  std::string away = span_text(past ? now.seconds - end.seconds : end.seconds - now.seconds);
  return text + (past ? ", " + away + " ago" : ", in " + away);
}

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
  DomainTime until = trust::accepted_until(*best);
  bool pool = !best->subtree.covers(name);
  std::string what = pool ? name.text() + " as a pool"
                          : best->subtree.text() + " and " + std::to_string(best->depth) +
                                " components below";
  return {"granted by " + issuer + ", serial " + std::to_string(best->header.serial) + ": " + what +
              ", until " + end_text(until, node.domain_time()),
          Json{{"issuer", issuer},
               {"serial", best->header.serial},
               {"subtree", best->subtree.text()},
               {"depth", best->depth},
               {"covering", best->covering},
               {"pool", pool},
               {"until", until.seconds}}};
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
