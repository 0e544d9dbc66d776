// Service ports of announcements: what is wrong with them, and what others are told of them.
#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "sgd/announcements.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::size_t kMaxPorts = 256;

// The port behind the last colon; 0 if there is none.
std::uint16_t port_of(const std::string& endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string::npos) return 0;
  std::uint32_t port = 0;
  for (char c : endpoint.substr(colon + 1)) {
    if (c < '0' || c > '9' || port > 65535) return 0;
    port = port * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return port > 65535 ? std::uint16_t{0} : static_cast<std::uint16_t>(port);
}

}  // namespace

Status check_ports(const std::vector<PortMapping>& ports) {
  if (ports.size() > kMaxPorts) return make_error(Errc::invalid, "more than 256");
  std::set<std::pair<std::string, std::string>> names;
  for (const PortMapping& port : ports) {
    if (port.name.empty()) continue;
    if (!names.emplace(port.name, port.protocol).second) {
      return make_error(Errc::invalid, "the name \"", port.name, "\" twice for ", port.protocol);
    }
  }
  if (names.size() > wire::kMaxNamedPorts) {
    return make_error(Errc::invalid, "more than ", std::to_string(wire::kMaxNamedPorts),
                      " have a name");
  }
  return Ok{};
}

std::string to_text(const std::vector<PortMapping>& ports) {
  std::string out;
  for (const PortMapping& port : ports) {
    out += out.empty() ? "" : ", ";
    if (!port.name.empty()) out += port.name + ' ';
    out += std::to_string(port.service);
    if (port.service != port.endpoint) out += ':' + std::to_string(port.endpoint);
    out += '/' + port.protocol;
  }
  return out;
}

std::vector<wire::ServicePort> told_ports(const AnnouncedService& service,
                                          std::uint16_t capacity) {
  std::vector<wire::ServicePort> out;
  for (const PortMapping& port : service.ports) {
    const std::uint8_t protocol = port.protocol == "udp" ? wire::kPortUdp : wire::kPortTcp;
    out.push_back({port.name, port.service, protocol, capacity});
  }
  if (const std::uint16_t port = port_of(service.endpoint); out.empty() && port != 0) {
    out.push_back({"", port, wire::kPortTcp | wire::kPortUdp, capacity});
  }
  return out;
}

std::vector<wire::ServicePort> united(const std::vector<wire::ServicePort>& ports) {
  using Key = std::tuple<std::string, std::uint16_t>;
  std::map<Key, std::pair<std::uint32_t, std::uint32_t>> sums;  // capacities by TCP and by UDP
  std::map<Key, std::uint8_t> protocols;
  for (const wire::ServicePort& port : ports) {
    const Key key(port.name, port.port);
    protocols[key] |= port.protocols;
    if ((port.protocols & wire::kPortTcp) != 0) sums[key].first += port.capacity;
    if ((port.protocols & wire::kPortUdp) != 0) sums[key].second += port.capacity;
  }
  std::vector<wire::ServicePort> out;
  for (const auto& [key, mask] : protocols) {
    auto add = [&, &key = key](std::uint8_t protocol, std::uint32_t capacity) {
      const auto most = std::min<std::uint32_t>(capacity, std::numeric_limits<std::uint16_t>::max());
      out.push_back({std::get<0>(key), std::get<1>(key), protocol, static_cast<std::uint16_t>(most)});
    };
    const auto [tcp, udp] = sums[key];
    if (mask == (wire::kPortTcp | wire::kPortUdp) && tcp == udp) {
      add(mask, tcp);
      continue;
    }
    if ((mask & wire::kPortTcp) != 0) add(wire::kPortTcp, tcp);
    if ((mask & wire::kPortUdp) != 0) add(wire::kPortUdp, udp);
  }
  return out;
}

}  // namespace dmsc::sgd
