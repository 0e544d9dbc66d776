#include "dmsc/wire/service_port.hpp"

#include <algorithm>

#include "dmsc/wire/tlv.hpp"

namespace dmsc::wire {
namespace {

constexpr std::size_t kFixedBytes = 5;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t size_of(const ServicePort& port) { return kFixedBytes + port.name.size(); }

bool read_port(ByteReader& in, ServicePort& out) {
  const std::uint8_t first = in.u8();
  out.port = in.u16();
  out.capacity = in.u16();
  out.protocols = first >> 6;
  const std::string_view name = as_text(in.bytes(first & 15));
  if (!in.ok() || (first & 0x30) != 0 || out.port == 0 || out.protocols == 0) return false;
  if (name.empty()) return true;
  auto parsed = parse_service_name(name);
  if (!parsed || *parsed != name) return false;
  out.name = *parsed;
  return true;
}

}  // namespace

Result<std::string> parse_service_name(std::string_view text) {
  auto wrong = [&](const char* why) {
    return make_error(Errc::invalid, "\"", text.substr(0, 40), "\" is no service name: ", why);
  };
  if (text.empty() || text.size() > kMaxServiceName) return wrong("it has 1 to 15 characters");
  std::string out(text);
  bool letter = false;
  for (char& c : out) {
    if (!is_letter(c) && !is_digit(c) && c != '-') return wrong("only letters, digits and hyphens");
    letter = letter || is_letter(c);
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (!letter) return wrong("at least one character is a letter");
  if (out.front() == '-' || out.back() == '-') return wrong("a hyphen neither begins nor ends it");
  if (out.find("--") != std::string::npos) return wrong("no two hyphens in a row");
  return out;
}

void fit_service_ports(std::vector<ServicePort>& ports) {
  std::sort(ports.begin(), ports.end());
  std::stable_partition(ports.begin(), ports.end(),
                        [](const ServicePort& p) { return !p.name.empty(); });
  std::size_t bytes = 0;
  auto end = std::find_if(ports.begin(), ports.end(), [&](const ServicePort& p) {
    bytes += size_of(p);
    return bytes > kMaxServicePortBytes;
  });
  ports.erase(end, ports.end());
}

std::size_t encoded_size(const std::vector<ServicePort>& ports) {
  std::size_t bytes = ports.empty() ? 0 : kTlvHeaderBytes;
  for (const ServicePort& p : ports) bytes += size_of(p);
  return bytes;
}

void write_service_ports(ByteWriter& out, const std::vector<ServicePort>& ports) {
  if (ports.empty()) return;
  out.u16(kServicePortsTlv).u16(encoded_size(ports) - kTlvHeaderBytes);
  for (const ServicePort& p : ports) {
    out.u8(static_cast<std::uint8_t>(p.protocols << 6 | p.name.size()));
    out.u16(p.port).u16(p.capacity).bytes(as_bytes(p.name));
  }
}

std::vector<ServicePort> read_service_ports(ByteView value) {
  std::vector<ServicePort> out;
  if (value.size() > kMaxServicePortBytes) return out;
  ByteReader in(value);
  while (in.left() != 0) {
    ServicePort port;
    if (!read_port(in, port)) return {};
    out.push_back(std::move(port));
  }
  return out;
}

std::string to_text(const std::vector<ServicePort>& ports) {
  std::string out;
  for (const ServicePort& p : ports) {
    out += out.empty() ? "" : ", ";
    if (!p.name.empty()) out += p.name + ' ';
    out += std::to_string(p.port);
    if (p.protocols != (kPortTcp | kPortUdp)) out += p.protocols == kPortTcp ? "/tcp" : "/udp";
  }
  return out;
}

}  // namespace dmsc::wire
