#include "scscd/topics.hpp"

#include <nlohmann/json.hpp>

#include "dmsc/runtime/clock.hpp"

namespace dmsc::scscd {
namespace {

using runtime::Arguments;
using runtime::Json;

double to_ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

Json quality_json(const measure::Quality& q) {
  Json j = Json::object();
  auto ms = [](std::uint64_t us) { return static_cast<double>(us) / 1000; };
  j["delay_ms"] = q.delay_us ? Json(ms(*q.delay_us)) : Json();
  j["jitter_ms"] = q.jitter_us ? Json(ms(*q.jitter_us)) : Json();
  j["loss_percent"] = q.loss_ppm ? Json(*q.loss_ppm / 1e4) : Json();
  j["bandwidth_bps"] = q.bandwidth_bps ? Json(*q.bandwidth_bps) : Json();
  if (q.available) j["available"] = *q.available;
  return j;
}

Json nodes(const Center& center) {
  Json rows = Json::array();
  Time now = runtime::now();
  for (NodeId node : center.view().nodes()) {
    const routing::NodeAttributes* body = center.view().attributes(node);
    auto session = center.sessions().find(node);
    bool open = session != center.sessions().end();
    Json row{{"node", center.view().node_name(node)}, {"id", node.value}};
    row["role"] = body != nullptr && body->role == wire::NodeRole::gateway ? "gateway" : "router";
    row["session"] = open ? "up" : "down";
    row["up_ms"] = open ? Json(to_ms(now - session->second.opened)) : Json();
    row["reports"] = open ? session->second.reports : 0;
    row["feed"] = open && session->second.feed;
    row["lsdb_gaps"] = open ? session->second.lsdb_gaps : 0;
    rows.push_back(std::move(row));
  }
  return rows;
}

Json links(const Center& center) {
  Json rows = Json::array();
  for (const auto& [link, state] : center.decider().links()) {
    Json row{{"link", center.view().node_name(link.a) + " - " + center.view().node_name(link.b)}};
    row.update(quality_json(center.decider().link_quality(link)));
    row["tripped"] = state.watchdog.reason(runtime::now());
    rows.push_back(std::move(row));
  }
  return rows;
}

Json quality(const Center& center) {
  Json rows = Json::array();
  for (const auto& [target, state] : center.decider().targets()) {
    Json row{{"ingress", center.view().node_name(target.ingress)},
             {"prefix", target.prefix.text()},
             {"egress", center.view().node_name(target.instance.egress)},
             {"instance", target.instance.id.value}};
    row.update(quality_json(state.last));
    row["tripped"] = state.watchdog.reason(runtime::now());
    rows.push_back(std::move(row));
  }
  return rows;
}

Json services(const Center& center) {
  Json rows = Json::array();
  for (const Name& prefix : center.view().prefixes()) {
    Json instances = Json::array();
    for (const ServingInstance& i : center.view().instances(prefix)) {
      instances.push_back(center.view().node_name(i.instance.egress) + "/" +
                          std::to_string(i.instance.id.value));
    }
    rows.push_back({{"prefix", prefix.text()}, {"instances", instances}});
  }
  return rows;
}

Json content_json(const Center& center, const Content& content) {
  Json j = Json::object();
  if (const auto* weights = std::get_if<Weights>(&content)) {
    for (const auto& [instance, weight] : weights->weights) {
      j[center.view().node_name(instance.egress) + "/" + std::to_string(instance.id.value)] = weight;
    }
  } else if (const auto* bias = std::get_if<Bias>(&content)) {
    j["link"] = bias->link;
    j["neighbour"] = center.view().node_name(bias->neighbour);
    j["bias"] = bias->bias;
  } else if (const auto* path = std::get_if<Path>(&content)) {
    j["label"] = path->label.value;
    j["phase"] = path->phase == Path::Phase::use ? "use" : "install";
    for (NodeId node : path->nodes) j["nodes"].push_back(center.view().node_name(node));
  }
  return j;
}

Json policies(const Center& center) {
  Json rows = Json::array();
  Time now = runtime::now();
  for (const auto& [node, of_node] : center.rollout().states()) {
    for (const auto& [id, state] : of_node) {
      rows.push_back({{"policy", id},
                      {"node", center.view().node_name(node)},
                      {"kind", kind_of(state.policy.content)},
                      {"state", to_string(state.delivery)},
                      {"version", state.version},
                      {"age_ms", to_ms(now - state.changed)},
                      {"content", content_json(center, state.policy.content)},
                      {"reason", state.refusal.empty() ? state.policy.reason : state.refusal}});
    }
  }
  return rows;
}

Json thresholds(const Center& center) {
  Json rows = Json::array();
  for (const ThresholdSet& set : center.decider().config().thresholds) {
    for (const auto& [metric, level] : set.levels) {
      rows.push_back({{"prefix", set.prefix.empty() ? "(every name)" : set.prefix.text()},
                      {"metric", to_string(metric)},
                      {"trip", level.trip},
                      {"clear", level.clear},
                      {"window_ms", to_ms(set.window)},
                      {"dwell_ms", to_ms(set.dwell)},
                      {"floor", set.floor}});
    }
  }
  return rows;
}

Result<Json> history(const Center& center, const Arguments& arguments) {
  std::size_t limit = 50;
  if (!arguments.empty()) {
    auto wanted = runtime::parse_integer(arguments[0]);
    if (!wanted || *wanted == 0) {
      return make_error(Errc::invalid, "history: '", arguments[0], "' is no number of rows");
    }
    limit = std::min<std::uint64_t>(*wanted, 10'000);
  }
  auto found = center.history().last(limit);
  if (!found) return found.error();
  Json rows = Json::array();
  for (const HistoryRow& row : *found) {
    rows.push_back({{"id", row.id}, {"at", row.wall_seconds}, {"event", row.event},
                    {"subject", row.subject}, {"reason", row.reason}});
  }
  return rows;
}

Result<Json> paths(Center& center, const Arguments& arguments) {
  if (arguments.size() != 2) return make_error(Errc::invalid, "usage: paths FROM-NODE NAME");
  auto prefix = Name::parse(arguments[1]);
  if (!prefix) return prefix.error();
  auto found = center.compute_path(arguments[0], *prefix);
  if (!found) return found.error();
  Json rows = Json::array();
  for (const PathCandidate& c : *found) {
    Json row{{"egress", c.egress}, {"instance", c.instance}, {"metric", c.metric}};
    row.update(quality_json(c.quality));
    row["path"] = c.path;
    row["note"] = c.note;
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<Json> probe(Center& center, const Arguments& arguments) {
  if (arguments.size() != 1) return make_error(Errc::invalid, "usage: probe NAME");
  auto prefix = Name::parse(arguments[0]);
  if (!prefix) return prefix.error();
  if (center.view().instances(*prefix).empty()) {
    return make_error(Errc::not_found, "'", prefix->text(), "' has no instance in the domain");
  }
  Json rows = Json::array();
  for (NodeId node : center.probe(*prefix)) {
    rows.push_back({{"gateway", center.view().node_name(node)}, {"prefix", prefix->text()},
                    {"probe", "asked"}});
  }
  return rows;
}

Json counters(const Center& center) {
  std::uint64_t reports = 0, events = 0, gaps = 0;
  for (const auto& [node, state] : center.sessions()) {
    reports += state.reports;
    events += state.lsdb_events;
    gaps += state.lsdb_gaps;
  }
  Json rows = Json::array();
  auto row = [&](const char* name, std::uint64_t value) {
    rows.push_back({{"counter", name}, {"value", value}});
  };
  row("sessions", center.sessions().size());
  row("reports", reports);
  row("lsdb_events", events);
  row("lsdb_gaps", gaps);
  row("lsdb_refused", center.bad_lsas());
  row("lsas", center.view().lsa_count());
  row("targets", center.decider().targets().size());
  row("links", center.decider().links().size());
  return rows;
}

// Everything known of one name, in one place.
Result<Json> explain(Center& center, const Arguments& arguments) {
  if (arguments.size() != 1) return make_error(Errc::invalid, "usage: explain NAME");
  auto prefix = Name::parse(arguments[0]);
  if (!prefix) return prefix.error();
  auto about = [&](Json rows, const char* key) {
    Json out = Json::array();
    for (Json& row : rows) {
      if (row[key] == prefix->text()) out.push_back(row);
    }
    return out;
  };
  Json value{{"name", prefix->text()}};
  value["services"] = about(services(center), "prefix");
  value["measured"] = about(quality(center), "prefix");
  value["policies"] = Json::array();
  for (Json& row : policies(center)) {
    if (row["policy"].get<std::string>().find("/" + prefix->text()) != std::string::npos) {
      value["policies"].push_back(row);
    }
  }
  const ThresholdSet* set = thresholds_for(center.decider().config().thresholds, *prefix);
  value["thresholds_of"] = set == nullptr || set->prefix.empty() ? "(every name)"
                                                                 : set->prefix.text();
  return value;
}

}  // namespace

void register_topics(runtime::InspectServer& server, Center& center) {
  auto plain = [&](const char* name, Json (*make)(const Center&)) {
    server.topic(name, [&center, make](const Arguments&) -> Result<Json> { return make(center); });
  };
  plain("nodes", nodes);
  plain("links", links);
  plain("quality", quality);
  plain("services", services);
  plain("policies", policies);
  plain("thresholds", thresholds);
  plain("counters", counters);
  server.topic("history", [&center](const Arguments& a) { return history(center, a); });
  server.topic("probe", [&center](const Arguments& a) { return probe(center, a); });
  server.topic("paths", [&center](const Arguments& a) { return paths(center, a); });
  server.topic("explain", [&center](const Arguments& a) { return explain(center, a); });
}

}  // namespace dmsc::scscd
