#include <charconv>

#include "dmsc/node/inspect.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::node::inspect {
namespace {

Json body_of(const Node& node, const wire::NodeBody& body) {
  Json adjacencies = Json::array();
  for (const wire::Adjacency& a : body.adjacencies) {
    adjacencies.push_back(Json{{"neighbour", node.name_of(a.neighbour)},
                               {"link", a.link},
                               {"neighbour_link", a.neighbour_link},
                               {"metric", a.metric},
                               {"delay_us", a.delay_us},
                               {"jitter_us", a.jitter_us},
                               {"loss_ppm", a.loss_ppm},
                               {"available_bps", a.bandwidth_bps},
                               {"capacity_bps", a.capacity_bps},
                               {"usable", (a.flags & wire::kAdjacencyUsable) != 0},
                               {"starting", (a.flags & wire::kAdjacencyStarting) != 0}});
  }
  return Json{{"name", body.name},
              {"role", body.role == wire::NodeRole::gateway ? "gateway" : "router"},
              {"overload", body.overload},
              {"no_transit", body.no_transit},
              {"adjacencies", adjacencies}};
}

Json body_of(const wire::PrefixBody& body) {
  Json entries = Json::array();
  for (const wire::PrefixEntry& e : body.entries) {
    Json instances = Json::array();
    for (const wire::PrefixInstance& i : e.instances) {
      instances.push_back(Json{{"instance", i.id.value}, {"capacity", i.capacity}});
    }
    entries.push_back(Json{{"prefix", e.name.text()},
                           {"covering", e.covering},
                           {"interface", e.interface},
                           {"instances", instances}});
  }
  return Json{{"prefixes", entries}};
}

Json grant_of(const Node& node, const wire::Grant& g) {
  Json pools = Json::array();
  for (const Name& pool : g.pools) pools.push_back(pool.text());
  return Json{{"issuer", node.name_of(issuer_origin(g.header.issuer))},
              {"serial", g.header.serial},
              {"gateway", node.name_of(g.node)},
              {"identity", g.identity},
              {"subtree", g.subtree.text()},
              {"depth", g.depth},
              {"covering", g.covering},
              {"pools", pools},
              {"valid_until", g.valid_until.seconds},
              {"grace_s", g.grace}};
}

Json object_of(const Node& node, ByteView object) {
  auto kind = wire::object_kind(object);
  if (!kind) return Json{{"error", kind.error().message}};
  if (auto g = wire::decode_grant(object); *kind == wire::ObjectKind::grant && g) {
    return grant_of(node, *g);
  }
  if (auto a = wire::decode_authority(object); *kind == wire::ObjectKind::authority && a) {
    Json issuers = Json::array();
    for (const auto& i : a->issuers) {
      issuers.push_back(Json{{"id", i.id}, {"name", i.name}, {"not_after", i.not_after.seconds}});
    }
    return Json{{"serial", a->header.serial}, {"issuers", issuers}};
  }
  if (auto r = wire::decode_revocation(object); *kind == wire::ObjectKind::revocation && r) {
    Json grants = Json::array(), nodes = Json::array();
    for (const auto& g : r->grants) grants.push_back(Json{{"issuer", g.issuer}, {"serial", g.serial}});
    for (const auto& n : r->nodes) nodes.push_back(Json{{"id", n.node.value}, {"key", to_hex(n.key)}});
    return Json{{"serial", r->header.serial}, {"grants", grants}, {"nodes", nodes}};
  }
  if (auto p = wire::decode_domain_parameters(object);
      *kind == wire::ObjectKind::domain_parameters && p) {
    Json actions = Json::object();
    for (std::size_t i = 0; i < wire::kLimits; ++i) {
      actions[wire::to_string(static_cast<wire::Limit>(i))] = wire::to_string(p->actions[i]);
    }
    return Json{{"serial", p->header.serial},
                {"max_prefixes_per_node", p->max_prefixes_per_node},
                {"max_instances_per_prefix", p->max_instances_per_prefix},
                {"max_adjacencies_per_node", p->max_adjacencies_per_node},
                {"max_lsa_lifetime_s", p->max_lsa_lifetime},
                {"max_grants_per_node", p->max_grants_per_node},
                {"lsas_per_second", p->lsas_per_second},
                {"lsa_burst", p->lsa_burst},
                {"isolate_s", p->isolate_seconds},
                {"max_unknown_fragments", p->max_unknown_fragments},
                {"max_name_bytes", p->max_name_bytes},
                {"max_name_components", p->max_name_components},
                {"actions", actions}};
  }
  return Json{{"error", "object does not decode"}};
}

std::string type_name(wire::LsaType type) {
  std::string name = wire::to_string(type);
  return name == "unknown" ? "type " + std::to_string(static_cast<unsigned>(type)) : name;
}

// A prefix's rank within `arguments`: does the LSA fit what was asked for?
bool fits(const Node& node, const wire::LsaKey& key, const Arguments& arguments) {
  if (arguments.size() > 0 && node_argument(node, arguments[0]) != key.origin &&
      node.name_of(key.origin) != arguments[0]) {
    return false;
  }
  if (arguments.size() > 1 && type_name(key.type) != arguments[1]) return false;
  return arguments.size() < 3 || std::to_string(key.fragment) == arguments[2];
}

}  // namespace

Json lsa_body(const Node& node, const wire::Lsa& lsa) {
  switch (lsa.key.type) {
    case wire::LsaType::node:
      if (auto body = wire::decode_node_body(lsa.body())) return body_of(node, *body);
      break;
    case wire::LsaType::prefix:
      if (auto body = wire::decode_prefix_body(lsa.body())) return body_of(*body);
      break;
    case wire::LsaType::identity:
      if (auto body = wire::decode_identity_body(lsa.body())) {
        auto certificate = trust::parse_certificate(body->certificate);
        if (!certificate) return Json{{"error", certificate.error().message}};
        return Json{{"uri", trust::spiffe_uri(*certificate)},
                    {"serial", certificate->serial},
                    {"not_after", certificate->not_after.seconds},
                    {"key", to_hex(certificate->key)}};
      }
      break;
    default:
      if (auto object = wire::decode_object_body(lsa.body())) return object_of(node, *object);
  }
  return Json{{"undecoded_bytes", lsa.body().size()}};
}

Result<Json> lsdb(const NodeImpl& node, linkstate::Engine& engine, const Arguments& arguments) {
  Json rows = Json::array();
  for (const linkstate::LsdbEntryView& entry : engine.lsdb(node.now())) {
    const wire::Lsa& lsa = *entry.lsa;
    if (!fits(node, lsa.key, arguments)) continue;
    Json row{{"origin", node.name_of(lsa.key.origin)},
             {"origin_id", lsa.key.origin.value},
             {"type", type_name(lsa.key.type)},
             {"fragment", lsa.key.fragment},
             {"epoch", lsa.version.epoch},
             {"sequence", lsa.version.sequence},
             {"remaining_s", entry.remaining},
             {"size_bytes", lsa.raw.size()},
             {"held_bytes", entry.held_bytes},
             {"verified", entry.verified},
             {"purged", lsa.purge}};
    if (!arguments.empty()) row["body"] = lsa_body(node, lsa);
    rows.push_back(std::move(row));
  }
  if (rows.empty() && !arguments.empty()) {
    return make_error(Errc::not_found, "no such LSA: lsdb [ORIGIN [TYPE [FRAGMENT]]]");
  }
  return rows;
}

Json grants(const NodeImpl& node) {
  Json rows = Json::array();
  for (const auto& [id, identity] : node.trust().identities()) {
    for (const wire::Grant& g : node.trust().grants_of(id)) {
      Json row = grant_of(node, g);
      row["revoked"] = node.trust().revoked({g.header.issuer, g.header.serial});
      row["remaining_s"] = static_cast<std::int64_t>(g.valid_until.seconds) -
                           static_cast<std::int64_t>(node.domain_time().seconds);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Json trust(const NodeImpl& node) {
  Json identities = Json::array();
  for (const auto& [id, identity] : node.trust().identities()) {
    bool revoked = node.trust().identity(id) == nullptr;
    identities.push_back(Json{{"node", identity.name},
                              {"id", id.value},
                              {"role", identity.role},
                              {"serial", identity.serial},
                              {"not_after", identity.not_after.seconds},
                              {"grants", node.trust().grants_of(id).size()},
                              {"revoked", revoked}});
  }
  Json issuers = Json::array();
  if (const wire::Authority* authority = node.trust().authority()) {
    for (const auto& issuer : authority->issuers) {
      issuers.push_back(Json{{"issuer", issuer.name},
                             {"id", issuer.id},
                             {"not_after", issuer.not_after.seconds}});
    }
  }
  return Json{{"domain_time", node.domain_time().seconds},
              {"spa", node.connected_spa()},
              {"issuers", issuers},
              {"identities", identities}};
}

}  // namespace dmsc::node::inspect
