#include "sgd/edge_ipv6.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace dmsc::sgd {
namespace {

constexpr std::size_t kGrowth = kIp6HeaderBytes - kIpHeaderBytes;
constexpr std::uint8_t kEchoRequest6 = 128;

std::uint16_t get16(ByteView b, std::size_t at) {
  return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}
void put16(std::span<std::uint8_t> b, std::size_t at, std::size_t v) {
  b[at] = static_cast<std::uint8_t>(v >> 8);
  b[at + 1] = static_cast<std::uint8_t>(v);
}

// Type and code of ICMPv6 for those of ICMP; nullopt: it has none.
struct Icmp6 {
  std::uint8_t type = 0, code = 0;
  std::uint32_t value = 0;  // pointer or MTU
};
std::optional<Icmp6> counterpart(std::uint8_t type, std::uint8_t code, std::uint16_t mtu) {
  if (type == icmp::kTimeExceeded) return Icmp6{3, code, 0};
  if (type != icmp::kUnreachable) return std::nullopt;
  switch (code) {
    case icmp::kProtocol:
      return Icmp6{4, 1, 6};  // the next header is at byte 6
    case icmp::kPort:
      return Icmp6{1, 4, 0};
    case icmp::kFragmentationNeeded:
      return Icmp6{2, 0, static_cast<std::uint32_t>(mtu + kGrowth)};
    case icmp::kAdminProhibited:
      return Icmp6{1, 1, 0};
    // "Address unreachable" and not "no route": programs then say "No route to host", as with IPv4.
    default:
      return Icmp6{1, 3, 0};
  }
}

}  // namespace

Ipv4 ip4_at(ByteView header, std::size_t at) {
  return {std::uint32_t{get16(header, at)} << 16 | get16(header, at + 2)};
}

std::string to_string(const Ipv6& address) {
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(AF_INET6, address.data(), text, sizeof text);
}

Result<Prefix6> Prefix6::parse(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return make_error(Errc::invalid, "'", text, "' ", why);
  };
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.substr(slash) != "/64")
    return wrong("is no ADDRESS/64");
  Ipv6 address;
  if (::inet_pton(AF_INET6, std::string(text.substr(0, slash)).c_str(), address.data()) != 1) {
    return wrong("is no IPv6 address");
  }
  bool tail =
      std::any_of(address.begin() + 8, address.end(), [](std::uint8_t b) { return b != 0; });
  if (tail) return wrong("has bits behind its /64");
  if (address[0] == 0xff || (address[0] == 0xfe && (address[1] & 0xc0) == 0x80) ||
      address[0] == 0) {
    return wrong("is no unicast prefix that may be routed");
  }
  Prefix6 out;
  std::copy_n(address.begin(), 8, out.bits_.begin());
  put16(out.bits_, 10, checksum_finish(checksum_add(out.bits_)));
  return out;
}

Ipv6 Prefix6::of(Ipv4 a) const {
  Ipv6 out;
  std::copy(bits_.begin(), bits_.end(), out.begin());
  put16(out, 12, a.value >> 16);
  put16(out, 14, a.value & 0xffff);
  return out;
}

std::optional<Ipv4> Prefix6::inside(ByteView address) const {
  if (!std::equal(bits_.begin(), bits_.end(), address.begin())) return std::nullopt;
  return ip4_at(address, 12);
}

std::string Prefix6::text() const { return to_string(of({})) + "/96"; }

std::optional<Ipv6> reverse_address6(std::string_view name) {
  constexpr std::string_view kSuffix = "ip6.arpa";
  if (name.size() != 64 + kSuffix.size() || name.substr(64) != kSuffix) return std::nullopt;
  Ipv6 out{};
  for (std::size_t i = 0; i < 32; ++i) {
    char c = name[2 * i];
    bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
    if ((!digit && !letter) || name[2 * i + 1] != '.') return std::nullopt;
    auto nibble = static_cast<std::uint8_t>(digit ? c - '0' : c - 'a' + 10);
    out[15 - i / 2] |= static_cast<std::uint8_t>(i % 2 == 0 ? nibble : nibble << 4);
  }
  return out;
}

Ip6Taken take_ip6(std::span<std::uint8_t> buffer, std::size_t at, const Addresses6& addresses) {
  auto packet = buffer.subspan(at);
  if (packet.size() < kIp6HeaderBytes || packet[0] >> 4 != 6) return {Ip6Fate::malformed, at};
  std::size_t payload = get16(packet, 4);
  if (kIp6HeaderBytes + payload > packet.size() || kIpHeaderBytes + payload > 0xffff) {
    return {Ip6Fate::malformed, at};
  }
  ByteView l4 = packet.subspan(kIp6HeaderBytes, payload);
  std::uint8_t protocol = packet[6];
  if (protocol == kProtoIcmp6 && !l4.empty() && l4[0] < kEchoRequest6) {
    return take_error6(buffer, at, addresses);
  }
  auto source = addresses.inside(packet.subspan(8)), destination = addresses.inside(packet.subspan(24));
  bool ping = protocol == kProtoIcmp6 && !l4.empty() && l4[0] == kEchoRequest6;
  if (!source || !destination || (protocol != kProtoTcp && protocol != kProtoUdp && !ping)) {
    return {Ip6Fate::ignored, at};
  }
  // RFC 8200 8.1: here a checksum is no option.
  if (protocol == kProtoUdp && l4.size() >= 8 && get16(l4, 6) == 0) return {Ip6Fate::malformed, at};
  Ip4Fields fields;
  fields.source = *source;
  fields.destination = *destination;
  fields.protocol = protocol;
  fields.ttl = packet[7];
  fields.tos = static_cast<std::uint8_t>(packet[0] << 4 | packet[1] >> 4);
  auto header = make_ip4_header(fields, payload);
  std::copy(header.begin(), header.end(), packet.begin() + kGrowth);
  return {Ip6Fate::taken, at + kGrowth};
}

VnetHeader vnet_of_ip4(VnetHeader h) {
  auto shrink = [](std::uint16_t v) {
    return static_cast<std::uint16_t>(v - std::min<std::size_t>(v, kGrowth));
  };
  h.header_bytes = shrink(h.header_bytes);
  h.checksum_start = shrink(h.checksum_start);
  std::uint8_t ecn = h.gso_type & VnetHeader::kGsoEcn;
  if ((h.gso_type & ~VnetHeader::kGsoEcn) == VnetHeader::kGsoTcp6)
    h.gso_type = VnetHeader::kGsoTcp4 | ecn;
  return h;
}

VnetHeader vnet_of_ip6(VnetHeader h) {
  if (h.gso_type == VnetHeader::kGsoTcp4) h.gso_type = VnetHeader::kGsoTcp6;
  if (h.header_bytes != 0) h.header_bytes = static_cast<std::uint16_t>(h.header_bytes + kGrowth);
  if (h.checksum_start != 0)
    h.checksum_start = static_cast<std::uint16_t>(h.checksum_start + kGrowth);
  return h;
}

std::array<std::uint8_t, kIp6HeaderBytes> make_ip6_header(ByteView ip4, const Addresses6& addresses) {
  std::array<std::uint8_t, kIp6HeaderBytes> h{};
  h[0] = static_cast<std::uint8_t>(6 << 4 | ip4[1] >> 4);
  h[1] = static_cast<std::uint8_t>(ip4[1] << 4);
  put16(h, 4, get16(ip4, 2) - kIpHeaderBytes);
  h[6] = ip4[9];
  h[7] = ip4[8];
  Ipv6 source = addresses.of(ip4_at(ip4, 12)), destination = addresses.of(ip4_at(ip4, 16));
  std::copy(source.begin(), source.end(), h.begin() + 8);
  std::copy(destination.begin(), destination.end(), h.begin() + 24);
  return h;
}

Bytes icmp_as_icmp6(ByteView packet, const Addresses6& addresses) {
  if (packet.size() < 2 * kIpHeaderBytes + 8) return {};
  ByteView icmp = packet.subspan(kIpHeaderBytes), inner = icmp.subspan(8);
  auto to = counterpart(icmp[0], icmp[1], get16(icmp, 6));
  if (!to || inner[0] != 0x45) return {};
  auto outer = make_ip6_header(packet, addresses), quoted = make_ip6_header(inner, addresses);
  ByteWriter message;
  message.u8(to->type).u8(to->code).u16(0).u32(to->value);
  message.bytes(quoted).bytes(inner.subspan(kIpHeaderBytes));
  Bytes body = message.take();
  put16(outer, 4, body.size());
  outer[6] = kProtoIcmp6;
  std::uint32_t sum = checksum_add(ByteView(outer).subspan(8)) + kProtoIcmp6 +
                      static_cast<std::uint32_t>(body.size());
  put16(body, 2, checksum_finish(checksum_add(body, sum)));
  body.insert(body.begin(), outer.begin(), outer.end());
  return body;
}

}  // namespace dmsc::sgd
