#include "sgd/pod_messages.hpp"

#include "sgd/edge_ipv6.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::size_t kMaxMetadata = 32, kMaxText = 1024;

Error wrong(std::string_view field, std::string_view what) {
  return make_error(Errc::invalid, field, ": ", what);
}

Status check_endpoint(const std::string& endpoint) {
  auto parsed = parse_server(endpoint);
  return parsed ? Status(Ok{}) : Status(with_context("endpoint", parsed.error()));
}

Result<std::vector<PortMapping>> parse_ports(const v1::Announcement& a) {
  std::vector<PortMapping> out;
  if (a.ports_size() > 0 && a.endpoint().empty()) return wrong("ports", "need an endpoint");
  for (const auto& port : a.ports()) {
    const std::string protocol = port.protocol().empty() ? "tcp" : port.protocol();
    if (protocol != "tcp" && protocol != "udp") {
      return wrong("ports", "protocol \"" + protocol + "\" is neither tcp nor udp");
    }
    if (port.service() < 1 || port.service() > 65535 || port.endpoint() < 1 ||
        port.endpoint() > 65535) {
      return wrong("ports", "a port is not 1-65535");
    }
    auto name = port.name().empty() ? Result<std::string>(std::string())
                                    : wire::parse_service_name(port.name());
    if (!name) return with_context("ports", name.error());
    out.push_back({static_cast<std::uint16_t>(port.service()),
                   static_cast<std::uint16_t>(port.endpoint()), protocol, *name});
  }
  if (Status s = check_ports(out); !s) return with_context("ports", s.error());
  return out;
}

Result<CheckSpec> parse_check(const v1::Announcement& a) {
  const v1::HealthCheck& in = a.check();
  CheckSpec out;
  switch (in.kind()) {
    case v1::HealthCheck::NONE: return out;
    case v1::HealthCheck::SELF: out.kind = CheckKind::self; break;
    case v1::HealthCheck::TCP: out.kind = CheckKind::tcp; break;
    case v1::HealthCheck::HTTP: out.kind = CheckKind::http; break;
    case v1::HealthCheck::COMMAND: out.kind = CheckKind::command; break;
    default: return wrong("check.kind", "unknown kind " + std::to_string(in.kind()));
  }
  out.target = in.target();
  const bool by_network = out.kind == CheckKind::tcp || out.kind == CheckKind::http;
  if (by_network && a.endpoint().empty()) return wrong("check", "tcp and http need an endpoint");
  if (out.target.size() > kMaxText) return wrong("check.target", "over 1,024 bytes");
  if (out.kind == CheckKind::http &&
      (out.target.empty() || out.target[0] != '/' ||
       out.target.find_first_of(" \r\n") != std::string::npos)) {
    return wrong("check.target", "an HTTP path starts with / and has no spaces");
  }
  auto time = [](std::uint32_t ms, unsigned fallback) { return milliseconds(ms ? ms : fallback); };
  out.interval = time(in.interval_ms(), 1000);
  out.timeout = time(in.timeout_ms(), 500);
  if (out.interval < milliseconds(50) || out.interval > minutes(10)) {
    return wrong("check.interval_ms", "must be 50 to 600000");
  }
  if (out.timeout < milliseconds(10) || out.timeout > minutes(1)) {
    return wrong("check.timeout_ms", "must be 10 to 60000");
  }
  if (in.rise() > 100 || in.fall() > 100) return wrong("check", "rise and fall are at most 100");
  out.rise = in.rise() ? in.rise() : 1;
  out.fall = in.fall() ? in.fall() : 2;
  return out;
}

v1::HealthCheck::Kind wire_kind(CheckKind kind) {
  switch (kind) {
    case CheckKind::self: return v1::HealthCheck::SELF;
    case CheckKind::tcp: return v1::HealthCheck::TCP;
    case CheckKind::http: return v1::HealthCheck::HTTP;
    case CheckKind::command: return v1::HealthCheck::COMMAND;
    case CheckKind::none: break;
  }
  return v1::HealthCheck::NONE;
}

}  // namespace

Result<AnnouncedService> parse_announcement(const v1::Announcement& a) {
  AnnouncedService out;
  auto prefix = Name::parse(a.prefix());
  if (!prefix) return with_context("prefix", prefix.error());
  out.prefix = *prefix;
  out.covering = a.covering();
  out.join_pool = a.join_pool();
  if (out.join_pool && out.prefix.parent().empty()) {
    return wrong("join_pool", out.prefix.text() + " has no parent that could be a pool");
  }
  if (a.capacity() > 65535) return wrong("capacity", "must be 1-65535");
  out.capacity = static_cast<std::uint16_t>(a.capacity() ? a.capacity() : 100);
  out.endpoint = a.endpoint();
  if (!out.endpoint.empty()) {
    if (Status s = check_endpoint(out.endpoint); !s) return s.error();
  }
  out.messages = a.messages();
  auto ports = parse_ports(a);
  if (!ports) return ports.error();
  out.ports = std::move(*ports);
  auto check = parse_check(a);
  if (!check) return check.error();
  out.check = *check;
  if (a.metadata_size() > int(kMaxMetadata)) return wrong("metadata", "more than 32 entries");
  for (const auto& [key, value] : a.metadata()) {
    if (key.size() > kMaxText || value.size() > kMaxText) return wrong("metadata", "over 1,024 bytes");
    out.metadata[key] = value;
  }
  return out;
}

v1::GatewayMessage to_message(const WelcomeInfo& info) {
  v1::GatewayMessage message;
  auto* welcome = message.mutable_welcome();
  welcome->set_lease(info.lease);
  welcome->set_identity(info.identity);
  welcome->set_gateway(info.gateway);
  welcome->set_domain(info.domain);
  welcome->set_grace_ms(
      static_cast<std::uint32_t>(std::chrono::duration_cast<milliseconds>(info.grace).count()));
  return message;
}

v1::GatewayMessage to_message(const Announcements::Status& status) {
  v1::GatewayMessage message;
  auto* out = message.mutable_status();
  out->set_prefix(status.prefix);
  out->set_reason(status.reason);
  out->set_instance(status.instance.value);
  switch (status.state) {
    case AnnouncementState::pending: out->set_state(v1::AnnouncementStatus::PENDING); break;
    case AnnouncementState::granted: out->set_state(v1::AnnouncementStatus::GRANTED); break;
    case AnnouncementState::refused: out->set_state(v1::AnnouncementStatus::REFUSED); break;
    case AnnouncementState::unhealthy: out->set_state(v1::AnnouncementStatus::UNHEALTHY); break;
    case AnnouncementState::withdrawn: out->set_state(v1::AnnouncementStatus::WITHDRAWN); break;
    case AnnouncementState::invalid: out->set_state(v1::AnnouncementStatus::INVALID); break;
  }
  return message;
}

v1::GatewayMessage to_message(std::uint64_t id, const std::string& prefix, const CheckSpec& check) {
  v1::GatewayMessage message;
  auto* out = message.mutable_check();
  out->set_id(id);
  out->set_prefix(prefix);
  auto ms = [](Duration d) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<milliseconds>(d).count());
  };
  out->mutable_check()->set_kind(wire_kind(check.kind));
  out->mutable_check()->set_target(check.target);
  out->mutable_check()->set_interval_ms(ms(check.interval));
  out->mutable_check()->set_timeout_ms(ms(check.timeout));
  out->mutable_check()->set_rise(check.rise);
  out->mutable_check()->set_fall(check.fall);
  return message;
}

}  // namespace dmsc::sgd
