#include "dmsc/runtime/units.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

namespace dmsc::runtime {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

Error bad(std::string_view text, std::string_view expected) {
  return make_error(Errc::invalid, "'", std::string(text), "' is not ", std::string(expected));
}

// A decimal number without sign or exponent, then exactly one of the units.
Result<double> parse_quantity(std::string_view text, std::span<const Unit> units,
                              std::string_view expected) {
  std::size_t digits = text.find_first_not_of("0123456789.");
  if (digits == 0 || text.empty()) return bad(text, expected);
  std::string_view number = text.substr(0, digits);
  double value = 0;
  auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), value,
                                   std::chars_format::fixed);
  if (ec != std::errc{} || end != number.data() + number.size()) return bad(text, expected);
  if (digits == std::string_view::npos) {
    return make_error(Errc::invalid, "'", std::string(text), "' has no unit: write ",
                      std::string(expected));
  }
  for (const Unit& u : units) {
    if (text.substr(digits) == u.name) return value * u.factor;
  }
  return bad(text, expected);
}

Result<std::uint64_t> whole(Result<double> quantity, std::string_view text, double limit) {
  if (!quantity) return quantity.error();
  if (*quantity >= limit) {
    return make_error(Errc::limit, "'", std::string(text), "' is too large");
  }
  return static_cast<std::uint64_t>(std::llround(*quantity));
}

constexpr std::array kDurations{Unit{"ns", 1},     Unit{"us", 1e3}, Unit{"ms", 1e6},
                                Unit{"s", 1e9},    Unit{"m", 60e9}, Unit{"h", 3600e9},
                                Unit{"d", 86400e9}};
constexpr std::array kRates{Unit{"bit/s", 1}, Unit{"kbit/s", 1e3}, Unit{"Mbit/s", 1e6},
                            Unit{"Gbit/s", 1e9}, Unit{"Tbit/s", 1e12}};
constexpr std::array kSizes{Unit{"B", 1},
                            Unit{"KiB", 1024},
                            Unit{"MiB", 1024.0 * 1024},
                            Unit{"GiB", 1024.0 * 1024 * 1024},
                            Unit{"kB", 1e3},
                            Unit{"MB", 1e6},
                            Unit{"GB", 1e9}};
constexpr double kMax63 = 9.2e18;

bool valid_host(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  for (char c : host) {
    bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_' || c == ':' || c == '%';
    if (!ok) return false;
  }
  return true;
}

constexpr std::string_view kEndpointForm = "an endpoint: HOST:PORT, or [IPV6]:PORT";

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  auto ns =
      whole(parse_quantity(text, kDurations, "a duration such as 50ms, 3s or 1h"), text, kMax63);
  if (!ns) return ns.error();
  return Duration(static_cast<std::int64_t>(*ns));
}

Result<std::uint64_t> parse_bit_rate(std::string_view text) {
  return whole(parse_quantity(text, kRates, "a bit rate such as 64kbit/s, 10Mbit/s or 1Gbit/s"),
               text, kMax63);
}

Result<double> parse_percent(std::string_view text) {
  constexpr std::array unit{Unit{"%", 0.01}};
  auto share = parse_quantity(text, unit, "a percentage such as 5%");
  if (share && *share > 1.0) return bad(text, "between 0% and 100%");
  return share;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  return whole(parse_quantity(text, kSizes, "a size such as 512B, 64KiB or 1MiB"), text, kMax63);
}

Result<std::uint64_t> parse_integer(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec == std::errc::result_out_of_range) {
    return make_error(Errc::limit, "'", std::string(text), "' is too large");
  }
  if (ec != std::errc{} || end != text.data() + text.size()) return bad(text, "a whole number");
  return value;
}

Result<bool> parse_bool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return bad(text, "true or false");
}

bool is_numeric_address(const std::string& host) {
  std::array<std::uint8_t, 16> out{};
  std::string address = host.substr(0, host.find('%'));  // fe80::1%eth0
  return inet_pton(AF_INET, address.c_str(), out.data()) == 1 ||
         inet_pton(AF_INET6, address.c_str(), out.data()) == 1;
}

Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text, port;
  bool has_port = false;
  if (!text.empty() && text.front() == '[') {
    std::size_t close = text.find(']');
    if (close == std::string_view::npos) return bad(text, kEndpointForm);
    host = text.substr(1, close - 1);
    std::string_view rest = text.substr(close + 1);
    has_port = !rest.empty();
    if (has_port && rest.front() != ':') return bad(text, kEndpointForm);
    if (has_port) port = rest.substr(1);
  } else if (std::size_t colon = text.find(':');
             colon != std::string_view::npos &&
             text.find(':', colon + 1) == std::string_view::npos) {
    has_port = true;
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (!valid_host(host)) return bad(text, kEndpointForm);
  if (host.find(':') != std::string_view::npos && !is_numeric_address(std::string(host))) {
    return bad(text, kEndpointForm);
  }
  if (!has_port) {
    if (default_port == 0) {
      return make_error(Errc::invalid, "'", std::string(text), "' has no port: write HOST:PORT");
    }
    return Endpoint{std::string(host), default_port};
  }
  auto number = parse_integer(port);
  if (!number || *number == 0 || *number > 65535) {
    return make_error(Errc::invalid, "'", std::string(text), "' has no port between 1 and 65535");
  }
  return Endpoint{std::string(host), static_cast<std::uint16_t>(*number)};
}

Result<Endpoint> parse_address_endpoint(std::string_view text, std::uint16_t default_port) {
  auto endpoint = parse_endpoint(text, default_port);
  if (endpoint && !is_numeric_address(endpoint->host)) {
    return make_error(Errc::invalid, "'", endpoint->host, "' is not an IPv4 or IPv6 address");
  }
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  bool six = endpoint.host.find(':') != std::string::npos;
  std::string text = six ? "[" + endpoint.host + "]" : endpoint.host;
  return endpoint.port ? text + ":" + std::to_string(endpoint.port) : text;
}

Result<std::uint32_t> parse_ipv4(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) {
    return bad(text, "an IPv4 address");
  }
  return ntohl(address.s_addr);
}

std::string ipv4_text(std::uint32_t address) {
  in_addr a{htonl(address)};
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &a, text.data(), text.size());
  return text.data();
}

Result<Ipv4Prefix> parse_ipv4_prefix(std::string_view text) {
  std::size_t slash = text.find('/');
  constexpr std::string_view form = "an IPv4 prefix such as 100.96.0.0/12";
  if (slash == std::string_view::npos) return bad(text, form);
  auto address = parse_ipv4(text.substr(0, slash));
  auto length = parse_integer(text.substr(slash + 1));
  if (!address || !length || *length > 32) return bad(text, form);
  return Ipv4Prefix{*address, static_cast<unsigned>(*length)};
}

std::string format_duration(Duration d) {
  std::int64_t ns = d.count();
  if (ns == 0) return "0s";
  struct Step {
    std::int64_t size;
    const char* name;
  };
  for (Step s :
       {Step{86'400'000'000'000, "d"}, Step{3'600'000'000'000, "h"}, Step{60'000'000'000, "m"},
        Step{1'000'000'000, "s"}, Step{1'000'000, "ms"}, Step{1'000, "us"}}) {
    if (ns % s.size == 0) return std::to_string(ns / s.size) + s.name;
  }
  return std::to_string(ns) + "ns";
}

std::string format_bit_rate(std::uint64_t bps) {
  constexpr std::array names{"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
  double value = static_cast<double>(bps);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < names.size()) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.4g%s", value, names[unit]);
  return text;
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array names{"B", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < names.size()) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + names[unit];
}

}  // namespace dmsc::runtime
