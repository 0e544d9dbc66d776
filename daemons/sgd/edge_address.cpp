#include "sgd/edge_address.hpp"

namespace dmsc::sgd {
namespace {

// A decimal number without sign or leading zeros; -1 if `text` is anything else or over `max`.
long number(std::string_view text, long max) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return -1;
  long value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value <= max ? value : -1;
}

}  // namespace

const char* to_string(L4 protocol) { return protocol == L4::tcp ? "tcp" : "udp"; }

Result<L4> parse_l4(std::string_view text) {
  if (text == "tcp") return L4::tcp;
  if (text == "udp") return L4::udp;
  return make_error(Errc::invalid, "protocol '", text, "' is neither tcp nor udp");
}

Result<Ipv4> parse_ipv4(std::string_view text) {
  std::string_view left = text;
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    std::size_t end = i < 3 ? left.find('.') : left.size();
    long octet = end == std::string_view::npos ? -1 : number(left.substr(0, end), 255);
    if (octet < 0) {
      return make_error(Errc::invalid, "'", text, "' is no IPv4 address: octet ",
                        std::to_string(i + 1), " is wrong");
    }
    value = value << 8 | static_cast<std::uint32_t>(octet);
    if (i < 3) left.remove_prefix(end + 1);
  }
  return Ipv4{value};
}

Result<Ipv4Net> parse_ipv4_net(std::string_view text) {
  std::size_t slash = text.find('/');
  long length = slash == std::string_view::npos ? -1 : number(text.substr(slash + 1), 32);
  if (length < 0) {
    return make_error(Errc::invalid, "'", text, "' is no IPv4 network: want address/0-32");
  }
  auto address = parse_ipv4(text.substr(0, slash));
  if (!address) return address.error();
  return Ipv4Net{*address, static_cast<std::uint8_t>(length)};
}

Result<std::pair<Ipv4, std::uint16_t>> parse_ipv4_port(std::string_view text) {
  std::size_t colon = text.find(':');
  long port = colon == std::string_view::npos ? -1 : number(text.substr(colon + 1), 65535);
  if (port <= 0) {
    return make_error(Errc::invalid, "'", text, "' is no endpoint: want address:port, port 1-65535");
  }
  auto address = parse_ipv4(text.substr(0, colon));
  if (!address) return address.error();
  return std::pair{*address, static_cast<std::uint16_t>(port)};
}

std::string to_string(Ipv4 a) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += std::to_string((a.value >> shift) & 255);
    if (shift > 0) out += '.';
  }
  return out;
}

std::string to_string(const Ipv4Net& net) {
  return to_string(net.address) + "/" + std::to_string(net.length);
}

}  // namespace dmsc::sgd
