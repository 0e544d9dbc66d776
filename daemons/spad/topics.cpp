#include "spad/topics.hpp"

#include "dmsc/runtime/inspect_server.hpp"
#include "spad/authentication_service.hpp"
#include "spad/core.hpp"
#include "spad/journal_service.hpp"

namespace dmsc::spad {

namespace {

using runtime::Arguments;

Error not_yet(Core& core) {
  return make_error(Errc::unavailable, "this SPA still waits for ", core.waiting_for());
}

Json nodes(Core& core) {
  Json rows = Json::array();
  for (const auto& [name, n] : core.view().nodes) {
    rows.push_back({{"name", name},
                    {"id", n.node_id},
                    {"role", n.role},
                    {"enrolled", n.enrolled()},
                    {"certificate", n.serial},
                    {"not_after", n.not_after},
                    {"address", n.address},
                    {"nearest_spa", n.nearest_spa}});
  }
  return rows;
}

Json prefixes(Core& core) {
  Json rows = Json::array();
  for (const auto& [subtree, owners] : core.view().rules) {
    for (const auto& [owner, rule] : owners) {
      rows.push_back({{"subtree", subtree},
                      {"owner", owner},
                      {"depth", rule.depth},
                      {"covering", rule.covering},
                      {"pool", rule.pool}});
    }
  }
  return rows;
}

Result<Json> grants(Core& core) {
  if (core.office() == nullptr) return not_yet(core);
  Result<std::vector<GrantRow>> live = core.office()->live_grants(core.now());
  if (!live) return live.error();
  Json rows = Json::array();
  for (const GrantRow& g : *live) {
    wire::Revocation::GrantRef ref{core.office()->issuer(), g.serial};
    Result<wire::Grant> grant = wire::decode_grant(g.object);
    Json pools = Json::array();
    for (std::size_t i = 0; grant && i < grant->pools.size(); ++i) {
      pools.push_back(grant->pools[i].text());
    }
    rows.push_back({{"subtree", g.subtree},
                    {"gateway", g.gateway},
                    {"identity", g.identity},
                    {"issuer", ref.issuer},
                    {"serial", ref.serial},
                    {"remaining_s", g.accepted_until - core.now()},
                    {"depth", grant ? grant->depth : 0},
                    {"covering", grant && grant->covering},
                    {"pools", pools},
                    {"valid_until", grant ? grant->valid_until.seconds : 0},
                    {"revoked", core.view().revoked_grants.count(ref) != 0}});
  }
  return rows;
}

// "audit [N]" lists, "audit verify" checks the chain.
Result<Json> audit(Core& core, const Arguments& arguments) {
  if (core.audit() == nullptr) return not_yet(core);
  if (!arguments.empty() && arguments[0] == "verify") {
    Result<std::uint64_t> records = core.audit()->verify();
    if (!records) return records.error();
    return Json{{"verified", true}, {"records", *records}};
  }
  Result<std::uint64_t> limit = arguments.empty() ? Result<std::uint64_t>(50)
                                                  : runtime::parse_integer(arguments[0]);
  if (!limit) return with_context("audit: how many records", limit.error());
  Result<std::vector<AuditRecord>> records = core.audit()->newest(*limit);
  if (!records) return records.error();
  Json rows = Json::array();
  for (const AuditRecord& r : *records) {
    rows.push_back({{"seq", r.seq},
                    {"time", r.time},
                    {"actor", r.actor},
                    {"action", r.action},
                    {"object", r.object},
                    {"decision", r.decision},
                    {"detail", r.detail}});
  }
  return rows;
}

Result<Json> tokens(Core& core) {
  Status here = core.refused_here();
  if (!here) return here.error();
  Result<std::vector<TokenRow>> list = core.registrar()->tokens();
  if (!list) return list.error();
  Json rows = Json::array();
  for (const TokenRow& t : *list) {
    const char* state = t.used ? "used" : t.expires <= core.now() ? "expired" : "open";
    rows.push_back(
        {{"name", t.name}, {"state", state}, {"created", t.created}, {"expires", t.expires}});
  }
  return rows;
}

Json issuers(Core& core) {
  Json rows = Json::array();
  for (const auto& [id, issuer] : core.view().issuers) {
    rows.push_back({{"issuer", id},
                    {"name", issuer.name},
                    {"key", to_hex(issuer.key)},
                    {"not_after", issuer.not_after.seconds},
                    {"self", issuer.name == core.config().node.name}});
  }
  return rows;
}

Json journal(Core& core) {
  Json replicas = Json::array();
  if (core.journal() != nullptr) {
    for (const auto& r : core.journal()->replicas()) {
      replicas.push_back({{"name", r->who.name}, {"position", r->position}});
    }
  }
  return {{"position", core.store().position()},
          {"time", core.store().last_time()},
          {"writer", core.writer_address()},
          {"is_writer", core.writer()},
          {"connected", core.writer_connected()},
          {"replicas", replicas}};
}

Result<Json> counters(Core& core) {
  if (core.office() == nullptr) return not_yet(core);
  const Office::Counters& c = core.office()->counters();
  Json refused = Json::object();
  for (const auto& [code, count] : c.refused) refused[code] = count;
  return Json{{"asked", c.asked},
              {"granted", c.granted},
              {"reused", c.reused},
              {"refused", refused},
              {"followers", core.authentication()->followers()}};
}

Json revocations(Core& core) {
  Json rows = Json::array();
  for (const Bytes& object : core.revocations()) {
    Result<wire::Revocation> list = wire::decode_revocation(object);
    if (!list) continue;
    for (const auto& ref : list->grants) {
      rows.push_back({{"by", list->header.issuer},
                      {"grant", std::to_string(ref.issuer) + "/" + std::to_string(ref.serial)}});
    }
    for (const auto& ref : list->nodes) {
      rows.push_back(
          {{"by", list->header.issuer}, {"node", ref.node.value}, {"key", to_hex(ref.key)}});
    }
  }
  return rows;
}

Result<Json> parameters(Core& core) {
  auto held = core.view().objects.find("parameters");
  if (held == core.view().objects.end()) return not_yet(core);
  Result<wire::DomainParameters> signed_ones = wire::decode_domain_parameters(held->second);
  if (!signed_ones) return signed_ones.error();
  return limits_json(*signed_ones);
}

// "explain NAME": which rules speak of the name, and what a grant of each would say.
Result<Json> explain(Core& core, const Arguments& arguments) {
  if (arguments.size() != 1) return make_error(Errc::invalid, "explain: which name?");
  Result<Name> name = Name::parse(arguments[0]);
  if (!name) return with_context("explain", name.error());
  Json rows = Json::array();
  for (Name at = *name; !at.empty(); at = at.parent()) {
    auto rules = core.view().rules.find(at.text());
    if (rules == core.view().rules.end()) continue;
    std::size_t below = name->component_count() - at.component_count();
    for (const auto& [owner, rule] : rules->second) {
      Json pools = Json::array();
      for (const Name& pool : pools_of(core.view(), rule)) pools.push_back(pool.text());
      const char* verdict = owner.empty()         ? "marks a pool, owns nothing"
                            : below <= rule.depth ? "may announce it"
                                                  : "too deep for this rule";
      rows.push_back({{"subtree", at.text()},
                      {"owner", owner},
                      {"verdict", verdict},
                      {"covering", rule.covering},
                      {"pools", pools}});
    }
  }
  return rows;
}

}  // namespace

void register_topics(runtime::InspectServer& inspect, Core& core) {
  auto plain = [&](const char* name, Json (*make)(Core&)) {
    inspect.topic(name, [&core, make](const Arguments&) -> Result<Json> { return make(core); });
  };
  auto checked = [&](const char* name, Result<Json> (*make)(Core&)) {
    inspect.topic(name, [&core, make](const Arguments&) { return make(core); });
  };
  plain("nodes", nodes);
  plain("prefixes", prefixes);
  plain("issuers", issuers);
  plain("journal", journal);
  plain("revocations", revocations);
  checked("grants", grants);
  checked("tokens", tokens);
  checked("counters", counters);
  checked("parameters", parameters);
  inspect.topic("explain", [&core](const Arguments& a) { return explain(core, a); });
  inspect.topic("audit", [&core](const Arguments& arguments) { return audit(core, arguments); });
}

Json status_of(Core& core) {
  Json out = {{"domain", core.view().domain},
              {"role", core.writer() ? "writer" : "replica"},
              {"writer", core.writer_address()},
              {"position", core.store().position()},
              {"domain_time", core.now()},
              {"open", core.open()}};
  if (core.office() != nullptr) out["issuer"] = core.office()->issuer();
  if (!core.waiting_for().empty()) out["waiting_for"] = core.waiting_for();
  return out;
}

}  // namespace dmsc::spad
