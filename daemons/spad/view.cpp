#include "spad/view.hpp"

#include <algorithm>
#include <stdexcept>

namespace dmsc::spad {

namespace {

template <std::size_t N>
std::array<std::uint8_t, N> bytes_of(const Json& hex) {
  Bytes b = from_hex(hex.get<std::string>());
  std::array<std::uint8_t, N> out{};
  if (b.size() != N) throw std::invalid_argument("not " + std::to_string(N) + " bytes");
  std::copy(b.begin(), b.end(), out.begin());
  return out;
}

std::uint32_t number(const std::string& text) {
  std::size_t used = 0;
  unsigned long n = std::stoul(text, &used);
  if (used != text.size() || n > 0xffffffffUL) throw std::invalid_argument("not a number: " + text);
  return static_cast<std::uint32_t>(n);
}

NodeRecord node_of(const std::string& name, const Json& v) {
  NodeRecord n;
  n.name = name;
  n.role = v.at("role");
  n.node_id = v.at("node_id");
  n.key = bytes_of<32>(v.at("key"));
  n.serial = v.at("serial");
  n.not_after = v.at("not_after");
  n.address = v.at("address");
  n.nearest_spa = v.at("nearest_spa");
  return n;
}

IssuerRecord issuer_of(const std::string& key, const Json& v) {
  return {number(key), v.at("name"), bytes_of<32>(v.at("key")), {v.at("not_after")}};
}

LinkKeyRecord link_key_of(const std::string& key, const Json& v) {
  LinkKeyRecord k;
  k.id = static_cast<std::uint16_t>(number(key));
  k.secret = bytes_of<32>(v.at("secret"));
  std::string stage = v.at("stage");
  for (LinkKeyStage s : {LinkKeyStage::staged, LinkKeyStage::active, LinkKeyStage::retiring}) {
    if (stage == to_string(s)) k.stage = s;
  }
  k.since = v.at("since");
  return k;
}

template <class Map, class Key, class Make>
void put(Map& map, const Key& key, const std::optional<Json>& value, Make make) {
  if (value) {
    map[key] = make(*value);
  } else {
    map.erase(key);
  }
}

// "A/B" -> {A, B}.
std::pair<std::string, std::string> halves(const std::string& key, char at) {
  std::size_t i = key.find(at);
  if (i == key.npos) throw std::invalid_argument("key without '" + std::string(1, at) + "'");
  return {key.substr(0, i), key.substr(i + 1)};
}

}  // namespace

const char* to_string(LinkKeyStage stage) {
  switch (stage) {
    case LinkKeyStage::staged: return "staged";
    case LinkKeyStage::active: return "active";
    case LinkKeyStage::retiring: return "retiring";
  }
  return "?";
}

Json to_json(const Changes& changes) {
  Json out = Json::array();
  for (const Change& c : changes) {
    Json item = {{"kind", c.kind}, {"key", c.key}};
    if (c.value) item["value"] = *c.value;
    out.push_back(std::move(item));
  }
  return out;
}

Result<Changes> changes_from_json(const Json& json) {
  Changes out;
  try {
    for (const Json& item : json) {
      Change c{item.at("kind"), item.at("key"), std::nullopt};
      if (item.contains("value")) c.value = item["value"];
      out.push_back(std::move(c));
    }
  } catch (const std::exception& e) {
    return make_error(Errc::invalid, "registry change ", std::to_string(out.size()), ": ", e.what());
  }
  return out;
}

Status View::apply(const Change& c) {
  try {
    if (c.kind == "node") {
      put_node(c.key, c.value);
    } else if (c.kind == "retired") {
      put(retired_ids, number(c.key), c.value, [](const Json& v) { return v.get<std::uint64_t>(); });
    } else if (c.kind == "rule") {
      put_rule(c.key, c.value);
    } else if (c.kind == "issuer") {
      put(issuers, number(c.key), c.value, [&](const Json& v) { return issuer_of(c.key, v); });
    } else if (c.kind == "link_key") {
      put(link_keys, static_cast<std::uint16_t>(number(c.key)), c.value,
          [&](const Json& v) { return link_key_of(c.key, v); });
    } else if (c.kind == "object") {
      put(objects, c.key, c.value, [](const Json& v) { return from_hex(v.get<std::string>()); });
    } else if (c.kind == "meta") {
      put_meta(c.key, c.value);
    } else {
      put_revoked(c);  // kinds of a later release are kept in the database and not looked at here
    }
  } catch (const std::exception& e) {
    return make_error(Errc::invalid, "registry record ", c.kind, " '", c.key, "': ", e.what());
  }
  return Ok{};
}

void View::put_node(const std::string& name, const std::optional<Json>& value) {
  std::optional<NodeRecord> next;
  if (value) next = node_of(name, *value);
  auto old = nodes.find(name);
  if (old != nodes.end()) {
    node_ids.erase(old->second.node_id);
    nodes.erase(old);
  }
  if (!next) return;
  if (next->node_id != 0) node_ids[next->node_id] = name;
  nodes[name] = std::move(*next);
}

void View::put_rule(const std::string& key, const std::optional<Json>& value) {
  auto [subtree, identity] = halves(key, ' ');
  Rule rule;
  if (value) {
    Result<Name> name = Name::parse(subtree);
    if (!name) throw std::invalid_argument(name.error().message);
    rule = {*name, identity, value->at("depth"), value->at("covering"), value->at("pool"),
            value->at("since")};
  }
  auto& of_subtree = rules[subtree];
  auto old = of_subtree.find(identity);
  if (old != of_subtree.end()) {
    if (--identities[identity] == 0) identities.erase(identity);
    of_subtree.erase(old);
  }
  if (value) {
    ++identities[identity];
    spellings[rule.subtree.folded()] = subtree;
    of_subtree[identity] = std::move(rule);
  } else if (of_subtree.empty()) {
    rules.erase(subtree);
    Result<Name> name = Name::parse(subtree);
    if (name) spellings.erase(name->folded());
  }
}

void View::put_meta(const std::string& key, const std::optional<Json>& value) {
  if (key == "domain") domain = value->get<std::string>();
  if (key == "domain_id") domain_id = DomainId{value->get<std::uint64_t>()};
  if (key == "writer") writer = value->get<std::string>();
  if (key.rfind("counter/", 0) == 0) counters[key.substr(8)] = value->get<std::uint64_t>();
}

void View::put_revoked(const Change& c) {
  if (c.kind != "revoked_grant" && c.kind != "revoked_node") return;
  auto [first, second] = halves(c.key, '/');
  if (c.kind == "revoked_grant") {
    wire::Revocation::GrantRef ref{number(first), std::stoull(second)};
    put(revoked_grants, ref, c.value, [&](const Json& v) {
      return RevokedGrant{ref,           v.at("until"),    v.at("reason"), v.at("position"),
                          v.at("node"),  v.at("identity"), v.at("subtree")};
    });
  } else {
    wire::Revocation::NodeRef ref{NodeId{number(first)}, bytes_of<32>(Json(second))};
    put(revoked_nodes, ref, c.value,
        [&](const Json& v) { return RevokedNode{ref, v.at("name"), v.at("until")}; });
  }
}

bool View::is_pool(const Name& name) const {
  auto it = rules.find(name.text());
  return it != rules.end() && std::any_of(it->second.begin(), it->second.end(),
                                          [](const auto& item) { return item.second.pool; });
}

const NodeRecord* View::node(const std::string& name) const {
  auto it = nodes.find(name);
  return it == nodes.end() ? nullptr : &it->second;
}

std::uint16_t View::active_link_key() const {
  for (const auto& [id, key] : link_keys) {
    if (key.stage == LinkKeyStage::active) return id;
  }
  return 0;
}

std::string rule_key(const std::string& subtree, const std::string& identity) {
  return subtree + " " + identity;
}

Change record(const NodeRecord& n) {
  return {"node", n.name,
          Json{{"role", n.role},
               {"node_id", n.node_id},
               {"key", to_hex(n.key)},
               {"serial", n.serial},
               {"not_after", n.not_after},
               {"address", n.address},
               {"nearest_spa", n.nearest_spa}}};
}

Change record(const Rule& r) {
  return {"rule", rule_key(r.subtree.text(), r.identity),
          Json{{"depth", r.depth}, {"covering", r.covering}, {"pool", r.pool}, {"since", r.since}}};
}

Change record(const IssuerRecord& i) {
  return {"issuer", std::to_string(i.id),
          Json{{"name", i.name}, {"key", to_hex(i.key)}, {"not_after", i.not_after.seconds}}};
}

Change record(const LinkKeyRecord& k) {
  return {"link_key", std::to_string(k.id),
          Json{{"secret", to_hex(k.secret)}, {"stage", to_string(k.stage)}, {"since", k.since}}};
}

Change record(const RevokedGrant& r) {
  return {"revoked_grant", std::to_string(r.ref.issuer) + "/" + std::to_string(r.ref.serial),
          Json{{"until", r.until},
               {"reason", r.reason},
               {"position", r.position},
               {"node", r.node},
               {"identity", r.identity},
               {"subtree", r.subtree}}};
}

Change record(const RevokedNode& r) {
  return {"revoked_node", std::to_string(r.ref.node.value) + "/" + to_hex(r.ref.key),
          Json{{"name", r.name}, {"until", r.until}}};
}

Change record_object(const std::string& key, ByteView object) {
  return {"object", key, Json(to_hex(object))};
}
Change record_retired(std::uint32_t node_id, std::uint64_t free_after) {
  return {"retired", std::to_string(node_id), Json(free_after)};
}
Change record_meta(const std::string& key, Json value) { return {"meta", key, std::move(value)}; }
Change removal(const std::string& kind, const std::string& key) { return {kind, key, std::nullopt}; }

}  // namespace dmsc::spad
