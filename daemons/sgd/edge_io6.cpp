// What runs on the home worker for programs that speak IPv6: their packets become IPv4 behind the
// TUN device, and ours become IPv6 in front of it (edge_ipv6.hpp).
#include <sys/uio.h>

#include "dmsc/runtime/log.hpp"
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
  Ip6Taken taken = take_ip6(frame, kHeadroom, *addresses6);
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
  auto header = make_ip6_header(head.subspan(kVnetBytes), *addresses6);
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
  if (body.empty()) {  // whole: one of our ICMP errors
    Bytes error = icmp_as_icmp6(head, *addresses6);
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
    return write_frame(index, kPlain, make_ip6_header(head, *addresses6), body);
  }
  if (port.joiner6.complete()) return flush6(index);
  if (!port.flush6_due) unflushed.push_back(twin(index));
  port.flush6_due = true;
  if (!packet_stays) flush_at_end_of_round();
}

// A server at an IPv6 address: what is written for it leaves by the twin of its port.
Status Edge::Impl::set_endpoint6(InstanceId instance, std::uint32_t port, Endpoint endpoint) {
  if (!config.virtual_prefix6) {
    return make_error(Errc::unavailable, "endpoint ", to_string(*endpoint.address6),
                      " speaks IPv6, which needs names.virtual_prefix6");
  }
  home.post([impl = shared_from_this(), instance, port, endpoint = std::move(endpoint)]() mutable {
    impl->release_endpoint6(instance);
    auto address = impl->addresses6->take(*endpoint.address6);
    if (!address) {
      runtime::log::warning("endpoint-unreachable", {{"endpoint", to_string(*endpoint.address6)},
                                                     {"reason", "no alias is left for its address"}});
      return impl->path.remove_endpoint(instance);
    }
    impl->servers6[instance] = *address;
    endpoint.address = *address;
    impl->path.set_endpoint(instance, impl->twin(port), std::move(endpoint));
  });
  return Ok{};
}

void Edge::Impl::release_endpoint6(InstanceId instance) {
  auto known = servers6.find(instance);
  if (known == servers6.end()) return;
  addresses6->release(known->second);
  servers6.erase(known);
}

std::string Edge::Impl::address_text(std::uint32_t index, Ipv4 address) {
  if (index < ports.size() || !addresses6) return to_string(address);
  return "[" + to_string(addresses6->of(address)) + "]";
}

}  // namespace dmsc::sgd
