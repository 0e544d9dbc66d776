// What the inspect server streams row by row (docs/operations.md, "Following"). Rows say what changes by
// events alone; what is measured all the time is in the topics of the same name.
#include <charconv>

#include "dmsc/node/inspect.hpp"
#include "dmsc/node/node_impl.hpp"

namespace dmsc::node {
namespace {

std::string text_of(const wire::LsaKey& key) {
  return std::to_string(key.origin.value) + "/" + std::to_string(static_cast<unsigned>(key.type)) +
         "/" + std::to_string(key.fragment);
}

std::optional<wire::LsaKey> lsa_key(const std::string& text) {
  std::uint32_t part[3] = {};
  const char *at = text.data(), *end = text.data() + text.size();
  for (int i = 0; i < 3; ++i) {
    auto [stop, error] = std::from_chars(at, end, part[i]);
    if (error != std::errc{} || (i < 2 ? stop == end || *stop != '/' : stop != end)) return std::nullopt;
    at = stop + 1;
  }
  if (part[1] > 0xff || part[2] > 0xffff) return std::nullopt;
  return wire::LsaKey{NodeId{part[0]}, static_cast<wire::LsaType>(part[1]),
                      static_cast<std::uint16_t>(part[2])};
}

}  // namespace

std::optional<Json> NodeImpl::lsdb_row(const std::string& text) const {
  auto key = lsa_key(text);
  wire::LsaPtr lsa = key ? engine_.find(*key) : nullptr;
  if (lsa == nullptr) return std::nullopt;
  return Json{{"origin", name_of(lsa->key.origin)},
              {"type", wire::to_string(lsa->key.type)},
              {"fragment", lsa->key.fragment},
              {"epoch", lsa->version.epoch},
              {"sequence", lsa->version.sequence},
              {"size_bytes", lsa->raw.size()},
              {"body", inspect::lsa_body(*this, *lsa)}};
}

// Where the instances are; how far, the destination's row in "paths" says.
std::optional<Json> NodeImpl::route_row(const std::string& prefix) const {
  const forwarding::Match route = plane_->fib().find(prefix);
  if (!route) return std::nullopt;
  Json instances = Json::array();
  for (const forwarding::InstanceEntry& i : route->instances()) {
    instances.push_back(Json{{"egress", name_of(i.egress)},
                             {"instance", i.id.value},
                             {"covering", i.covering},
                             {"draining", i.draining}});
  }
  return Json{{"prefix", prefix}, {"instances", instances}};
}

std::optional<Json> NodeImpl::path_row(const std::string& text) const {
  std::uint32_t id = 0;
  std::from_chars(text.data(), text.data() + text.size(), id);
  const auto d = routes_.rib().destination(NodeId{id});
  if (!d) return std::nullopt;
  Json hops = Json::array();
  for (const auto& hop : d->next_hops) hops.push_back(inspect::via(*this, hop.link, hop.neighbour));
  return Json{{"node", name_of(NodeId{id})}, {"distance", d->distance}, {"via", hops}};
}

std::optional<Json> NodeImpl::neighbor_row(const std::string& link) const {
  for (const linkstate::NeighbourView& view : engine_.neighbours(now())) {
    auto record = links_.find(view.link);
    if (view.link_name != link || record == links_.end()) continue;
    Json row = inspect::neighbor(*this, view, record->second), out;
    for (const char* key : {"link", "neighbour", "id", "state", "data_path", "metric", "drain",
                            "synchronised", "flaps", "last_down", "address"}) {
      out[key] = row[key];
    }
    return out;
  }
  return std::nullopt;
}

void NodeImpl::attach_feeds() {
  using Name_ = std::function<void(std::string_view)>;
  inspect_->follow_topic("lsdb", {[this](const Name_& name) {
                                    for (const auto& entry : engine_.lsdb(now())) {
                                      if (entry.verified && !entry.lsa->purge) name(text_of(entry.lsa->key));
                                    }
                                  },
                                  [this](const std::string& key) { return lsdb_row(key); }});
  inspect_->follow_topic("routes", {[this](const Name_& name) {
                                      plane_->fib().for_each_prefix(
                                          [&](std::string_view prefix, const forwarding::InstanceGroup&) {
                                            name(prefix);
                                          });
                                    },
                                    [this](const std::string& key) { return route_row(key); }});
  inspect_->follow_topic("paths", {[this](const Name_& name) {
                                     for (const std::string& key : path_keys()) name(key);
                                   },
                                   [this](const std::string& key) { return path_row(key); }});
  inspect_->follow_topic("neighbors", {[this](const Name_& name) {
                                         for (const auto& [id, link] : links_) name(link.settings.name);
                                       },
                                       [this](const std::string& key) { return neighbor_row(key); }});
  if (feeds_attached_) return;
  feeds_attached_ = true;
  subscribe_lsdb([this](const LsdbEvent& event) {
    bool change = event.kind == LsdbEvent::Kind::installed || event.kind == LsdbEvent::Kind::removed;
    if (change && inspect_ != nullptr) inspect_->row_changed("lsdb", text_of(event.lsa->key));
  });
  on_route([this](const Name& name) {
    if (inspect_ != nullptr) inspect_->row_changed("routes", name.text());
  });
}

std::vector<std::string> NodeImpl::path_keys() const {
  std::vector<std::string> out;
  const routing::Topology& topology = routes_.topology();
  for (std::uint32_t i = 0; i < topology.node_count(); ++i) {
    out.push_back(std::to_string(topology.node(i).value));
  }
  return out;
}

// For what changes without an event per row: looks at all of them, and only while somebody follows.
void NodeImpl::tell_differences(const std::string& topic, const std::vector<std::string>& keys,
                                std::map<std::string, std::string>& told,
                                const RowMaker& row) {
  if (inspect_ == nullptr || !inspect_->followed(topic)) return told.clear();
  std::map<std::string, std::string> now_told;
  for (const std::string& key : keys) {
    auto json = row(key);
    if (json) now_told[key] = json->dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace);
  }
  for (const auto& [key, text] : now_told) {
    auto before = told.find(key);
    if (before == told.end() || before->second != text) inspect_->row_changed(topic, key);
  }
  for (const auto& [key, text] : told) {
    if (now_told.count(key) == 0) inspect_->row_changed(topic, key);
  }
  told = std::move(now_told);
}

void NodeImpl::tell_paths() {
  tell_differences("paths", path_keys(), told_paths_,
                   [this](const std::string& key) { return path_row(key); });
}

void NodeImpl::tell_neighbors() {
  std::vector<std::string> names;
  for (const auto& [id, link] : links_) names.push_back(link.settings.name);
  tell_differences("neighbors", names, told_neighbors_,
                   [this](const std::string& key) { return neighbor_row(key); });
}

}  // namespace dmsc::node
