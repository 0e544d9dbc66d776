#include "sgd/config.hpp"

#include <algorithm>
#include <filesystem>

#include "dmsc/runtime/files.hpp"

namespace dmsc::sgd {

using runtime::ConfigNode;

namespace {

// Characters a pod's name may have: it is part of an identity.
bool good_pod_name(const std::string& name) {
  return !name.empty() && name.size() <= 63 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

PodNamespace read_namespace(const ConfigNode& node) {
  PodNamespace out;
  out.name = node.text("name");
  if (!out.name.empty() && !good_pod_name(out.name)) {
    node.error("name", "must be 1-63 letters, digits, '-', '_' or '.'");
  }
  out.netns = node.text("netns");
  out.tun = node.text("tun", "dmsc0");
  if (out.tun.size() > 15) node.error("tun", "an interface name has at most 15 characters");
  out.address = node.required("address", &parse_ipv4_net);
  out.external = static_cast<External>(node.choice(
      "external",
      {to_string(External::refuse), to_string(External::masquerade), to_string(External::pass)},
      0));
  return out;
}

std::vector<PodNamespace> read_namespaces(const ConfigNode& pods) {
  std::vector<PodNamespace> out;
  for (const ConfigNode& node : pods.list("namespaces")) {
    PodNamespace pod = read_namespace(node);
    for (const PodNamespace& other : out) {
      if (other.name == pod.name) node.error("name", "\"" + pod.name + "\" is there twice");
      if (other.netns == pod.netns) node.error("netns", "belongs to " + other.name + " already");
    }
    out.push_back(std::move(pod));
  }
  return out;
}

std::vector<ListenerConfig> read_listeners(const ConfigNode& root, const Config& config) {
  std::vector<ListenerConfig> out;
  for (const ConfigNode& node : root.list("listeners")) {
    ListenerConfig listener;
    listener.where = node.required("listen", &parse_address_port);
    const std::uint16_t port = listener.where.port;
    listener.name = node.required("name", &Name::parse);
    listener.port = static_cast<std::uint16_t>(
        node.integer("port", {.min = 1, .fallback = port == 0 ? 1U : port, .max = 65535}));
    listener.protocol = node.optional("protocol", &parse_l4).value_or(L4::tcp);
    listener.pod = node.text("pod", "");
    const auto& pods = config.edge.pods;
    if (!listener.pod.empty() && std::none_of(pods.begin(), pods.end(), [&](const auto& pod) {
          return pod.name == listener.pod;
        })) {
      node.error("pod", "\"" + listener.pod + "\" is not in pods.namespaces");
    }
    out.push_back(std::move(listener));
  }
  return out;
}

// Halved twice it must leave room for a network of each kind.
constexpr int kShortestRange = 8, kLongestRange = 28;

Result<std::optional<Prefix6>> parse_prefix6_or_none(std::string_view text) {
  if (text == "none") return std::optional<Prefix6>{};
  auto prefix = Prefix6::parse(text);
  if (!prefix) return prefix.error();
  return std::optional<Prefix6>(*prefix);
}

void read_names(const ConfigNode& root, EdgeConfig& edge) {
  ConfigNode names = root.section("names");
  edge.zone = names.text("zone", "svc.dmsc");
  edge.virtual_range =
      names.optional("virtual_range", &parse_ipv4_net).value_or(edge.virtual_range);
  if (edge.virtual_range.length < kShortestRange || edge.virtual_range.length > kLongestRange) {
    names.error("virtual_range", "its length is not between /" + std::to_string(kShortestRange) +
                                     " and /" + std::to_string(kLongestRange));
    edge.virtual_range = EdgeConfig{}.virtual_range;
  }
  edge.dns =
      names.optional("dns", &parse_ipv4).value_or(Ipv4{edge.virtual_range.network().value + 1});
  if (!edge.virtual_range.contains(edge.dns)) names.error("dns", "is not in names.virtual_range");
  edge.virtual_prefix6 =
      names.optional("virtual_prefix6", &parse_prefix6_or_none).value_or(std::nullopt);
  edge.ttl = std::chrono::duration_cast<seconds>(names.duration(
      "ttl", {.min = seconds(1), .fallback = seconds(5), .max = std::chrono::hours(1)}));
  for (const std::string& text : names.texts("upstream")) {
    if (auto address = parse_ipv4(text)) {
      edge.upstream.push_back(*address);
    } else {
      names.error("upstream", address.error().message);
    }
  }
}

std::vector<RateLimit> read_limits(const ConfigNode& root) {
  constexpr std::uint64_t kLeast = 10'000, kMost = 1'000'000'000'000;
  std::vector<RateLimit> out;
  for (const ConfigNode& node : root.list("limits")) {
    RateLimit limit{node.required("prefix", &Name::parse), node.bit_rate("rate", {kLeast, 0, kMost})};
    if (!node.has("rate")) node.error("rate", "is missing");
    bool twice = std::any_of(out.begin(), out.end(),
                             [&](const RateLimit& l) { return l.prefix == limit.prefix; });
    if (twice) node.error("prefix", limit.prefix.text() + " has a limit already");
    out.push_back(std::move(limit));
  }
  return out;
}

}  // namespace

std::vector<NamespacePath> Config::namespaces() const {
  std::vector<NamespacePath> out;
  for (const PodNamespace& pod : edge.pods) out.push_back({pod.name, pod.netns});
  return out;
}

Config read_config(const ConfigNode& root) {
  Config config;
  config.router = runtime::read_router_config(root, "sgd");
  ConfigNode pods = root.section("pods");
  config.grace = pods.duration(
      "grace", {.min = milliseconds(100), .fallback = seconds(3), .max = minutes(10)});
  config.require_grant = pods.boolean("require_grant", true);
  config.edge.pods = read_namespaces(pods);
  config.edge.external_tun = pods.text("external_tun", config.edge.external_tun);
  ConfigNode host = root.section("host_mode");
  config.edge.host_enabled = host.boolean("enabled", false);
  config.edge.host_tun = host.text("tun", "dmsc0");
  config.edge.state_dir = config.router.node.state_dir;
  read_names(root, config.edge);
  config.edge.listeners = read_listeners(root, config);
  config.edge.limits = read_limits(root);
  config.edge.offloads = {config.router.dataplane.tun_tso, config.router.dataplane.tun_uso};
  config.services_dir = root.text("services_dir", "/etc/dmsc/services.d");
  config.probe_interval = root.section("probes").duration(
      "interval", {.min = milliseconds(100), .fallback = seconds(1), .max = minutes(10)});
  return config;
}

// ---- drop-ins ---------------------------------------------------------------------------------

namespace {

CheckSpec read_check(const ConfigNode& service) {
  CheckSpec check;
  if (!service.has("check")) return check;
  ConfigNode node = service.section("check");
  check.kind = node.choice("kind", {"tcp", "http"}, 0) == 0 ? CheckKind::tcp : CheckKind::http;
  if (check.kind == CheckKind::http) {
    check.target = node.text("path", "/");
    if (check.target.empty() || check.target[0] != '/') node.error("path", "must start with /");
  }
  check.interval = node.duration(
      "interval", {.min = milliseconds(50), .fallback = seconds(1), .max = minutes(10)});
  check.timeout = node.duration(
      "timeout", {.min = milliseconds(10), .fallback = milliseconds(500), .max = minutes(1)});
  check.rise = static_cast<unsigned>(node.integer("rise", {.min = 1, .fallback = 1, .max = 100}));
  check.fall = static_cast<unsigned>(node.integer("fall", {.min = 1, .fallback = 2, .max = 100}));
  return check;
}

Result<std::string> parse_identity(std::string_view text) {
  for (std::string_view kind : {"pod:", "unit:", "uid:"}) {
    if (text.substr(0, kind.size()) == kind && text.size() > kind.size()) return std::string(text);
  }
  return make_error(Errc::invalid, "\"", text, "\" is not pod:NAME, unit:NAME or uid:N");
}

DropIn read_drop_in(const ConfigNode& node, const std::string& file) {
  DropIn out;
  out.file = file;
  out.identity = node.required("identity", &parse_identity);
  AnnouncedService& service = out.service;
  service.prefix = node.required("prefix", &Name::parse);
  service.messages = false;
  service.covering = node.boolean("covering", false);
  service.join_pool = node.boolean("pool", false);
  if (service.join_pool && service.prefix.parent().empty()) {
    node.error("pool", service.prefix.text() + " has no parent that could be a pool");
  }
  service.capacity = static_cast<std::uint16_t>(
      node.integer("capacity", {.min = 1, .fallback = 100, .max = 65535}));
  service.endpoint = to_string(node.required("endpoint", &parse_server));
  for (const ConfigNode& map : node.list("ports")) {
    auto number = [&](const char* key) {
      return static_cast<std::uint16_t>(map.integer(key, {.min = 1, .fallback = 1, .max = 65535}));
    };
    service.ports.push_back({number("service"), number("endpoint"),
                             to_string(map.optional("protocol", &parse_l4).value_or(L4::tcp)),
                             map.optional("name", &wire::parse_service_name).value_or("")});
  }
  if (dmsc::Status s = check_ports(service.ports); !s) node.error("ports", s.error().message);
  service.check = read_check(node);
  return out;
}

}  // namespace

Result<std::vector<DropIn>> read_services_dir(const std::string& directory) {
  std::vector<DropIn> out;
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  std::string wrong;
  for (const std::string& file : files) {
    auto document = runtime::ConfigDocument::load(file);
    if (!document) {
      wrong += document.error().message + "\n";
      continue;
    }
    for (const ConfigNode& node : (*document)->root().list("services")) {
      out.push_back(read_drop_in(node, file));
    }
    (*document)->finish();
    if (!(*document)->ok()) wrong += (*document)->report();
  }
  if (!wrong.empty()) return make_error(Errc::invalid, wrong);
  return out;
}

}  // namespace dmsc::sgd
