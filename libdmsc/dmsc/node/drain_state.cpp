#include "dmsc/node/drain_state.hpp"

#include <nlohmann/json.hpp>

namespace dmsc::node {
namespace {

using Json = nlohmann::ordered_json;
using linkstate::DrainLevel;

Json json_of(const Drain& drain) {
  return {{"level", linkstate::to_string(drain.level)}, {"reason", drain.reason}};
}

Result<Drain> drain_of(const std::string& what, const Json& json) {
  if (!json.is_object()) return make_error(Errc::invalid, what, ": no object");
  auto text = [&json](const char* key) {
    auto it = json.find(key);
    return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  Drain out;
  std::string level = text("level");
  if (level != "soft" && level != "hard") return make_error(Errc::invalid, what, ": level '", level, "'");
  out.level = level == "soft" ? DrainLevel::soft : DrainLevel::hard;
  out.reason = text("reason");
  return out;
}

}  // namespace

std::string encode(const DrainState& state) {
  Json out = Json::object();
  if (state.node) out["node"] = json_of(*state.node);
  out["links"] = Json::object();
  for (const auto& [name, drain] : state.links) out["links"][name] = json_of(drain);
  // The operator's reason may be any bytes.
  return out.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace) + "\n";
}

Result<DrainState> decode_drain_state(std::string_view text) {
  Json in = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!in.is_object()) return make_error(Errc::invalid, "drain state: no JSON object");
  DrainState out;
  if (auto node = in.find("node"); node != in.end()) {
    auto drain = drain_of("node", *node);
    if (!drain) return drain.error();
    out.node = *drain;
  }
  auto links = in.find("links");
  if (links == in.end()) return out;
  if (!links->is_object()) return make_error(Errc::invalid, "drain state: links is no object");
  for (const auto& [name, value] : links->items()) {
    auto drain = drain_of("link " + name, value);
    if (!drain) return drain.error();
    out.links[name] = *drain;
  }
  return out;
}

}  // namespace dmsc::node
