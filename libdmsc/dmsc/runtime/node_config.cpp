#include "dmsc/runtime/node_config.hpp"

#include <algorithm>
#include <map>

namespace dmsc::runtime {
namespace {

// One DNS label: node names stand in certificates' DNS names.
Result<std::string> parse_node_name(std::string_view text) {
  bool ok = !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
            std::all_of(text.begin(), text.end(), [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
            });
  if (!ok) {
    return make_error(Errc::invalid, "'", std::string(text),
                      "' is no node name: 1 to 63 of a-z, 0-9 and -, not at the ends");
  }
  return std::string(text);
}

Result<std::string> parse_directory(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    return make_error(Errc::invalid, "'", std::string(text), "' is not an absolute path");
  }
  while (text.size() > 1 && text.back() == '/') text.remove_suffix(1);
  return std::string(text);
}

Result<std::uint32_t> parse_metric(std::string_view text) {
  constexpr std::uint64_t kMaxMetric = 16'777'214;  // 24 bits, as in IS-IS wide metrics; the largest is for drained links
  if (text == "delay" || text == "auto") return std::uint32_t{0};
  auto value = parse_integer(text);
  if (!value || *value < 1 || *value > kMaxMetric) {
    return make_error(Errc::invalid, "'", std::string(text),
                      "' is no metric: 1 to 16777214, or delay");
  }
  return static_cast<std::uint32_t>(*value);
}

Result<Endpoint> parse_local(std::string_view text) {
  return parse_address_endpoint(text, kControlPort);
}
Result<Endpoint> parse_remote(std::string_view text) { return parse_endpoint(text, kControlPort); }

// Linux: at most 15 bytes, no slash, no space.
Result<std::string> parse_interface(std::string_view text) {
  bool ok =
      !text.empty() && text.size() <= 15 && text.find_first_of("/ \t:") == std::string_view::npos;
  if (!ok) {
    return make_error(Errc::invalid, "'", std::string(text), "' is no interface name");
  }
  return std::string(text);
}

// A link name appears in logs and on command lines.
Result<std::string> parse_link_name(std::string_view text) {
  bool ok = !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!ok) {
    return make_error(Errc::invalid, "'", std::string(text),
                      "' is no link name: 1 to 63 of letters, digits, - _ .");
  }
  return std::string(text);
}

linkstate::Liveness read_liveness(const ConfigNode& link) {
  ConfigNode section = link.section("liveness");
  linkstate::Liveness out;
  out.interval = section.duration("interval", {milliseconds(5), milliseconds(50), seconds(60)});
  out.multiplier = static_cast<unsigned>(section.integer("multiplier", {2, 6, 50}));
  return out;
}

// Neighbours found on an interface: who they are and where, they say themselves.
void read_finder_ends(const ConfigNode& node, LinkSection& link) {
  link.interface = node.required("interface", parse_interface);
  link.name = node.optional("name", parse_link_name).value_or(link.interface);
  link.local = node.optional("local", parse_local).value_or(Endpoint{"", kControlPort});
  bool local6 = link.local.host.find(':') != std::string::npos;
  link.ipv6 = node.choice("family", {"ipv4", "ipv6"}, local6 ? 1 : 0) == 1;
  if (!link.local.host.empty() && link.ipv6 != local6) {
    node.error("family", std::string("not that of local, ") + (local6 ? "an IPv6" : "an IPv4") + " address");
  }
  link.max_neighbours = static_cast<unsigned>(node.integer("max_neighbours", {1, 16, 256}));
  for (const char* key : {"peer", "remote"}) {
    if (node.has(key)) node.error(key, "not with discover: neighbours say it themselves");
  }
}

void read_ends(const ConfigNode& node, LinkSection& link) {
  link.name = node.required("name", parse_link_name);
  link.peer = node.optional("peer", parse_node_name).value_or("");
  link.interface = node.optional("interface", parse_interface).value_or("");
  link.local = node.required("local", parse_local);
  link.remote = node.required("remote", parse_remote);
}

LinkSection read_link(const ConfigNode& node) {
  LinkSection link;
  link.discover = node.boolean("discover", false);
  if (link.discover) {
    read_finder_ends(node, link);
  } else {
    read_ends(node, link);
  }
  link.metric = node.optional("metric", parse_metric).value_or(10);
  link.bandwidth_bps = node.bit_rate("bandwidth", {1000, 0, 10'000'000'000'000});
  if (node.has("mtu")) {
    link.mtu = static_cast<std::uint16_t>(node.integer("mtu", {1280, 1400, 65507}));
  }
  link.liveness = read_liveness(node);
  return link;
}

}  // namespace

bool same_endpoints(const LinkSection& a, const LinkSection& b) {
  return a.name == b.name && a.peer == b.peer && a.interface == b.interface && a.local == b.local &&
         a.remote == b.remote && a.mtu == b.mtu && a.discover == b.discover && a.ipv6 == b.ipv6 &&
         a.max_neighbours == b.max_neighbours;
}

NodeSection read_node_section(const ConfigNode& root, std::string_view daemon) {
  ConfigNode section = root.section("node");
  NodeSection node;
  node.name = section.required("name", parse_node_name);
  std::string own(daemon);
  node.state_dir = section.optional("state_dir", parse_directory).value_or("/var/lib/dmsc/" + own);
  node.run_dir = section.optional("run_dir", parse_directory).value_or("/run/dmsc/" + own);
  // sun_path holds 107 bytes, and the longest socket below is message.sock.
  constexpr std::size_t kMaxRunDir = 107 - std::string_view("/message.sock").size();
  if (node.run_dir.size() > kMaxRunDir) {
    section.error("run_dir", "longer than " + std::to_string(kMaxRunDir) +
                                 " bytes: its Unix sockets could not be named");
  }
  return node;
}

EnrolSection read_enrol_section(const ConfigNode& root) {
  ConfigNode section = root.section("enrol");
  EnrolSection enrol;
  enrol.spa = section.endpoints("spa", kSpaPort);
  enrol.token_file = section.text("token_file", "");
  return enrol;
}

std::vector<LinkSection> read_links_section(const ConfigNode& root) {
  std::vector<LinkSection> links;
  std::map<std::string, std::string> names, locals;  // value -> path of its first use
  for (const ConfigNode& node : root.list("links")) {
    LinkSection link = read_link(node);
    if (!link.name.empty()) {
      auto [it, fresh] = names.emplace(link.name, node.path());
      if (!fresh) node.error("name", "'" + link.name + "' is already " + it->second);
    }
    if (link.discover) {
      links.push_back(std::move(link));
      continue;
    }
    std::string pair = to_string(link.local) + " to " + to_string(link.remote);
    auto [it, fresh] = locals.emplace(pair, node.path());
    if (!fresh && link.local.port) node.error("remote", pair + " is already " + it->second);
    links.push_back(std::move(link));
  }
  return links;
}

DataplaneSection read_dataplane_section(const ConfigNode& root, std::string_view daemon) {
  ConfigNode section = root.section("dataplane");
  DataplaneSection dataplane;
  dataplane.workers = static_cast<unsigned>(section.integer("workers", {1, 1, 64}));
  ConfigNode offloads = section.section("offloads");
  dataplane.udp_segment = offloads.boolean("udp_segment", true);
  dataplane.udp_gro = offloads.boolean("udp_gro", true);
  if (daemon != "sgd") return dataplane;
  dataplane.tun_tso = offloads.boolean("tun_tso", true);
  dataplane.tun_uso = offloads.boolean("tun_uso", true);
  const Duration longest = dataplane.busy_poll;
  dataplane.busy_poll = section.duration("busy_poll", {Duration::zero(), longest, longest});
  dataplane.security = static_cast<PayloadSecurity>(section.choice("security", {"sealed", "none"}, 0));
  dataplane.unsealed = static_cast<UnsealedPolicy>(
      section.choice("unsealed", {"refuse", "by-name", "accept"}, 0));
  return dataplane;
}

LogSection read_log_section(const ConfigNode& root) {
  ConfigNode section = root.section("log");
  return {section.optional("level", log::parse_level).value_or(log::Level::info)};
}

RecordSection read_record_section(const ConfigNode& root) {
  ConfigNode section = root.section("record");
  RecordSection record;
  record.file = section.optional("file", parse_directory).value_or("");
  record.limit = section.size("limit", {1 << 20, 1ULL << 30, 1ULL << 40});
  return record;
}

RouterConfig read_router_config(const ConfigNode& root, std::string_view daemon) {
  RouterConfig config;
  config.node = read_node_section(root, daemon);
  config.enrol = read_enrol_section(root);
  config.links = read_links_section(root);
  config.dataplane = read_dataplane_section(root, daemon);
  config.spa = root.endpoints("spa", kSpaPort);
  config.scsc = root.endpoints("scsc", kScscPort);
  config.log = read_log_section(root);
  config.record = read_record_section(root);
  return config;
}

}  // namespace dmsc::runtime
