// What runs on the home worker for programs that speak IPv6: their packets become IPv4 behind the
// TUN device, and ours become IPv6 in front of it (edge_ipv6.hpp).
#include <sys/uio.h>

#include "sgd/edge_impl.hpp"

namespace dmsc::sgd {
namespace {

constexpr std::array<std::uint8_t, kVnetBytes> kPlain{};

}  // namespace

PathPort Edge::Impl::twin_settings(std::uint32_t index, bool open) const {
  PathPort p = port_settings(index, open);
  if (index < kFirstPodPort) p.address = config.dns;  // the host's device has that one alone
  p.external = External::refuse;                      // only the prefix is routed to the device
  return p;
}

std::optional<std::size_t> Edge::Impl::take6(std::span<std::uint8_t> frame, VnetHeader& header) {
  Ip6Taken taken = take_ip6(frame, kHeadroom, *config.virtual_prefix6);
  if (taken.fate != Ip6Fate::taken) {
    ++(taken.fate == Ip6Fate::ignored ? ipv6_ignored : ipv6_malformed);
    return std::nullopt;
  }
  header = vnet_of_ip4(header);
  return taken.at;
}

void Edge::Impl::flush6(std::uint32_t index) {
  Port& port = ports[index];
  if (port.joiner6.empty()) return;
  count_joined(port.joiner6);
  auto frame = port.joiner6.frame();
  ByteView head(static_cast<const std::uint8_t*>(frame[0].iov_base), frame[0].iov_len);
  auto vnet = encode_vnet(vnet_of_ip6(decode_vnet(head.first<kVnetBytes>())));
  auto header = make_ip6_header(head.subspan(kVnetBytes), *config.virtual_prefix6);
  ByteView tcp = head.subspan(kVnetBytes + kIpHeaderBytes);
  parts6.assign({{vnet.data(), vnet.size()},
                 {header.data(), header.size()},
                 {const_cast<std::uint8_t*>(tcp.data()), tcp.size()}});
  parts6.insert(parts6.end(), frame.begin() + 1, frame.end());
  if (port.tun && ::writev(port.tun.get(), parts6.data(), static_cast<int>(parts6.size())) < 0) {
    ++tun_write_failed;
  }
  port.joiner6.clear();
}

void Edge::Impl::write_tun6(std::uint32_t index, ByteView head, ByteView body) {
  if (index >= ports.size() || !ports[index].tun) return;
  Port& port = ports[index];
  const Prefix6& prefix = *config.virtual_prefix6;
  if (body.empty()) {  // whole: one of our ICMP errors
    Bytes error = icmp_as_icmp6(head, prefix);
    if (!error.empty()) write_frame(index, kPlain, error, {});
    return;
  }
  const bool joins = joinable(port, head);
  bool taken = joins && port.joiner6.add(head, body, packet_stays);
  if (!taken && !port.joiner6.empty()) {
    flush6(index);
    taken = joins && port.joiner6.add(head, body, packet_stays);
  }
  if (!taken) {
    Bytes filled;
    if (head[9] == kProtoUdp && body.size() >= 8 && body[6] == 0 && body[7] == 0) {
      filled =
          to_bytes(body);  // of a program that left the checksum out, which IPv6 does not allow
      fill_segment_checksum(kProtoUdp, filled, ip4_at(head, 12), ip4_at(head, 16));
      body = filled;
    }
    return write_frame(index, kPlain, make_ip6_header(head, prefix), body);
  }
  if (port.joiner6.complete()) return flush6(index);
  if (!port.flush6_due) unflushed.push_back(twin(index));
  port.flush6_due = true;
  if (!packet_stays) flush_at_end_of_round();
}

}  // namespace dmsc::sgd
