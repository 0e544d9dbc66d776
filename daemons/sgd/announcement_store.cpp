#include "sgd/announcement_store.hpp"

#include <nlohmann/json.hpp>

#include "dmsc/runtime/files.hpp"
#include "dmsc/runtime/log.hpp"

namespace dmsc::sgd {
namespace {

using Json = nlohmann::ordered_json;
namespace log = runtime::log;

std::int64_t ms(Duration d) { return std::chrono::duration_cast<milliseconds>(d).count(); }

Json json_of(const CheckSpec& c) {
  return {{"kind", to_string(c.kind)}, {"target", c.target}, {"interval_ms", ms(c.interval)},
          {"timeout_ms", ms(c.timeout)}, {"rise", c.rise}, {"fall", c.fall}};
}

Json json_of(const AnnouncedService& s) {
  Json ports = Json::array();
  for (const PortMapping& map : s.ports) {
    ports.push_back({map.service, map.endpoint, map.protocol, map.name});
  }
  Json out = {{"prefix", s.prefix.text()}, {"covering", s.covering}, {"join_pool", s.join_pool},
              {"messages", s.messages},    {"capacity", s.capacity}, {"endpoint", s.endpoint}};
  out["ports"] = std::move(ports);
  out["check"] = json_of(s.check);
  out["metadata"] = s.metadata;
  return out;
}

CheckSpec check_of(const Json& json) {
  CheckSpec out;
  const auto kind = json.at("kind").get<std::string>();
  for (CheckKind k : {CheckKind::self, CheckKind::tcp, CheckKind::http, CheckKind::command}) {
    if (kind == to_string(k)) out.kind = k;
  }
  out.target = json.at("target").get<std::string>();
  out.interval = milliseconds(json.at("interval_ms").get<std::int64_t>());
  out.timeout = milliseconds(json.at("timeout_ms").get<std::int64_t>());
  out.rise = json.at("rise").get<unsigned>();
  out.fall = json.at("fall").get<unsigned>();
  return out;
}

AnnouncedService service_of(const Json& json) {
  AnnouncedService out;
  auto prefix = Name::parse(json.at("prefix").get<std::string>());
  if (!prefix) throw std::runtime_error(prefix.error().message);
  out.prefix = std::move(*prefix);
  out.covering = json.at("covering").get<bool>();
  out.join_pool = json.at("join_pool").get<bool>();
  out.messages = json.at("messages").get<bool>();
  out.capacity = json.at("capacity").get<std::uint16_t>();
  out.endpoint = json.at("endpoint").get<std::string>();
  for (const Json& map : json.at("ports")) {
    out.ports.push_back({map.at(0).get<std::uint16_t>(), map.at(1).get<std::uint16_t>(),
                         map.at(2).get<std::string>(), map.at(3).get<std::string>()});
  }
  out.check = check_of(json.at("check"));
  out.metadata = json.at("metadata").get<std::map<std::string, std::string>>();
  return out;
}

SavedAnnouncement announcement_of(const Json& json, const std::vector<Bytes>& grants) {
  SavedAnnouncement out;
  out.lease = json.at("lease").get<std::string>();
  out.identity = json.at("identity").get<std::string>();
  out.permanent = json.at("permanent").get<bool>();
  out.service = service_of(json.at("service"));
  out.instance = InstanceId{json.at("instance").get<std::uint16_t>()};
  out.grant = grants.at(json.at("grant").get<std::size_t>());
  return out;
}

}  // namespace

// One grant serves many announcements: they are told by their place in a list.
std::string encode_announcements(const std::vector<SavedAnnouncement>& saved,
                                 const std::string& boot) {
  Json out = {{"schema", 1}, {"boot", boot}};
  Json rows = Json::array(), grants = Json::array();
  std::map<Bytes, std::size_t> places;
  for (const SavedAnnouncement& one : saved) {
    auto [place, fresh] = places.emplace(one.grant, grants.size());
    if (fresh) grants.push_back(to_hex(one.grant));
    rows.push_back({{"lease", one.lease},
                    {"identity", one.identity},
                    {"permanent", one.permanent},
                    {"instance", one.instance.value},
                    {"grant", place->second},
                    {"service", json_of(one.service)}});
  }
  out["grants"] = std::move(grants);
  out["announcements"] = std::move(rows);
  // Metadata of a pod may be any bytes.
  return out.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace) + "\n";
}

Result<std::vector<SavedAnnouncement>> decode_announcements(std::string_view text,
                                                            const std::string& boot) {
  std::vector<SavedAnnouncement> out;
  Json in = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!in.is_object()) return make_error(Errc::invalid, "announcements: no JSON object");
  std::string place = "its head";
  try {
    if (in.at("schema").get<int>() != 1) return make_error(Errc::unsupported, "announcements: another schema");
    if (in.at("boot").get<std::string>() != boot) return out;
    std::vector<Bytes> grants;
    for (const Json& grant : in.at("grants")) grants.push_back(from_hex(grant.get<std::string>()));
    for (const Json& row : in.at("announcements")) {
      place = "announcement " + std::to_string(out.size());
      out.push_back(announcement_of(row, grants));
    }
  } catch (const std::exception& wrong) {
    return make_error(Errc::invalid, "announcements: ", place, ": ", wrong.what());
  }
  return out;
}

std::string boot_id() {
  auto text = runtime::read_file("/proc/sys/kernel/random/boot_id", 64);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

AnnouncementStore::AnnouncementStore(const std::string& state_dir)
    : path_(state_dir.empty() ? "" : state_dir + "/announcements"), boot_(boot_id()), file_(path_) {
  if (!path_.empty()) writer_ = std::make_unique<runtime::BackgroundWriter>();
}

std::vector<SavedAnnouncement> AnnouncementStore::load() {
  if (path_.empty()) return {};
  auto loaded = file_.load();
  for (const std::string& what : loaded.damaged) log::warning("announcements-damaged", {{"error", what}});
  if (!loaded.content) return {};
  auto saved = decode_announcements(*loaded.content, boot_);
  if (!saved) {
    log::warning("announcements-lost", {{"file", path_}, {"error", saved.error()}});
    return {};
  }
  last_ = *saved;
  return *saved;
}

void AnnouncementStore::save(const std::vector<SavedAnnouncement>& announcements) {
  if (path_.empty() || announcements == last_) return;
  last_ = announcements;
  auto copy = file_.next(encode_announcements(announcements, boot_));
  writer_->write(std::move(copy.path), std::move(copy.content));
}

void AnnouncementStore::flush() {
  if (writer_) writer_->flush();
}

}  // namespace dmsc::sgd
