#include "spad/config.hpp"

#include "dmsc/trust/certificate.hpp"

namespace dmsc::spad {

namespace {

Result<std::string> parse_domain(std::string_view text) {
  Status good = trust::check_host_name("domain", text);
  if (!good) return good.error();
  return std::string(text);
}

std::uint64_t in_seconds(const runtime::ConfigNode& section, std::string_view key,
                         runtime::Bounds<Duration> bounds) {
  Duration d = section.duration(key, bounds);
  return static_cast<std::uint64_t>(std::chrono::duration_cast<seconds>(d).count());
}

GrantPolicy read_grants(const runtime::ConfigNode& section) {
  using std::chrono::hours;
  GrantPolicy p;
  p.valid_for = in_seconds(section, "valid_for", {seconds(10), hours(1), hours(24 * 7)});
  p.grace = in_seconds(section, "grace", {seconds(0), minutes(15), hours(24 * 7)});
  p.renew_before = in_seconds(section, "renew_before", {seconds(1), minutes(30), hours(24 * 7)});
  if (p.renew_before >= p.valid_for) {
    section.error("renew_before", "must be less than valid_for");
  }
  return p;
}

IdentityPolicy read_identities(const runtime::ConfigNode& section) {
  using std::chrono::hours;
  IdentityPolicy p;
  p.certificate_life =
      in_seconds(section, "certificate_life", {minutes(1), hours(24 * 30), hours(24 * 3650)});
  p.token_life = in_seconds(section, "token_life", {minutes(1), hours(24), hours(24 * 365)});
  return p;
}

}  // namespace

Config read_config(const runtime::ConfigNode& root) {
  Config c;
  c.node = runtime::read_node_section(root, "spad");
  c.domain = root.optional("domain", parse_domain).value_or("");
  c.listen = root.has("listen") ? root.endpoint("listen", runtime::kSpaPort)
                                : runtime::Endpoint{"0.0.0.0", runtime::kSpaPort};
  c.advertise = root.endpoint("advertise", runtime::kSpaPort);
  std::string writer = root.text("writer", "self");
  if (writer != "self") c.writer = root.endpoint("writer", runtime::kSpaPort);
  c.enrol = runtime::read_enrol_section(root);
  if (c.writer && c.enrol.spa.empty()) c.enrol.spa.push_back(*c.writer);
  c.registry_file = root.text("registry_file", "");
  if (!c.writer && c.domain.empty()) root.error("domain", "is required on the writer");
  if (c.writer && !c.registry_file.empty()) {
    root.error("registry_file", "is for the writer: a replica gets the registry from it");
  }
  c.grants = read_grants(root.section("grants"));
  c.identities = read_identities(root.section("identities"));
  c.limits = read_limits(root.section("limits"));
  if (c.writer && root.has("limits")) {
    root.error("limits", "is for the writer: a replica gets what the root has signed from it");
  }
  return c;
}

}  // namespace dmsc::spad
